"""Augmentation by a window onto the frames: random crops, scale jitter, stills that move.

A window is a rectangle of whole pixels, so that boxes follow it exactly; what it shows is resized
afterwards. It may reach beyond the frame.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.data.scene import Scene, area, fitted, uniform

_ROUNDING = 1e-5
"""The share of a box within a window comes out a rounding error below 1."""


class Window(NamedTuple):
    """A rectangle on a frame."""

    begin: tf.Tensor  # int32 [2], y and x of the upper left pixel
    size: tf.Tensor  # int32 [2], height and width, pixels
    minimum_overlap: tf.Tensor  # a box stays if this share of its area lies in the window


def crop(
    frames: tf.Tensor, boxes: tf.Tensor, window: Window, *, fill: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns what of frames `[T, H, W, C]` is in a window, the boxes in it, and which boxes stay.

    Frames are `[T, h, w, C]`, `fill` where the window reaches beyond them. Boxes `[..., 4]`,
    relative to the frames, become relative to the window, clipped to the part of it that shows the
    frame. One stays, bool `[...]`, if it meets the window and enough of it lies within.
    """
    extent, static = tf.shape(frames)[1:3], frames.shape
    low, high = window.begin, window.begin + window.size
    inner_low, inner_high = tf.clip_by_value(low, 0, extent), tf.clip_by_value(high, 0, extent)
    frames = frames[:, inner_low[0] : inner_high[0], inner_low[1] : inner_high[1]]
    padding = tf.stack([inner_low - low, high - inner_high], axis=1)  # [2, 2]
    frames = tf.cond(
        tf.reduce_any(padding > 0),
        lambda: tf.pad(
            frames,
            tf.concat([[[0, 0]], padding, [[0, 0]]], axis=0),
            constant_values=tf.cast(fill, frames.dtype),
        ),
        lambda: frames,
    )
    frames = tf.ensure_shape(frames, [*static[:1], None, None, *static[3:]])
    shape = tf.cast(extent, tf.float32)
    origin, span = (tf.cast(part, tf.float32) / shape for part in (low, window.size))
    moved = (boxes - tf.tile(origin, [2])) / tf.tile(span, [2])
    size = tf.cast(window.size, tf.float32)
    seen = [tf.cast(edge - low, tf.float32) / size for edge in (inner_low, inner_high)]
    clipped = tf.clip_by_value(moved, tf.tile(seen[0], [2]), tf.tile(seen[1], [2]))
    share = tf.math.divide_no_nan(area(clipped), area(moved))
    meets = tf.reduce_all(moved[..., :2] < seen[1], axis=-1) & tf.reduce_all(
        moved[..., 2:] > seen[0], axis=-1
    )
    return frames, clipped, meets & (share >= window.minimum_overlap - _ROUNDING)


