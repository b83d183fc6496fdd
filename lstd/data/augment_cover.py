"""Augmentation that hides: rectangles at one place of the frame, patches that move with objects."""

from __future__ import annotations

import math

import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.data.scene import Scene

_TRACKS = 256
"""Objects whose track ids are equal modulo this number share their draws."""


def random_erasing(settings: names.RandomErasing, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with rectangles painted over, the same in all frames of a run."""
    count, areas, ratios, places, paint = tf.unstack(tf.random.split(seed, 5))
    height, width = scene.frames.shape[1:3]
    most = settings.max_count
    area = tf.random.stateless_uniform([most], areas, settings.min_area, settings.max_area)
    low, high = math.log(settings.min_aspect_ratio), math.log(settings.max_aspect_ratio)
    ratio = tf.exp(tf.random.stateless_uniform([most], ratios, low, high))
    ratio *= height / width  # of shares
    size = tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], axis=-1)  # [R, 2]
    size = tf.minimum(size, 1.0)
    begin = tf.random.stateless_uniform([most, 2], places) * (1 - size)
    drawn = tf.random.stateless_uniform([], count, 1, most + 1, tf.int32)
    rectangles = tf.concat([begin, begin + size], axis=-1)[:drawn][tf.newaxis]
    mask = covered(rectangles, height=height, width=width)  # [1, H, W]
    scene = scene._replace(frames=_paint(scene.frames, mask, fill=settings.fill, seed=paint))
    if not settings.min_visible:
        return scene
    visible = 1 - covered_share(scene.boxes, mask)
    return scene._replace(keep=scene.keep & (visible >= settings.min_visible))


def occlusion(settings: names.Occlusion, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with objects hidden from one side, `duration` of every `period` frames."""
    paint, draws = tf.unstack(tf.random.split(seed, 2))
    table = tf.random.stateless_uniform([_TRACKS, 4], draws)
    row = tf.range(tf.shape(scene.boxes)[1])[tf.newaxis]
    identity = tf.where(scene.track_ids >= 0, scene.track_ids, row) % _TRACKS
    chosen, share, side, phase = tf.unstack(tf.gather(table, identity), axis=-1)  # [T, M]
    time = scene.frame_index[:, tf.newaxis] + tf.cast(phase * settings.period, tf.int32)
    hidden = scene.keep & (chosen < settings.object_probability)
    hidden &= time % settings.period < settings.duration
    low, high = settings.min_share, settings.max_share
    patches = patch(scene.boxes, share=low + share * (high - low), side=side)
    patches = tf.where(hidden[..., tf.newaxis], patches, 0.0)
    height, width = scene.frames.shape[1:3]
    mask = covered(patches, height=height, width=width)
    return scene._replace(frames=_paint(scene.frames, mask, fill=settings.fill, seed=paint))


def patch(boxes: tf.Tensor, *, share: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Returns the part of each box `[..., 4]` that is hidden: a share of it, from its side inwards.

    The side is a number in [0, 1): a quarter each for top, left, bottom and right.
    """
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    tall, wide = share * (ymax - ymin), share * (xmax - xmin)
    which = tf.cast(side * 4, tf.int32)
    return tf.stack(
        [
            tf.where(which == 2, ymax - tall, ymin),
            tf.where(which == 3, xmax - wide, xmin),
            tf.where(which == 0, ymin + tall, ymax),
            tf.where(which == 1, xmin + wide, xmax),
        ],
        axis=-1,
    )


def covered(rectangles: tf.Tensor, *, height: int, width: int) -> tf.Tensor:
    """Returns bool `[T, H, W]`: the pixel's centre lies in one of the rectangles `[T, R, 4]`."""
    rows, columns = _spans(rectangles, height, width)
    return tf.einsum("trh,trw->thw", rows, columns) > 0


def covered_share(boxes: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns float32 `[T, M]`: the share of the pixels of boxes `[T, M, 4]` that are in a mask.

    The mask is bool `[T, H, W]` or `[1, H, W]`; a box that holds no pixel's centre has 0.
    """
    rows, columns = _spans(boxes, *mask.shape[1:3])
    mask = tf.broadcast_to(tf.cast(mask, tf.float32), [tf.shape(boxes)[0], *mask.shape[1:3]])
    hidden = tf.reduce_sum(tf.einsum("trh,thw->trw", rows, mask) * columns, axis=-1)
    total = tf.reduce_sum(rows, axis=-1) * tf.reduce_sum(columns, axis=-1)
    return tf.math.divide_no_nan(hidden, total)


def _spans(rectangles: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 `[T, R, H]` and `[T, R, W]`: 1 where a row, a column, lies in a rectangle."""

    def inside(low: tf.Tensor, high: tf.Tensor, length: int) -> tf.Tensor:
        centres = (tf.range(length, dtype=tf.float32) + 0.5) / length
        between = (centres >= low[..., tf.newaxis]) & (centres < high[..., tf.newaxis])
        return tf.cast(between, tf.float32)

    ymin, xmin, ymax, xmax = tf.unstack(rectangles, axis=-1)
    return inside(ymin, ymax, height), inside(xmin, xmax, width)


def _paint(frames: tf.Tensor, mask: tf.Tensor, *, fill: names.Fill, seed: tf.Tensor) -> tf.Tensor:
    if fill == "noise":
        paint = tf.random.stateless_uniform(frames.shape[1:], seed, 0, 255)
    elif fill == "mean":
        paint = tf.reduce_mean(frames, axis=[1, 2], keepdims=True)
    else:
        paint = tf.constant(128.0 if fill == "gray" else 0.0)
    return tf.where(mask[..., tf.newaxis], paint, frames)
