"""Augmentation of pixel values; boxes stay. Frames are float32 `[T, H, W, C]` in [0, 255].

What is drawn for a run holds for all of its frames. Grey frames (C is 1) have no colours, so hue,
saturation and grayscale leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lstd.data.scene import Change, Scene, uniform

Paint = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def brightness(max_delta: float) -> Change:
    """Returns the change that adds up to `max_delta` of 255 to all pixels, or takes it away."""
    return _painted(
        lambda frames, seed: tf.image.adjust_brightness(
            frames, 255 * uniform(seed, -max_delta, max_delta)
        )
    )


def contrast(low: float, high: float) -> Change:
    """Returns the change that multiplies distances from each frame's mean, channel by channel."""
    return _painted(lambda frames, seed: tf.image.adjust_contrast(frames, uniform(seed, low, high)))


def saturation(low: float, high: float) -> Change:
    """Returns the change that multiplies the saturation."""
    return _painted(
        lambda frames, seed: (
            255 * tf.image.adjust_saturation(frames / 255, uniform(seed, low, high))
        ),
        colours=True,
    )


def hue(max_delta: float) -> Change:
    """Returns the change that turns the hue by up to `max_delta`, as `tf.image.adjust_hue`."""
    return _painted(
        lambda frames, seed: (
            255 * tf.image.adjust_hue(frames / 255, uniform(seed, -max_delta, max_delta))
        ),
        colours=True,
    )


def gamma(low: float, high: float) -> Change:
    """Returns the change that raises pixels in [0, 1] to a power."""
    return _painted(
        lambda frames, seed: 255 * tf.image.adjust_gamma(frames / 255, uniform(seed, low, high))
    )


def grayscale() -> Change:
    """Returns the change that takes the colours out."""
    return _painted(
        lambda frames, seed: tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(frames)),
        colours=True,
    )


def noise(max_stddev: float) -> Change:
    """Returns the change that adds normal noise, another in each frame, of one strength."""

    def change(scene: Scene, seed: tf.Tensor) -> Scene:
        strength, pixels = tf.unstack(tf.random.split(seed, 2))
        pixels = tf.random.experimental.stateless_fold_in(pixels, scene.frame_index[0])
        added = tf.random.stateless_normal(
            tf.shape(scene.frames), pixels, stddev=uniform(strength, 0, max_stddev)
        )
        return scene._replace(frames=tf.clip_by_value(scene.frames + added, 0.0, 255.0))

    return change


def _painted(paint: Paint, *, colours: bool = False) -> Change:
    """Returns the change that paints frames and cuts them to [0, 255]."""

    def change(scene: Scene, seed: tf.Tensor) -> Scene:
        if colours and scene.frames.shape[-1] == 1:
            return scene
        frames = tf.clip_by_value(paint(scene.frames, seed), 0.0, 255.0)
        return scene._replace(frames=frames)

    return change
