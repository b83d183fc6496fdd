"""Augmentation of pixels: flips, colours, noise and blur. Frames are `[T, H, W, C]` in [0, 255].

What is drawn for a run holds for all of its frames. Grey frames (C is 1) have no colours, so hue,
saturation and grayscale leave them alone.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.data.scene import Scene, uniform


def horizontal_flip(settings: names.HorizontalFlip, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with left and right exchanged."""
    return _flipped(scene, scene.frames[..., ::-1, :], order=(0, 3, 2, 1), turned=(1, 3))


def vertical_flip(settings: names.VerticalFlip, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene upside down."""
    return _flipped(scene, scene.frames[..., ::-1, :, :], order=(2, 1, 0, 3), turned=(0, 2))


def transpose(settings: names.Transpose, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with x and y exchanged; its frames are square."""
    return _flipped(scene, tf.transpose(scene.frames, [0, 2, 1, 3]), order=(1, 0, 3, 2))


def brightness(settings: names.Brightness, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with up to `max_delta` of 255 added to all pixels, or taken away."""
    added = 255 * uniform(seed, -settings.max_delta, settings.max_delta)
    return _painted(scene, tf.image.adjust_brightness(scene.frames, added))


def contrast(settings: names.Contrast, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with distances from each frame's mean, channel by channel, multiplied."""
    return _painted(scene, tf.image.adjust_contrast(scene.frames, _factor(settings, seed)))


def gamma(settings: names.Gamma, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with pixels in [0, 1] raised to a power."""
    power = _factor(settings, seed)
    return _painted(scene, 255 * tf.image.adjust_gamma(scene.frames / 255, power))


def saturation(settings: names.Saturation, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with its saturation multiplied."""
    if scene.frames.shape[-1] == 1:
        return scene
    factor = _factor(settings, seed)
    return _painted(scene, 255 * tf.image.adjust_saturation(scene.frames / 255, factor))


def hue(settings: names.Hue, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with its hue turned by up to `max_delta`, as `tf.image.adjust_hue`."""
    if scene.frames.shape[-1] == 1:
        return scene
    turn = uniform(seed, -settings.max_delta, settings.max_delta)
    return _painted(scene, 255 * tf.image.adjust_hue(scene.frames / 255, turn))


def grayscale(settings: names.Grayscale, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene without its colours."""
    if scene.frames.shape[-1] == 1:
        return scene
    return _painted(scene, tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(scene.frames)))


def noise(settings: names.Noise, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with normal noise, another in each frame, of one strength."""
    strength, pixels = tf.unstack(tf.random.split(seed, 2))
    pixels = tf.random.experimental.stateless_fold_in(pixels, scene.frame_index[0])
    stddev = uniform(strength, 0, settings.max_stddev)
    added = tf.random.stateless_normal(tf.shape(scene.frames), pixels, stddev=stddev)
    return _painted(scene, scene.frames + added)


def motion_blur(settings: names.MotionBlur, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with all frames of the run smeared alike, by a length of the range."""
    length, angle = tf.unstack(tf.random.split(seed, 2))
    kernel = line(
        uniform(length, settings.min_length_px, settings.max_length_px),
        uniform(angle, 0.0, math.pi),
        reach=math.ceil((settings.max_length_px - 1) / 2),
    )
    return scene._replace(frames=blur(scene.frames, kernel))


def line(length_px: tf.Tensor, angle: tf.Tensor, *, reach: int) -> tf.Tensor:
    """Returns float32 `[2 * reach + 1] * 2`: a line through the centre, with a sum of 1.

    A pixel weighs 1 on the line and falls to 0 at a distance of 1 pixel from it. The length is from
    end to end, 1 and below: a single pixel; the angle counts in radians from the x axis downwards.
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
    margin = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    padded = tf.pad(frames, margin, mode="SYMMETRIC")
    filters = tf.tile(kernel[..., tf.newaxis, tf.newaxis], [1, 1, frames.shape[-1], 1])
    return tf.nn.depthwise_conv2d(padded, filters, strides=[1, 1, 1, 1], padding="VALID")


def _flipped(
    scene: Scene, frames: tf.Tensor, *, order: tuple[int, ...], turned: tuple[int, ...] = ()
) -> Scene:
    """Returns the scene with other frames and the sides of its boxes reordered, some as 1 - x."""
    is_turned = [side in turned for side in range(4)]

    def moved(boxes: tf.Tensor) -> tf.Tensor:
        boxes = tf.gather(boxes, order, axis=-1)
        return tf.where(is_turned, 1 - boxes, boxes)

    return scene._replace(frames=frames, boxes=moved(scene.boxes), reference=moved(scene.reference))


def _factor(settings: Any, seed: tf.Tensor) -> tf.Tensor:
    return uniform(seed, settings.min_factor, settings.max_factor)


def _painted(scene: Scene, frames: tf.Tensor) -> Scene:
    return scene._replace(frames=tf.clip_by_value(frames, 0.0, 255.0))
