"""Clips of encoded frames become batches of pixels: decode, augment, resize, pad, and name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.base.types import ClipBatch, GroundTruth
from lstd.data import augment, decode
from lstd.data.clip import Clip

_PADDING = {"boxes": 0, "classes": -1, "track_ids": -1, "is_crowd": 0}


class FrameSize(NamedTuple):
    """The size of frames in pixels: as given out, and as stored (0: not one size, or unknown)."""

    height: int
    width: int
    stored_height: int
    stored_width: int


def decode_clip(
    clip: Clip, *, steps: Sequence[augment.Step], size: FrameSize, max_boxes: int, scale: bool
) -> dict[str, tf.Tensor]:
    """Returns one clip of a lane with its frames decoded; runs inside `Dataset.map`.

    Args:
        clip: tensors.
        steps: from `augment.steps_of`, for the same size.
        size: of the frames.
        max_boxes: rows of the ground truth; 0: as many as the clip has.
        scale: frames of another size than their video's are scaled to it, not refused.

    Returns:
        `frames` `[T, H, W, 3]`, `start`, `frame_index`, `video_id`, `where`, and all of
        `GroundTruth`.
    """
    unroll_length = clip.images.shape[0]
    stored = (size.stored_height, size.stored_width)
    frames = tf.numpy_function(
        lambda images, sizes, wheres: decode.stacked(
            images, sizes, wheres, size=stored, scale=scale
        ),
        [clip.images, clip.image_sizes, clip.wheres],
        tf.uint8,
    )
    known: list[Any] = [*stored] if all(stored) else [None, None]
    frames = tf.ensure_shape(frames, [unroll_length, *known, 3])
    truth = GroundTruth(clip.boxes, clip.classes, clip.track_ids, clip.is_crowd)
    frames, truth = augment.apply(
        frames,
        truth,
        steps=steps,
        seed=clip.seed,
        reference_boxes=clip.reference_boxes,
        height=size.height,
        width=size.width,
        frame_index=clip.frame_index,
        still=clip.still,
    )
    return {
        "frames": frames,
        "start": clip.start,
        "frame_index": clip.frame_index,
        "video_id": clip.video_id,
        "where": clip.wheres,
        **_padded(truth, max_boxes, unroll_length),
    }


def batch_lanes(dataset: tf.data.Dataset, lanes: int) -> tf.data.Dataset:
    """Returns batches of one clip from each lane, padded to the largest M among them."""
    spec = dataset.element_spec
    minus_one = tf.constant(-1, tf.int32)
    return dataset.padded_batch(
        lanes,
        padded_shapes={name: part.shape for name, part in spec.items()},
        padding_values={name: minus_one if _PADDING.get(name) else None for name in spec},
        drop_remainder=True,
    )


def as_types(batch: dict[str, tf.Tensor], *, with_tracks: bool) -> tuple[ClipBatch, GroundTruth]:
    """Returns a batch as the model and the loss take it."""
    index = batch["frame_index"]  # [B, T]
    first = tf.one_hot(0, index.shape[1], on_value=True, off_value=False, dtype=tf.bool)  # [T]
    return (
        ClipBatch(
            frames=batch["frames"],
            starts=batch["start"][:, tf.newaxis] & first,
            frame_index=index,
            video_id=batch["video_id"],
            where=batch["where"],
        ),
        GroundTruth(
            boxes=batch["boxes"],
            classes=batch["classes"],
            track_ids=batch["track_ids"] if with_tracks else None,
            is_crowd=batch["is_crowd"],
        ),
    )


def _padded(truth: GroundTruth, max_boxes: int, unroll_length: int) -> dict[str, tf.Tensor]:
    """Returns the ground truth as a dict, padded to `max_boxes` rows unless that is 0."""
    values = truth._asdict()
    if not max_boxes:
        return values
    missing = max_boxes - tf.shape(truth.classes)[1]
    result = {}
    for name, value in values.items():
        rest = [[0, 0]] * (value.shape.rank - 2)
        padding = tf.cast(_PADDING[name], value.dtype)
        value = tf.pad(value, [[0, 0], [0, missing], *rest], constant_values=padding)
        result[name] = tf.ensure_shape(value, [unroll_length, max_boxes, *value.shape[2:]])
    return result