def random_window(
    boxes: tf.Tensor,
    *,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    seed: tf.Tensor,
    operations: Sequence[names.CropOperation],
) -> Window:
    """Returns a random crop of a frame in pixels by one of the operations, as likely as the others.

    It is chosen to cover boxes, float32 `[R, 4]`, none of them padding; without any, only aspect
    ratio and area hold. After 100 vain draws, and by `random_coef`, the window is the whole frame;
    in the latter case every box stays, whatever it is like.

    Source: Liu et al., SSD, 2016, section 2.2 (https://arxiv.org/abs/1512.02325);
        `ssd_random_crop` of the TF1 Object Detection API.
    """
    draw, sample, chance = tf.unstack(tf.random.split(seed, 3))
    choice = tf.random.stateless_uniform([], draw, maxval=len(operations), dtype=tf.int32)
    frame_size = tf.stack([height, width])

    def sampled(covered: tf.Tensor, shape: tuple[float, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.stack([height, width, 3]),
            tf.clip_by_value(boxes, 0.0, 1.0)[tf.newaxis],
            seed=sample,
            min_object_covered=covered,
            aspect_ratio_range=shape[:2],
            area_range=shape[2:],
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return begin[:2], size[:2]

    # Ratios and areas are attributes of the op, not inputs: one branch for each pair of them.
    shapes = [
        (one.min_aspect_ratio, one.max_aspect_ratio, one.min_area, one.max_area)
        for one in operations
    ]
    distinct = list(dict.fromkeys(shapes))
    covered = tf.gather([one.min_object_covered for one in operations], choice)
    begin, size = tf.switch_case(
        tf.gather([distinct.index(shape) for shape in shapes], choice),
        [lambda shape=shape: sampled(covered, shape) for shape in distinct],
    )
    size = tf.where(size < 0, frame_size, size)
    overlap = tf.gather([one.overlap_thresh for one in operations], choice)
    kept = uniform(chance, 0, 1) < tf.gather([one.random_coef for one in operations], choice)
    return Window(
        begin=tf.where(kept, 0, begin),
        size=tf.where(kept, frame_size, size),
        minimum_overlap=tf.where(kept, -1.0, overlap),
    )


def ssd_random_crop(
    settings: names.SsdRandomCrop, scene: Scene, seed: tf.Tensor, *, size: tuple[int, int]
) -> Scene:
    """Returns what a random window shows; see `random_window`."""
    extent, operations = tf.shape(scene.frames), settings.operations
    window = random_window(
        scene.reference, height=extent[1], width=extent[2], seed=seed, operations=operations
    )
    return fitted(_seen_through(scene, window), *size)


def scale_jitter(
    settings: names.ScaleJitter, scene: Scene, seed: tf.Tensor, *, size: tuple[int, int]
) -> Scene:
    """Returns the frames scaled by an evenly drawn logarithm, at a random place."""
    draw, place = tf.unstack(tf.random.split(seed, 2))
    scale = tf.exp(uniform(draw, math.log(settings.min_scale), math.log(settings.max_scale)))
    extent = tf.cast(tf.shape(scene.frames)[1:3], tf.float32)
    shown = tf.maximum(tf.round(extent / scale), 1)
    begin = tf.round(tf.random.stateless_uniform([2], place) * (extent - shown))
    window = Window(tf.cast(begin, tf.int32), tf.cast(shown, tf.int32), settings.min_visible)
    return fitted(_seen_through(scene, window, fill=settings.fill), *size)


def crop_and_shift(
    settings: names.CropAndShift, scene: Scene, seed: tf.Tensor, *, size: tuple[int, int]
) -> Scene:
    """Returns what a window shows that moves evenly over a still; clips are only resized.

    The first window has a side of `min_size` to `max_size` of the still's. From frame to frame it
    moves by up to `max_shift` of its side on each axis and changes its size by up to the factor
    `max_zoom`, as far as the still reaches.
    """

    def moved() -> Scene:
        begins, sides = _path(settings, seed, steps=scene.frames.shape[0])
        extent = tf.cast(tf.shape(scene.frames)[1:3], tf.float32)
        begins = tf.cast(tf.round(begins * extent), tf.int32)
        sides = tf.cast(tf.maximum(tf.round(sides * extent), 1), tf.int32)
        begins = tf.minimum(begins, tf.shape(scene.frames)[1:3] - sides)
        first = Window(begins[0], sides[0], settings.min_visible)
        _, reference, stays = crop(scene.frames[:1], scene.reference, first)
        varying, shown = ("frames", "boxes", "keep"), []
        for t in range(scene.frames.shape[0]):
            single = scene._replace(**{name: getattr(scene, name)[t : t + 1] for name in varying})
            window = Window(begins[t], sides[t], settings.min_visible)
            shown.append(fitted(_seen_through(single, window), *size))
        return scene._replace(
            reference=tf.boolean_mask(reference, stays),
            **{name: tf.concat([getattr(part, name) for part in shown], 0) for name in varying},
        )

    return tf.cond(scene.still, moved, lambda: fitted(scene, *size))


def _path(
    settings: names.CropAndShift, seed: tf.Tensor, *, steps: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns begins `[T, 2]` and sizes `[T, 1]` of a window's way, shares of the frame."""
    draw, zoom, place, shift = tf.unstack(tf.random.split(seed, 4))
    last = float(steps - 1)
    size = uniform(draw, settings.min_size, settings.max_size)
    reach = math.log(settings.max_zoom) * last
    end_size = tf.minimum(size * tf.exp(uniform(zoom, -reach, reach)), 1.0)
    begin = tf.random.stateless_uniform([2], place) * (1 - size)
    way = tf.random.stateless_uniform([2], shift, -1, 1) * settings.max_shift * last * size
    # The centre moves; the window stays on the still.
    end = tf.clip_by_value(begin + way + (size - end_size) / 2, 0.0, 1 - end_size)
    t = (tf.range(steps, dtype=tf.float32) / max(last, 1.0))[:, tf.newaxis]  # [T, 1]
    return begin + (end - begin) * t, size + (end_size - size) * t


def _seen_through(scene: Scene, window: Window, *, fill: float = 0.0) -> Scene:
    frames, boxes, stays = crop(scene.frames, scene.boxes, window, fill=fill)
    _, reference, reference_stays = crop(scene.frames, scene.reference, window)
    return scene._replace(
        frames=frames,
        boxes=boxes,
        keep=scene.keep & stays,
        reference=tf.boolean_mask(reference, reference_stays),
    )
