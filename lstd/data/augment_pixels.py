"""Augmentation of pixels: flips, colours, noise, blur, and what hides a part of the frame.

Frames are `[T, H, W, C]` in [0, 255]. What is drawn for a run holds for all of its frames. Grey
frames (C is 1) have no colours, so hue, saturation and grayscale leave them alone.
"""

import math
from typing import Any

import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.data.scene import Scene, uniform

_TRACKS = 256
"""Objects whose track ids are equal modulo this number share their draws of occlusion."""


def horizontal_flip(settings: names.HorizontalFlip, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene with left and right exchanged."""
    return _flipped(scene, tf.reverse(scene.frames, [-2]), order=(0, 3, 2, 1), turned=(1, 3))


def vertical_flip(settings: names.VerticalFlip, scene: Scene, seed: tf.Tensor) -> Scene:
    """Returns the scene upside down."""
    return _flipped(scene, tf.reverse(scene.frames, [-3]), order=(2, 1, 0, 3), turned=(0, 2))


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

    The side is in [0, 1): a quarter each for top, left, bottom and right.
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
