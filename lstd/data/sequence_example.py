"""The record format of the original: a `tf.train.SequenceExample` holds a video, or a part of one.

Context keys: `image/format`, `image/filename`, `image/key/sha256`, `image/source_id`,
`image/height`, `image/width`. Sequence keys, one entry a frame: `image/encoded`,
`bbox/{ymin,xmin,ymax,xmax}` in [0, 1], `bbox/label/index` (1-based; 0 with `is_crowd`: a region to
ignore), `bbox/label/string`, `area` (square pixels), `is_crowd`, `difficult`, `group_of`. Optional
keys are ours: the sequence key `bbox/track_id` (-1 unknown) and the context key
`video/first_frame`: above 0, the record continues the one before it in the file. A third, the
context key `record/num_frames`, is the number of frames in the record. `record_content` reads
all this.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.base.whole_file import whole_file
from lstd.ops import images

SIDES = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax")

RECORD_OVERHEAD = 16
"""Bytes of a TFRecord file around each record: its length and two checksums."""


def encode(
    frames: Sequence[np.ndarray | bytes],
    truths: Sequence[GroundTruth],
    *,
    size: tuple[int, int] | None = None,
    labels: Sequence[str] = (),
    source_id: str = "",
    filename: str = "",
    first_frame: int = 0,
    image_format: Literal["jpeg", "png"] = "jpeg",
    quality: int = 95,
) -> bytes:
    """Returns a serialized SequenceExample; the same bytes every time.

    Args:
        frames: at least one, all of one size: uint8 `[H, W, 3]`, or images that are encoded.
        truths: one for each frame, NumPy: boxes in [0, 1], classes 0-based (stored 1-based), rows
            of padding are left out. Track ids are stored where a frame has any.
        size: height and width of frames that are encoded, pixels.
        labels: class names, for `bbox/label/string`; without them "class 0" and so on.
        source_id: identifies the video.
        filename: where the video came from.
        first_frame: number of the first frame in its video; above 0 for a later part of it.
        image_format: of the first frame, and of all that are pixels; png keeps every bit.
        quality: of a JPEG that is made, 1 to 100.

    Raises:
        ValueError: no frames, another number of truths, frames of several sizes, a class without
            label, or an unknown image format.
    """
    if len(frames) != len(truths) or len(frames) == 0:
        raise ValueError(
            "expected at least one frame and as many truths as frames, got "
            f"{len(frames)} frames and {len(truths)} truths"
        )
    shapes = {np.shape(frame) for frame in frames if not isinstance(frame, bytes)}
    if len(shapes) > 1:
        raise ValueError(f"expected frames of one size, got {sorted(shapes)}")
    height, width = size or next(iter(shapes))[:2]
    encoded = [
        frame if isinstance(frame, bytes) else images.encode(frame, image_format, quality=quality)
        for frame in frames
    ]
    digest = hashlib.sha256()
    for image in encoded:
        digest.update(image)
    example = tf.train.SequenceExample()
    context, lists = example.context.feature, example.feature_lists.feature_list
    for name, text in (
        ("image/format", image_format),
        ("image/filename", filename),
        ("image/key/sha256", digest.hexdigest()),
        ("image/source_id", source_id),
    ):
        context[name].bytes_list.value.append(text.encode())
    for name, number in (
        ("image/height", height),
        ("image/width", width),
        ("video/first_frame", first_frame),
        ("record/num_frames", len(encoded)),
    ):
        context[name].int64_list.value.append(number)
    with_tracks = any(truth.track_ids is not None for truth in truths)
    for image, truth in zip(encoded, truths, strict=True):
        columns = _columns(truth, (height, width), labels, with_tracks=with_tracks)
        for name, values in {"image/encoded": [image], **columns}.items():
            feature = lists[name].feature.add()
            if isinstance(values, list):
                feature.bytes_list.value.extend(values)
            elif values.dtype == np.float32:
                feature.float_list.value.extend(values.tolist())
            else:
                feature.int64_list.value.extend(values.tolist())
    return example.SerializeToString(deterministic=True)


def _columns(
    truth: GroundTruth, size: tuple[int, int], labels: Sequence[str], *, with_tracks: bool
) -> dict[str, list[bytes] | np.ndarray]:
    """Returns the lists of one frame's boxes."""
    classes = np.asarray(truth.classes, np.int64).reshape(-1)
    is_region = (classes == -1) & (False if truth.is_crowd is None else truth.is_crowd)
    rows = np.flatnonzero((classes >= 0) | is_region)
    classes, nothing = classes[rows], np.zeros(rows.size, np.int64)
    if labels and rows.size and classes.max() >= len(labels):
        raise ValueError(f"class {classes.max()} has no label: there are {len(labels)} labels")
    boxes = np.asarray(truth.boxes, np.float32).reshape(-1, 4)[rows]
    names = [
        "" if index < 0 else labels[index] if labels else f"class {index}"
        for index in classes.tolist()
    ]

    def of_rows(values: np.ndarray | None, missing: int) -> np.ndarray:
        return nothing + missing if values is None else np.asarray(values, np.int64)[rows]

    columns: dict[str, list[bytes] | np.ndarray] = {
        **dict(zip(SIDES, boxes.T, strict=True)),
        "bbox/label/index": classes + 1,
        "bbox/label/string": [name.encode() for name in names],
        "area": (boxes[:, 2] - boxes[:, 0]) * size[0] * (boxes[:, 3] - boxes[:, 1]) * size[1],
        "is_crowd": of_rows(truth.is_crowd, 0),
        "difficult": nothing,
        "group_of": nothing,
    }
    if with_tracks:
        columns["bbox/track_id"] = of_rows(truth.track_ids, -1)
    return columns


def write(path: str | os.PathLike[str], examples: Iterable[bytes]) -> int:
    """Returns how many serialized examples it wrote to a TFRecord file.

    The file appears under its name when it is whole. The path may be any that TensorFlow's file
    systems know, such as `gs://...`.

    Raises:
        ValueError: there are no examples.
        OSError: the file that was written is not as long as its records.
    """
    if "://" in str(path):
        part = f"{path}.part"
        count = _write_records(part, examples)
        tf.io.gfile.rename(part, path, overwrite=True)
        return count
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        return _write_records(str(temporary), examples)


def _write_records(path: str, examples: Iterable[bytes]) -> int:
    count = size = 0
    with tf.io.TFRecordWriter(path) as writer:
        for example in examples:
            writer.write(example)
            count, size = count + 1, size + len(example) + RECORD_OVERHEAD
    if not count:
        raise ValueError(f"{path}: there are no examples to write")
    if (found := tf.io.gfile.stat(path).length) != size:
        raise OSError(f"{path}: the file has {found} bytes of {size}: is the disk full?")
    return count
