"""Augmentation by motion blur: frames smeared along one direction; boxes stay."""

from __future__ import annotations

import math

import tensorflow as tf

from lstd.data.scene import Change, Scene, uniform


def motion_blur(min_length_px: float, max_length_px: float) -> Change:
    """Returns the change that smears all frames of a run alike, by a length drawn from the range.

    The smear reaches equally far to both sides, so that nothing moves; beyond the edge the frame is
    mirrored.
    """
    reach = math.ceil((max_length_px - 1) / 2)

    def change(scene: Scene, seed: tf.Tensor) -> Scene:
        length, angle = tf.unstack(tf.random.split(seed, 2))
        kernel = line(
            uniform(length, min_length_px, max_length_px),
            uniform(angle, 0.0, math.pi),
            reach=reach,
        )
        return scene._replace(frames=blur(scene.frames, kernel))

    return change


def line(length_px: tf.Tensor, angle: tf.Tensor, *, reach: int) -> tf.Tensor:
    """Returns float32 `[2 * reach + 1] * 2`: a line through the centre, with a sum of 1.

    A pixel weighs 1 on the line and falls to 0 at a distance of 1 pixel from it.

    Args:
        length_px: from end to end; 1 and below: a single pixel.
        angle: radians, counted from the x axis downwards.
        reach: pixels to each side.
    """
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    y, x = offsets[:, tf.newaxis], offsets[tf.newaxis]
    half = tf.maximum((length_px - 1) / 2, 0.0)
    along = tf.clip_by_value(x * tf.cos(angle) + y * tf.sin(angle), -half, half)
    distance = tf.sqrt((x - along * tf.cos(angle)) ** 2 + (y - along * tf.sin(angle)) ** 2)
    weights = tf.maximum(1 - distance, 0.0)
    return weights / tf.reduce_sum(weights)


def blur(frames: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns float32 frames `[T, H, W, C]` under an odd square kernel, mirrored at the edges."""
    reach = kernel.shape[0] // 2
    channels = frames.shape[-1]
    margin = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    padded = tf.pad(frames, margin, mode="SYMMETRIC")
    filters = tf.tile(kernel[..., tf.newaxis, tf.newaxis], [1, 1, channels, 1])
    return tf.nn.depthwise_conv2d(padded, filters, strides=[1, 1, 1, 1], padding="VALID")
