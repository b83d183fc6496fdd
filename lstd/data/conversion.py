"""What a conversion is: a plan of shards, and the writing of one of them.

The plan says which frames of which video each record of each shard holds, before a picture is
opened. A shard is a function of the plan, the source and the settings, and of nothing else: so it
can be written by any process, on any machine, again after a crash, and is the same. `convert` runs
a plan on one machine, `beam_convert` on many.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.data import problems, sequence_example, source_checks
from lstd.data.clean_boxes import clean
from lstd.data.problems import Policy, Report
from lstd.data.source_checks import FrameOpener, NamedVideo
from lstd.data.sources import Source
from lstd.types import GroundTruth
from lstd.whole_file import whole_file

INDEX = "index.json"
LABELS = "labels.txt"
VERSION = 1


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


def write_shard(
    directory: str, shard: Shard, *, labels: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Writes one shard and returns its entry of the index.

    The file appears under its name when it is whole. The directory may be any that TensorFlow's
    file systems know, such as `gs://...`.

    Raises:
        ProblemError: a problem whose answer is error.
        ValueError: a frame or record that cannot be read; it is named.
    """
    report = Report()
    entries: list[dict[str, Any]] = []

    def examples() -> Iterator[bytes]:
        for record, entry in shard.records:
            serialized, facts = _record(record, entry, labels, settings, report)
            entries.append(facts)
            yield serialized

    path = f"{directory}/{shard.file}"
    if "://" in directory:
        _write_remote(path, examples())
    else:
        sequence_example.write(path, examples())
    size, digest = checksum(path)
    return {
        "file": shard.file,
        "bytes": size,
        "sha256": digest,
        "frames": sum(entry["frames"] for entry in entries),
        "boxes": sum(entry["boxes"] for entry in entries),
        "records": entries,
        "problems": problems_of(report),
        "examples": report.examples,
    }


def checksum(path: str) -> tuple[int, str]:
    """Returns size in bytes and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def index(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the index of a conversion; `entries` are those of `write_shard`, in any order."""
    by_file = {entry["file"]: entry for entry in entries}
    shards = [by_file[shard.file] for shard in plan.shards]
    total = Report()
    total.merge(plan.report)
    for shard in shards:
        total.merge(report_of(shard))
    videos: dict[str, dict[str, Any]] = {}
    for shard in shards:
        for record in shard["records"]:
            facts = videos.setdefault(
                record["video"],
                {key: record[key] for key in ("height", "width")} | {"frames": 0, "boxes": 0},
            )
            facts["frames"] += record["frames"]
            facts["boxes"] += record["boxes"]
    return {
        "version": VERSION,
        "source": {"format": plan.source.format, "path": plan.source.path},
        "notes": [*plan.source.notes],
        "labels": [*plan.labels],
        "settings": {**plan.settings._asdict(), "policy": dict(plan.settings.policy)},
        "frames": sum(shard["frames"] for shard in shards),
        "boxes": sum(shard["boxes"] for shard in shards),
        "videos": [{"name": name, **facts} for name, facts in videos.items()],
        "shards": shards,
        "problems": problems_of(total),
        "examples": total.examples,
        "fingerprint": fingerprint(plan),
    }


def report_of(entry: Mapping[str, Any]) -> Report:
    """Returns the problems that an index, or the entry of a shard, counts."""
    report = Report()
    for name, count in entry["problems"].items():
        kind, _, answer = name.partition("=")
        report.counts[kind, answer] += count
    report.examples = {kind: [*places] for kind, places in entry["examples"].items()}
    return report


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def problems_of(report: Report) -> dict[str, int]:
    """Returns the counts as `report_of` reads them: `kind=answer` -> how often."""
    return {f"{kind}={answer}": n for (kind, answer), n in sorted(report.counts.items())}


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


def _record(
    record: RecordPlan,
    entry: NamedVideo,
    labels: Sequence[str],
    settings: Settings,
    report: Report,
) -> tuple[bytes, dict[str, Any]]:
    """Returns a serialized record, and its entry of the index."""
    gone = set(record.dropped)
    opener = FrameOpener(entry.video, policy=settings.policy, report=report)
    images: list[bytes] = []
    truths: list[GroundTruth] = []
    frames = entry.video.read(record.start, record.stop)
    for number, frame in enumerate(frames, start=record.start):
        if number in gone:
            continue
        found = opener(number, frame)
        if found is None:
            raise ValueError(f"{frame.where}: this image has changed since the plan was made")
        shown, image = found
        images.append(_stored(image, settings))
        truths.append(
            clean(
                shown,
                labels=labels or None,
                policy=settings.policy,
                report=report,
                max_boxes=settings.max_boxes,
            )
        )
    height, width = opener.size
    serialized = sequence_example.assemble(
        images,
        truths,
        size=(height, width),
        labels=labels,
        source_id=entry.name,
        filename=entry.name,
        first_frame=record.first_frame,
        image_format="png" if images[0].startswith(b"\x89PNG") else "jpeg",
    )
    return serialized, {
        "video": entry.name,
        "first_frame": record.first_frame,
        "frames": len(images),
        "boxes": sum(len(truth.classes) for truth in truths),
        "height": height,
        "width": width,
    }


def _stored(image: bytes | np.ndarray, settings: Settings) -> bytes:
    if isinstance(image, bytes):
        if settings.image_format == "keep":
            return image
        pixels = tf.io.decode_image(image, channels=3, expand_animations=False).numpy()
    else:
        pixels = image
    kind = "png" if settings.image_format == "png" else "jpeg"
    return sequence_example.encode_image(pixels, kind, settings.quality)


def _write_remote(path: str, examples: Iterator[bytes]) -> None:
    temporary = f"{path}.part"
    with tf.io.TFRecordWriter(temporary) as writer:
        for example in examples:
            writer.write(example)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def write_index(directory: str, content: Mapping[str, Any]) -> None:
    """Writes the index, and the class names one a line; each appears when it is whole."""
    for name, text in (
        (LABELS, "".join(f"{label}\n" for label in content["labels"])),
        (INDEX, json.dumps(content, indent=1) + "\n"),
    ):
        if not text:
            continue
        if "://" in directory:
            with tf.io.gfile.GFile(f"{directory}/{name}", "w") as file:
                file.write(text)
            continue
        with whole_file(f"{directory}/{name}") as temporary:
            temporary.write_text(text, encoding="utf-8")
