"""The record format of the original: a `tf.train.SequenceExample` holds a video, or a part of one.

Context keys: `image/format`, `image/filename`, `image/key/sha256`, `image/source_id`,
`image/height`, `image/width`. Sequence keys, one entry a frame: `image/encoded`,
`bbox/{ymin,xmin,ymax,xmax}` in [0, 1], `bbox/label/index` (1-based), `bbox/label/string`, `area`
(square pixels), `is_crowd`, `difficult`, `group_of`. Optional keys are ours: the sequence key
`bbox/track_id` (-1 unknown) and the context key `video/first_frame`: above 0, the record continues
the one before it in the file. A third, the context key `record/num_frames`, is the number of frames
in the record, so that a video's length is known without reading it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.base.whole_file import whole_file
from lstd.ops import images

RECORD_OVERHEAD = 16
"""Bytes of a TFRecord file around each record: its length and two checksums."""

_SIDES = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax")
_CONTEXT = {
    "image/format": tf.io.FixedLenFeature([], tf.string, ""),
    "image/filename": tf.io.FixedLenFeature([], tf.string, ""),
    "image/key/sha256": tf.io.FixedLenFeature([], tf.string, ""),
    "image/source_id": tf.io.FixedLenFeature([], tf.string, ""),
    "image/height": tf.io.FixedLenFeature([], tf.int64, 0),
    "image/width": tf.io.FixedLenFeature([], tf.int64, 0),
    "video/first_frame": tf.io.FixedLenFeature([], tf.int64, 0),
}
_INTEGERS = ("bbox/label/index", "is_crowd", "difficult", "group_of", "bbox/track_id")


class Record(NamedTuple):
    """A record whose images are still encoded: T frames of at most M boxes, padded.

    Attributes:
        encoded: string `[T]`, one JPEG or PNG a frame.
        boxes: float32 `[T, M, 4]`, ymin, xmin, ymax, xmax in [0, 1], padded with -1.
        classes: int64 `[T, M]`, 1-based as stored, padded with 0.
        track_ids: int64 `[T, M]`, padded with -1; all -1 where the record has none.
        area: float32 `[T, M]`, square pixels, padded with 0.
        is_crowd: int64 `[T, M]`, padded with 0, as are `difficult` and `group_of`.
        present: bool `[T, M]`, False for padding.
        has_tracks: bool scalar, whether the record stores track ids.
        source_id: string scalar, as are `key` and `filename`.
    """

    encoded: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    track_ids: tf.Tensor
    area: tf.Tensor
    is_crowd: tf.Tensor
    difficult: tf.Tensor
    group_of: tf.Tensor
    present: tf.Tensor
    has_tracks: tf.Tensor
    source_id: tf.Tensor
    key: tf.Tensor
    filename: tf.Tensor


def decode(serialized: bytes | tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the fields of a record as the original's decoder does; works inside `Dataset.map`.

    Args:
        serialized: a SequenceExample, bytes or string scalar.

    Returns:
        `image` uint8 `[T, H, W, 3]`; `source_id`, `key`, `filename`, string scalars;
        `groundtruth_boxes`, `_classes` (1-based), `_area`, `_is_crowd`, `_difficult`, `_group_of`,
        padded as in `Record`.

    Raises:
        tf.errors.InvalidArgumentError: see `parse`; an image cannot be decoded, or the frames
            differ in size.
    """
    record = parse(serialized)
    pixels = tf.TensorSpec([None, None, 3], tf.uint8)
    return {
        "image": tf.map_fn(images.decode, record.encoded, fn_output_signature=pixels),
        "source_id": record.source_id,
        "key": record.key,
        "filename": record.filename,
        "groundtruth_boxes": record.boxes,
        "groundtruth_classes": record.classes,
        "groundtruth_area": record.area,
        "groundtruth_is_crowd": record.is_crowd,
        "groundtruth_difficult": record.difficult,
        "groundtruth_group_of": record.group_of,
    }


