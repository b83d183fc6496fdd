"""A clip as it is read: the frames of a piece of a video, still encoded, and their ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lstd.data import decode
from lstd.data.footage import Footage
from lstd.data.rows import Row


class Clip(NamedTuple):
    """T frames of a lane. R is the number of boxes in the frame that started the run.

    A run is what the network sees as one video: it starts with a zero state. Augmentation is drawn
    by `seed` and `reference_boxes`, which stay the same all through a run.

    Attributes:
        images: object `[T]` of bytes, see `lstd.data.decode`; so are the next.
        image_sizes: int32 `[T, 2]`.
        boxes: float32 `[T, M, 4]`, padded with 0.
        classes: int32 `[T, M]`, 0-based, padded with -1.
        track_ids: int32 `[T, M]`, padded with -1.
        is_crowd: bool `[T, M]`.
        frame_index: int32 `[T]`, counts the frames of the run from 0; -1: padding, not to be
            evaluated.
        start: whether this clip starts a run.
        video_id: name of the video.
        seed: int64 `[2]`.
        reference_boxes: float32 `[R, 4]`, the boxes of the run's first frame.
        still: whether the video is a single frame.
        wheres: object `[T]` of bytes: names each frame, for messages.
    """

    images: np.ndarray
    image_sizes: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    track_ids: np.ndarray
    is_crowd: np.ndarray
    frame_index: np.ndarray
    start: bool
    video_id: str
    seed: np.ndarray
    reference_boxes: np.ndarray
    still: bool
    wheres: np.ndarray


def clip_signature(unroll_length: int) -> Clip:
    """Returns the shapes and dtypes of a clip, for `tf.data.Dataset.from_generator`."""
    return Clip(
        images=tf.TensorSpec([unroll_length], tf.string),
        image_sizes=tf.TensorSpec([unroll_length, 2], tf.int32),
        boxes=tf.TensorSpec([unroll_length, None, 4], tf.float32),
        classes=tf.TensorSpec([unroll_length, None], tf.int32),
        track_ids=tf.TensorSpec([unroll_length, None], tf.int32),
        is_crowd=tf.TensorSpec([unroll_length, None], tf.bool),
        frame_index=tf.TensorSpec([unroll_length], tf.int32),
        start=tf.TensorSpec([], tf.bool),
        video_id=tf.TensorSpec([], tf.string),
        seed=tf.TensorSpec([2], tf.int64),
        reference_boxes=tf.TensorSpec([None, 4], tf.float32),
        still=tf.TensorSpec([], tf.bool),
        wheres=tf.TensorSpec([unroll_length], tf.string),
    )


def clip_of(
    rows: Sequence[Row],
    *,
    video: Footage,
    frame_index: np.ndarray,
    start: bool,
    seed: np.ndarray | None = None,
    reference_boxes: np.ndarray | None = None,
) -> Clip:
    """Returns the rows as one clip of `len(frame_index)` frames; the last row fills it up.

    Args:
        rows: at least one, at most as many as frames.
        video: that they are of.
        frame_index: see `Clip`; so are the next.
        start: likewise.
        seed: None: zeros; evaluation draws nothing.
        reference_boxes: None: no box.
    """
    rows = [*rows, *[rows[-1]] * (len(frame_index) - len(rows))]
    most = max(len(row.classes) for row in rows)

    def stacked(columns: list[np.ndarray], padding: int) -> np.ndarray:
        shape = (len(columns), most, *columns[0].shape[1:])
        result = np.full(shape, padding, columns[0].dtype)
        for number, column in enumerate(columns):
            result[number, : len(column)] = column
        return result

    packed = [decode.packed(row.image, where=row.where) for row in rows]
    return Clip(
        images=np.array([data for data, _ in packed], object),
        image_sizes=np.array([size for _, size in packed], np.int32),
        boxes=stacked([row.boxes for row in rows], 0),
        classes=stacked([row.classes for row in rows], -1),
        track_ids=stacked([row.track_ids for row in rows], -1),
        is_crowd=stacked([row.is_crowd for row in rows], 0),
        frame_index=frame_index,
        start=start,
        video_id=video.name,
        seed=np.zeros(2, np.int64) if seed is None else seed,
        reference_boxes=np.zeros([0, 4], np.float32)
        if reference_boxes is None
        else reference_boxes,
        still=video.num_frames == 1,
        wheres=np.array([row.where.encode() for row in rows], object),
    )
