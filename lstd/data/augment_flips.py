"""Augmentation by exchanging sides: horizontal and vertical flip, transposition."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lstd.data.scene import Change, Scene

Flip = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def horizontal_flip(frames: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns frames `[T, H, W, C]` and boxes `[..., 4]` with left and right exchanged."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return frames[..., ::-1, :], tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=-1)


def vertical_flip(frames: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns frames `[T, H, W, C]` and boxes `[..., 4]` upside down."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return frames[..., ::-1, :, :], tf.stack([1 - ymax, xmin, 1 - ymin, xmax], axis=-1)


def transpose(frames: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns frames and boxes with x and y exchanged.

    Raises:
        ValueError: the frames are not square, as far as their static shape tells.
    """
    height, width = frames.shape[1:3]
    if height != width:
        raise ValueError(f"transpose needs square frames, got {height} x {width} pixels")
    return tf.transpose(frames, [0, 2, 1, 3]), tf.gather(boxes, [1, 0, 3, 2], axis=-1)


def change(flip: Flip) -> Change:
    """Returns the change of a scene that a flip makes; there is nothing to draw."""

    def flipped(scene: Scene, seed: tf.Tensor) -> Scene:
        frames, boxes = flip(scene.frames, scene.boxes)
        _, reference = flip(scene.frames, scene.reference)
        return scene._replace(frames=frames, boxes=boxes, reference=reference)

    return flipped
