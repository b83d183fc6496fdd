"""Writes a shard of a conversion, and the index of all of them.

A shard is a function of the plan, the source and the settings, and of nothing else: so it can be
written by any process, on any machine, again after a crash, and is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.base.whole_file import write_whole
from lstd.data import sequence_example
from lstd.data.clean_boxes import clean
from lstd.data.conversion import Plan, RecordPlan, Settings, Shard, fingerprint
from lstd.data.problems import Report
from lstd.data.source_checks import FrameOpener, NamedVideo

INDEX = "index.json"
LABELS = "labels.txt"
VERSION = 1


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
    """Returns the index of a conversion; `entries` are those of `write`, in any order."""
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
