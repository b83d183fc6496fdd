"""Writes a shard of a conversion, and the index of all of them.

A shard is a function of its plan, the source and the settings, and of nothing else: so it can be
written by any process, on any machine, again after a crash, and is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.base.whole_file import write_whole
from lstd.data import problems, sequence_example
from lstd.data.clean_boxes import clean
from lstd.data.problems import Policy, Report
from lstd.data.record_files import INDEX
from lstd.data.source_checks import FrameOpener, NamedVideo
from lstd.ops import images

LABELS = "labels.txt"
VERSION = 1

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


class RecordPlan(NamedTuple):
    """A record, or several where one grows too large: frames of a video.

    Attributes:
        entry: the video.
        start: its first frame, as the source counts.
        stop: the frame behind its last one.
        dropped: frames in between that are left out.
        first_frame: number of its first frame among those that are kept.
    """

    entry: NamedVideo
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


def write(
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
        for record in shard.records:
            for serialized, facts in _records(record, labels, settings, report):
                entries.append(facts)
                yield serialized

    path = f"{directory}/{shard.file}"
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


def videos_in(shards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns name, size and counts of each video in the entries of shards."""
    videos: dict[str, dict[str, Any]] = {}
    for record in (record for shard in shards for record in shard["records"]):
        facts = {"name": record["video"], "height": record["height"], "width": record["width"]}
        facts = videos.setdefault(record["video"], {**facts, "frames": 0, "boxes": 0})
        facts["frames"] += record["frames"]
        facts["boxes"] += record["boxes"]
    return [*videos.values()]


def write_index(directory: str, content: Mapping[str, Any]) -> None:
    """Writes the index, and the class names one a line; each appears when it is whole."""
    for name, text in (
        (LABELS, "".join(f"{label}\n" for label in content["labels"])),
        (INDEX, json.dumps(content, indent=1) + "\n"),
    ):
        if text and "://" in directory:
            with tf.io.gfile.GFile(f"{directory}/{name}", "w") as file:
                file.write(text)
        elif text:
            write_whole(f"{directory}/{name}", text)


def report_of(entry: Mapping[str, Any]) -> Report:
    """Returns the problems that an index, or the entry of a shard, counts."""
    report = Report()
    for name, count in entry["problems"].items():
        kind, _, answer = name.partition("=")
        report.counts[kind, answer] += count
    report.examples = {kind: [*places] for kind, places in entry["examples"].items()}
    return report


def problems_of(report: Report) -> dict[str, int]:
    """Returns the counts as `report_of` reads them: `kind=answer` -> how often."""
    return {f"{kind}={answer}": n for (kind, answer), n in sorted(report.counts.items())}


def _records(
    plan: RecordPlan, labels: Sequence[str], settings: Settings, report: Report
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields serialized records, of `RECORD_BYTES` at most, and their entries of the index."""
    opener = FrameOpener(plan.entry.video, policy=settings.policy, report=report)
    encoded: list[bytes] = []
    truths: list[GroundTruth] = []
    first, size, dropped = plan.first_frame, 0, {*plan.dropped}

    def record() -> tuple[bytes, dict[str, Any]]:
        height, width = opener.size
        name = plan.entry.name
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
            "boxes": sum(len(truth.classes) for truth in truths),
            "height": height,
            "width": width,
            "bytes": len(serialized),
        }

    for number, frame in enumerate(plan.entry.video.read(plan.start, plan.stop), start=plan.start):
        if number in dropped:
            continue
        found = opener(number, frame)
        if found is None:
            raise ValueError(f"{frame.where}: this image has changed since the plan was made")
        shown, image = found
        data = _stored(image, settings)
        truth = clean(
            shown,
            labels=labels or None,
            policy=settings.policy,
            report=report,
            max_boxes=settings.max_boxes,
        )
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
