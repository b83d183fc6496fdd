"""Shards of records: the plan of all of them, and the writing of one.

The plan says which frames of which video each record of each shard holds, before a picture is
opened. A shard is a function of its plan, the source and the settings, and of nothing else: so it
can be written by any process, on any machine, again after a crash, and is the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.base.whole_file import write_whole
from lstd.data import problems, sequence_example, source_checks
from lstd.data.clean_boxes import clean, objects_of
from lstd.data.problems import Checks, Policy, Report
from lstd.data.record_files import INDEX
from lstd.data.source_checks import FrameOpener
from lstd.data.sources import Source, SourceVideo
from lstd.ops import images

RECORD_BYTES = 256 << 20
"""Where a record ends, and the next one goes on with the same video.

Protobuf can neither write nor read a message of 2 GiB, and training holds up to two records in
memory for each place of a batch.
"""

_BYTES_A_BOX = 100


class Settings(NamedTuple):
    """How records are made.

    Attributes:
        image_format: "keep" stores a JPEG or PNG as it is, and pixels, such as those of a video
            file, as JPEG; "jpeg" and "png" decode and encode every image.
        quality: of a JPEG that is made, 1 to 100.
        frames_per_record: longer videos are stored in parts, which the pipeline joins; 0: one
            record for each video, as the original's readers expect, up to `RECORD_BYTES`.
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

    def check(self) -> None:
        """Raises ValueError where a setting cannot be."""
        for name, sound, expected in (
            ("image_format", self.image_format in ("keep", "jpeg", "png"), "keep, jpeg or png"),
            ("quality", 1 <= self.quality <= 100, "1 to 100"),
            ("frames_per_record", self.frames_per_record >= 0, "at least 0"),
            ("frames_per_shard", self.frames_per_shard >= 0, "at least 0"),
            ("max_boxes", self.max_boxes >= 0, "at least 0"),
            ("prefix", self.prefix and "/" not in self.prefix, "the beginning of a file name"),
        ):
            if not sound:
                raise ValueError(f"{name} must be {expected}, got {getattr(self, name)!r}")


class RecordPlan(NamedTuple):
    """A record, or several where one grows too large: frames `start` to `stop` of a video.

    Those that are dropped are left out; `first_frame` counts only what is kept.
    """

    video: SourceVideo
    start: int
    stop: int
    dropped: tuple[int, ...]
    first_frame: int

    @property
    def frames(self) -> int:
        """How many frames are kept."""
        return self.stop - self.start - len(self.dropped)


class Shard(NamedTuple):
    """A file to write: its name, and its records in order."""

    file: str
    records: tuple[RecordPlan, ...]

    @property
    def frames(self) -> int:
        """How many frames it will hold."""
        return sum(record.frames for record in self.records)