def parse(serialized: bytes | tf.Tensor) -> Record:
    """Returns a record without decoding its images; works inside `Dataset.map`.

    Raises:
        tf.errors.InvalidArgumentError: not a SequenceExample, no frames, or the lists of a frame
            differ in length.
    """
    integers = {
        name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in _INTEGERS
    }
    floats = {
        name: tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
        for name in (*_SIDES, "area")
    }
    frames = {"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)}
    context, lists = tf.io.parse_single_sequence_example(
        serialized, context_features=_CONTEXT, sequence_features={**integers, **floats, **frames}
    )
    encoded = lists["image/encoded"]
    count = tf.shape(encoded, out_type=tf.int64)[0]
    tf.debugging.assert_positive(count, message="the record has no frames in 'image/encoded'")
    lengths = _lengths(lists["bbox/ymin"], count, "bbox/ymin")
    for name in (*_SIDES, "area", *_INTEGERS):
        required = name.startswith("bbox/") and name != "bbox/track_id"
        _check_lengths(lists[name], lengths, name=name, required=required)
    most = tf.reduce_max(lengths)

    def dense(name: str, padding: float) -> tf.Tensor:
        padding_value = tf.cast(padding, lists[name].dtype)
        return lists[name].to_tensor(padding_value, shape=tf.stack([count, most]))

    return Record(
        encoded=encoded,
        boxes=tf.stack([dense(name, -1) for name in _SIDES], axis=-1),  # [T, M, 4]
        classes=dense("bbox/label/index", 0),
        track_ids=dense("bbox/track_id", -1),
        area=dense("area", 0),
        is_crowd=dense("is_crowd", 0),
        difficult=dense("difficult", 0),
        group_of=dense("group_of", 0),
        present=tf.sequence_mask(lengths, most),
        has_tracks=lists["bbox/track_id"].nrows() > 0,
        source_id=context["image/source_id"],
        key=context["image/key/sha256"],
        filename=context["image/filename"],
    )


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
            of class -1 are left out. Track ids are stored where a frame has any.
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
    example = tf.train.SequenceExample()
    context = example.context.feature
    for name, text in (
        ("image/format", image_format),
        ("image/filename", filename),
        ("image/key/sha256", hashlib.sha256(b"".join(encoded)).hexdigest()),
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
        _feature(example, "image/encoded").bytes_list.value.append(image)
        _add_truth(example, truth, (height, width), labels, with_tracks=with_tracks)
    return example.SerializeToString(deterministic=True)


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
    if tf.io.gfile.stat(path).length != size:
        found = tf.io.gfile.stat(path).length
        raise OSError(f"{path}: the file has {found} bytes of {size}: is the disk full?")
    return count


def _lengths(ragged: tf.RaggedTensor, count: tf.Tensor, name: str) -> tf.Tensor:
    """Returns int64 `[T]`, the boxes of each frame; zeros when no frame has a list."""
    rows = ragged.nrows(tf.int64)
    tf.debugging.Assert(
        (rows == 0) | (rows == count),
        [f"'{name}' and 'image/encoded' differ in their number of frames:", rows, count],
    )
    return tf.pad(ragged.row_lengths(), [[0, count - rows]])


def _check_lengths(
    ragged: tf.RaggedTensor, lengths: tf.Tensor, *, name: str, required: bool
) -> None:
    """Raises unless the list of every frame is as long as `lengths` says, or empty if optional."""
    found = _lengths(ragged, tf.size(lengths, out_type=tf.int64), name)
    fits = found == lengths
    tf.debugging.Assert(
        tf.reduce_all(fits if required else fits | (found == 0)),
        [f"'{name}' and 'bbox/ymin' differ in length in a frame"],
    )


def _feature(example: tf.train.SequenceExample, name: str) -> tf.train.Feature:
    """Returns the feature of the next frame in the list `name`."""
    return example.feature_lists.feature_list[name].feature.add()


def _add_truth(
    example: tf.train.SequenceExample,
    truth: GroundTruth,
    size: tuple[int, int],
    labels: Sequence[str],
    *,
    with_tracks: bool,
) -> None:
    """Appends the boxes of one frame to every list of the example."""
    classes = np.asarray(truth.classes, np.int64).reshape(-1)
    rows = np.flatnonzero(classes >= 0)
    classes = classes[rows]
    if labels and rows.size and classes.max() >= len(labels):
        raise ValueError(f"class {classes.max()} has no label: there are {len(labels)} labels")
    boxes = np.asarray(truth.boxes, np.float32).reshape(-1, 4)[rows]
    names = [labels[int(index)] if labels else f"class {index}" for index in classes]
    areas = (boxes[:, 2] - boxes[:, 0]) * size[0] * (boxes[:, 3] - boxes[:, 1]) * size[1]
    for side, name in enumerate(_SIDES):
        _feature(example, name).float_list.value.extend(boxes[:, side].tolist())
    _feature(example, "bbox/label/index").int64_list.value.extend((classes + 1).tolist())
    _feature(example, "bbox/label/string").bytes_list.value.extend(n.encode() for n in names)
    _feature(example, "area").float_list.value.extend(areas.tolist())
    crowd = _rows_of(truth.is_crowd, rows, missing=0)
    _feature(example, "is_crowd").int64_list.value.extend(crowd)
    _feature(example, "difficult").int64_list.value.extend([0] * rows.size)
    _feature(example, "group_of").int64_list.value.extend([0] * rows.size)
    if with_tracks:
        tracks = _rows_of(truth.track_ids, rows, missing=-1)
        _feature(example, "bbox/track_id").int64_list.value.extend(tracks)


def _rows_of(values: np.ndarray | None, rows: np.ndarray, *, missing: int) -> list[int]:
    if values is None:
        return [missing] * rows.size
    return np.asarray(values, np.int64).reshape(-1)[rows].tolist()
