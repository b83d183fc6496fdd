"""What a conversion is: settings, and a plan of shards.

The plan says which frames of which video each record of each shard holds, before a picture is
opened. `shard_files` writes one of them, `convert` runs a plan on one machine, `beam_convert` on
many.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from lstd.data import problems, source_checks
from lstd.data.problems import Policy, Report
from lstd.data.source_checks import NamedVideo
from lstd.data.sources import Source


class Settings(NamedTuple):
    """How records are made.

    Attributes:
        image_format: "keep" stores a JPEG or PNG as it is, and pixels, such as those of a video
            file, as JPEG; "jpeg" and "png" decode and encode every image.
        quality: of a JPEG that is made, 1 to 100.
        frames_per_record: longer videos are stored in parts, which the pipeline joins; 0: one
            record for each video, as the original's readers expect.
        frames_per_shard: a shard is full with so many; 0: from 200 on, for about 16 shards, at most
            2,000.
        prefix: of the names of the shards.
        max_boxes: that a frame may have; what is beyond is the problem too_many_boxes; 0: any
            number.
        policy: the answer to every kind of problem.
    """

    image_format: Literal["keep", "jpeg", "png"] = "keep"
    quality: int = 95
    frames_per_record: int = 200
    frames_per_shard: int = 0
    prefix: str = "data"
    max_boxes: int = 0
    policy: Policy = problems.policy()


class RecordPlan(NamedTuple):
    """A record: frames `start` up to `stop` of a video, without those dropped.

    Attributes:
        video: place in the plan's videos.
        start: frame of the source.
        stop: frame of the source.
        dropped: frames in between that are left out.
        first_frame: number of its first frame among those that are kept.
    """

    video: int
    start: int
    stop: int
    dropped: tuple[int, ...]
    first_frame: int


class Shard(NamedTuple):
    """A file to write: its name, and its records in order, each with its video."""

    file: str
    records: tuple[tuple[RecordPlan, NamedVideo], ...]

    @property
    def frames(self) -> int:
        """How many frames it will hold."""
        return sum(r.stop - r.start - len(r.dropped) for r, _ in self.records)


class Plan(NamedTuple):
    """All of a conversion.

    Attributes:
        source: the data set, as messages and the index name it.
        labels: class names.
        videos: under names of their own.
        shards: in order.
        settings: see `Settings`.
        report: problems met so far, of records, whole videos and frames that are left out.
        dropped: the frames that are left out, by the name of the video.
    """

    source: Source
    labels: tuple[str, ...]
    videos: tuple[NamedVideo, ...]
    shards: tuple[Shard, ...]
    settings: Settings
    report: Report
    dropped: Mapping[str, Sequence[int]]

    @property
    def frames(self) -> int:
        """How many frames will be written."""
        return sum(shard.frames for shard in self.shards)


def check(settings: Settings) -> None:
    """Raises what is wrong with settings.

    Raises:
        ValueError: an unknown image format, or a number that cannot be.
    """
    if settings.image_format not in ("keep", "jpeg", "png"):
        raise ValueError(f"image_format must be keep, jpeg or png, got {settings.image_format!r}")
    if not 1 <= settings.quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {settings.quality}")
    for name in ("frames_per_record", "frames_per_shard", "max_boxes"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(settings, name)}")
    if not settings.prefix or "/" in settings.prefix:
        raise ValueError(f"prefix must be the beginning of a file name, got {settings.prefix!r}")


def make_plan(
    source: Source, settings: Settings, *, dropped: Mapping[str, Sequence[int]] | None = None
) -> Plan:
    """Returns the plan of a conversion.

    Args:
        source: the data set.
        settings: how.
        dropped: frames to leave out, by the name of the video, as an earlier plan found them; None:
            they are looked for, which opens every image where the policy skips frames.

    Raises:
        ProblemError: two videos of one name or one without frames, and that is an error.
        ValueError: see `check`; no video is left.
    """
    check(settings)
    report = Report()
    for message in source.damaged:
        problems.meet("damaged_record", message, policy=settings.policy, report=report)
    videos = source_checks.usable_videos(source, policy=settings.policy, report=report)
    gone = dropped if dropped is not None else _find_dropped(videos, settings.policy, report)
    videos = [entry for entry in videos if _has_frames(entry, gone, settings.policy, report)]
    if not videos:
        raise ValueError(f"{source.path}: no frame of this data set can be used")
    records = [
        record
        for place, entry in enumerate(videos)
        for record in _records(place, entry, gone.get(entry.name, ()), settings)
    ]
    total = sum(r.stop - r.start - len(r.dropped) for r in records)
    full = settings.frames_per_shard or min(max(200, -(-total // 16)), 2000)
    groups: list[list[RecordPlan]] = []
    held = full
    for record in records:
        if held >= full:
            groups.append([])
            held = 0
        groups[-1].append(record)
        held += record.stop - record.start - len(record.dropped)
    shards = tuple(
        Shard(
            f"{settings.prefix}-{number:05d}-of-{len(groups):05d}.tfrecord",
            tuple((record, videos[record.video]) for record in group),
        )
        for number, group in enumerate(groups)
    )
    return Plan(source, source.labels, tuple(videos), shards, settings, report, gone)


def fingerprint(plan: Plan) -> dict[str, str]:
    """Returns what must be equal for a conversion to be gone on with, by a name for people."""
    videos = [(v.name, v.video.num_frames) for v in plan.videos]
    shards = [(s.file, [tuple(record) for record, _ in s.records]) for s in plan.shards]
    settings = plan.settings._asdict()
    return {
        "labels": _digest(list(plan.labels)),
        "videos": _digest(videos),
        "shards": _digest(shards),
        **{f"setting {name}": _digest(settings[name]) for name in sorted(settings)},
    }


def _find_dropped(
    videos: Sequence[NamedVideo], policy: Policy, report: Report
) -> dict[str, list[int]]:
    if not source_checks.drops_frames(policy):
        return {}
    found = {
        entry.name: source_checks.dropped_frames(
            entry.video, 0, entry.video.num_frames, policy=policy, report=report
        )
        for entry in videos
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def _has_frames(
    entry: NamedVideo, dropped: Mapping[str, Sequence[int]], policy: Policy, report: Report
) -> bool:
    """Returns whether any frame of a video is left; it is counted as empty otherwise."""
    if len(dropped.get(entry.name, ())) < entry.video.num_frames:
        return True
    message = f"{entry.video.where}: no frame of video {entry.name!r} can be used"
    problems.meet("empty_video", message, policy=policy, report=report)
    return False


def _records(
    place: int, entry: NamedVideo, dropped: Sequence[int], settings: Settings
) -> Iterator[RecordPlan]:
    """Yields the records of a video."""
    gone = set(dropped)
    kept = [number for number in range(entry.video.num_frames) if number not in gone]
    size = settings.frames_per_record or len(kept)
    for first in range(0, len(kept), size):
        part = kept[first : first + size]
        inside = tuple(n for n in sorted(gone) if part[0] <= n <= part[-1])
        yield RecordPlan(place, part[0], part[-1] + 1, inside, first)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