class Plan(NamedTuple):
    """All of a conversion: the shards in order, and the problems met so far.

    Frames that are left out are `dropped`, by the name of the video. The fingerprint, by names for
    people, is what must be equal for a conversion to be gone on with.
    """

    source: Source
    shards: tuple[Shard, ...]
    settings: Settings
    report: Report
    dropped: Mapping[str, Sequence[int]]
    fingerprint: Mapping[str, str]

    @property
    def frames(self) -> int:
        """How many frames will be written."""
        return sum(shard.frames for shard in self.shards)

    def as_index(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the index of a conversion; `entries` are those of all shards, in any order."""
        by_file = {entry["file"]: entry for entry in entries}
        shards = [by_file[shard.file] for shard in self.shards]
        total = Report()
        for report in (self.report, *map(Report.of_index, shards)):
            total.merge(report)
        videos: dict[str, dict[str, Any]] = {}
        for record in (record for shard in shards for record in shard["records"]):
            size = {"height": record["height"], "width": record["width"]}
            new = {"name": record["video"], **size, "frames": 0, "boxes": 0}
            facts = videos.setdefault(record["video"], new)
            for name in ("frames", "boxes"):
                facts[name] += record[name]
        return {
            "version": 1,
            "source": {"format": self.source.format, "path": self.source.path},
            "notes": [*self.source.notes],
            "labels": [*self.source.labels],
            "settings": {**self.settings._asdict(), "policy": dict(self.settings.policy)},
            "frames": sum(shard["frames"] for shard in shards),
            "boxes": sum(shard["boxes"] for shard in shards),
            "videos": [*videos.values()],
            "shards": shards,
            **total.as_index(),
            "fingerprint": self.fingerprint,
        }


def make_plan(
    source: Source, settings: Settings, *, dropped: Mapping[str, Sequence[int]] | None = None
) -> Plan:
    """Returns the plan of a conversion.

    The frames to leave out are `dropped`, as an earlier plan found them; None: they are looked for,
    which opens every image where the policy skips frames.

    Raises:
        ProblemError: two videos of one name or one without frames, and that is an error.
        ValueError: a setting that cannot be; no video is left.
    """
    settings.check()
    checks = Checks(settings.policy)
    for message in source.damaged:
        checks.meet("damaged_record", message)
    videos = source_checks.usable_videos(source, checks)
    if dropped is None:
        found = {video.name: source_checks.dropped_frames(video, checks) for video in videos}
        dropped = {name: gone for name, gone in found.items() if gone}
    records: list[RecordPlan] = []
    facts: list[tuple[str, int]] = []
    for video in videos:
        own = _records_of(video, set(dropped.get(video.name, ())), settings)
        if own:
            facts.append((video.name, video.num_frames))
        else:
            message = f"{video.where}: no frame of video {video.name!r} can be used"
            checks.meet("empty_video", message)
        records += own
    if not records:
        raise ValueError(f"{source.path}: no frame of this data set can be used")
    shards = _shards_of(records, settings)
    known = {name: place for place, (name, _) in enumerate(facts)}
    held = [(s.file, [(known[r.video.name], *r[1:]) for r in s.records]) for s in shards]
    told = {"labels": source.labels, "videos": facts, "shards": held}
    told |= {f"setting {name}": value for name, value in sorted(settings._asdict().items())}
    texts = {name: json.dumps(value, sort_keys=True).encode() for name, value in told.items()}
    marks = {name: hashlib.sha256(text).hexdigest()[:16] for name, text in texts.items()}
    return Plan(source, shards, settings, checks.report, dropped, marks)


def _records_of(video: SourceVideo, gone: set[int], settings: Settings) -> list[RecordPlan]:
    kept = [number for number in range(video.num_frames) if number not in gone]
    size = settings.frames_per_record or max(1, len(kept))
    records = []
    for first in range(0, len(kept), size):
        start, stop = kept[first], kept[min(first + size, len(kept)) - 1] + 1
        inside = tuple(sorted(number for number in gone if start <= number < stop))
        records.append(RecordPlan(video, start, stop, inside, first))
    return records


def _shards_of(records: Sequence[RecordPlan], settings: Settings) -> tuple[Shard, ...]:
    total = sum(record.frames for record in records)
    full = settings.frames_per_shard or min(max(200, -(-total // 16)), 2000)
    groups: list[list[RecordPlan]] = []
    held = full
    for record in records:
        if held >= full:
            groups.append([])
            held = 0
        groups[-1].append(record)
        held += record.frames
    name = f"{settings.prefix}-{{:05d}}-of-{len(groups):05d}.tfrecord"
    return tuple(Shard(name.format(n), tuple(group)) for n, group in enumerate(groups))


def write(
    directory: str, shard: Shard, *, labels: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Writes one shard and returns its entry of the index; see `sequence_example.write`.

    Raises:
        ProblemError: a problem whose answer is error.
        ValueError: a frame or record that cannot be read; it is named.
    """
    checks = Checks(settings.policy, max_boxes=settings.max_boxes)
    entries: list[dict[str, Any]] = []

    def examples() -> Iterator[bytes]:
        for record in shard.records:
            for serialized, facts in _records(record, labels, settings, checks):
                entries.append(facts)
                yield serialized

    path = f"{directory}/{shard.file}"
    sequence_example.write(path, examples())
    return {
        "file": shard.file,
        "bytes": tf.io.gfile.stat(path).length,
        "sha256": checksum(path),
        "frames": sum(entry["frames"] for entry in entries),
        "boxes": sum(entry["boxes"] for entry in entries),
        "records": entries,
        **checks.report.as_index(),
    }


def checksum(path: str) -> str:
    """Returns the SHA-256 of a file."""
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_index(directory: str, content: Mapping[str, Any]) -> None:
    """Writes the index, and the class names one a line; each appears when it is whole."""
    for name, text in (
        ("labels.txt", "".join(f"{label}\n" for label in content["labels"])),
        (INDEX, json.dumps(content, indent=1) + "\n"),
    ):
        if text and "://" in directory:
            with tf.io.gfile.GFile(f"{directory}/{name}", "w") as file:
                file.write(text)
        elif text:
            write_whole(f"{directory}/{name}", text)


def _records(
    plan: RecordPlan, labels: Sequence[str], settings: Settings, checks: Checks
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields serialized records, of `RECORD_BYTES` at most, and their entries of the index."""
    name = plan.video.name
    opener = FrameOpener(plan.video, checks)
    encoded: list[bytes] = []
    truths: list[GroundTruth] = []
    first, size, dropped = plan.first_frame, 0, {*plan.dropped}

    def record() -> tuple[bytes, dict[str, Any]]:
        height, width = opener.size
        serialized = sequence_example.encode(
            encoded,
            truths,
            size=(height, width),
            labels=labels,
            source_id=name,
            filename=name,
            first_frame=first,
            image_format="png" if encoded[0].startswith(b"\x89PNG") else "jpeg",
        )
        return serialized, {
            "video": name,
            "first_frame": first,
            "frames": len(encoded),
            "boxes": sum(len(objects_of(truth).classes) for truth in truths),
            "height": height,
            "width": width,
            "bytes": len(serialized),
        }

    for number, frame in enumerate(plan.video.read(plan.start, plan.stop), start=plan.start):
        if number in dropped:
            continue
        found = opener(number, frame)
        if found is None:
            raise ValueError(f"{frame.where}: this image has changed since the plan was made")
        shown, image = found
        data = _stored(image, settings)
        truth = clean(shown, checks, labels=labels)
        added = len(data) + _BYTES_A_BOX * len(truth.classes)
        if encoded and size + added > RECORD_BYTES:
            yield record()
            first, size, encoded, truths = first + len(encoded), 0, [], []
        encoded.append(data)
        truths.append(truth)
        size += added
    yield record()


def _stored(image: bytes | np.ndarray, settings: Settings) -> bytes:
    if isinstance(image, bytes) and settings.image_format == "keep":
        return image
    pixels = images.decode(image).numpy() if isinstance(image, bytes) else image
    kind = "png" if settings.image_format == "png" else "jpeg"
    return images.encode(pixels, kind, quality=settings.quality)
