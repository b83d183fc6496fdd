"""Augmentation of clips: the same for all frames of a run, and the boxes follow exactly.

The augmentations stand in a file for each family: `augment_flips`, `augment_windows`,
`augment_color`, `augment_cover`, `augment_blur`. Each draws from the seed it is given and from
nothing else. Time reversal and frame dropping change which frames are taken: see `walk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config import augmentation_config as names
from lstd.data import augment_blur, augment_color, augment_cover, augment_flips, augment_windows
from lstd.data.scene import Change, Scene, fitted, sized


class Step(NamedTuple):
    """An augmentation and when it is used.

    Attributes:
        probability: how often a run gets it.
        change: what it does.
        needs: what it is given, and gives out. any: frames of any size and type, which it leaves as
            they are; window: frames of any size and type, it gives out float32 of the final size;
            sized: float32 of the final size.
    """

    probability: float
    change: Change
    needs: Literal["any", "window", "sized"]


class _Size(NamedTuple):
    height: int
    width: int


def steps_of(
    configs: Sequence[names.AugmentationConfig], *, height: int, width: int
) -> tuple[Step, ...]:
    """Returns the steps of a config, those of time left out.

    Args:
        configs: in their order.
        height: of the frames as they come out, pixels.
        width: likewise.

    Raises:
        ValueError: a transposition of frames that are not square.
    """
    size = _Size(height, width)
    steps = []
    for config in configs:
        if isinstance(config, names.TimeReversal | names.FrameDropping):
            continue
        if isinstance(config, names.Transpose) and height != width:
            raise ValueError(
                f"augmentation 'transpose' needs square frames, got {height} x {width} pixels; set "
                "data.train.height and data.train.width to one number, or leave it out"
            )
        needs, make = _MAKERS[type(config)]
        steps.append(Step(config.probability, make(config, size), needs))
    return tuple(steps)


def apply(
    frames: tf.Tensor,
    truth: GroundTruth,
    *,
    steps: Sequence[Step],
    seed: tf.Tensor,
    reference_boxes: tf.Tensor,
    height: int,
    width: int,
    frame_index: tf.Tensor | None = None,
    still: tf.Tensor | bool = False,
) -> tuple[tf.Tensor, GroundTruth]:
    """Returns the clip after the steps, at height x width, with the remaining boxes first.

    Equal seeds, reference boxes, frame numbers and frame sizes give equal transforms, whatever else
    a clip shows. Flips, crops and scale jitter that come before anything else see the frames as
    they are stored; all others see them at their final size.

    Args:
        frames: uint8 or float32 `[T, H, W, C]`, T static.
        truth: of the frames, `[T, M]`; a padding row has class -1.
        steps: from `steps_of`, for the same height and width.
        seed: int64 `[2]`.
        reference_boxes: float32 `[R, 4]`, which random crops are chosen to cover.
        height: of the result, pixels.
        width: of the result, pixels.
        frame_index: int32 `[T]`, counts the frames of the run; None: from 0.
        still: whether the clip is a single picture, T times.

    Returns:
        Frames `[T, height, width, C]`, float32 unless nothing but flips touched them, and the
        ground truth.
    """
    scene = Scene(
        frames=frames,
        boxes=truth.boxes,
        keep=truth.classes >= 0,
        track_ids=tf.fill(tf.shape(truth.classes), -1)
        if truth.track_ids is None
        else truth.track_ids,
        reference=reference_boxes,
        frame_index=tf.range(frames.shape[0]) if frame_index is None else frame_index,
        still=tf.convert_to_tensor(still),
    )
    for index, step in enumerate(steps):
        own = tf.random.experimental.stateless_fold_in(seed, index)
        if step.needs == "sized":
            scene = fitted(scene, height, width)
        scene = _used(scene, step, own, height=height, width=width)
    scene = sized(scene, height, width)
    return scene.frames, _select(truth._replace(boxes=scene.boxes), scene.keep)


def _used(scene: Scene, step: Step, seed: tf.Tensor, *, height: int, width: int) -> Scene:
    """Returns the scene with the step, or without it, as the seed decides."""

    def unchanged() -> Scene:
        return scene if step.needs == "any" else fitted(scene, height, width)

    if step.probability >= 1:
        return step.change(scene, seed)
    if step.probability <= 0:
        return unchanged()
    chosen = tf.random.stateless_uniform([], seed) < step.probability
    return tf.cond(chosen, lambda: step.change(scene, seed), unchanged)


def _flip(flip: augment_flips.Flip) -> Callable[[object, _Size], Change]:
    return lambda config, size: augment_flips.change(flip)


def _ssd(config: names.SsdRandomCrop, size: _Size) -> Change:
    operations = [
        augment_windows.Operation(
            min_object_covered=one.min_object_covered,
            aspect_ratio_range=(one.min_aspect_ratio, one.max_aspect_ratio),
            area_range=(one.min_area, one.max_area),
            overlap_thresh=one.overlap_thresh,
            random_coef=one.random_coef,
        )
        for one in config.operations
    ]
    return augment_windows.ssd_random_crop(operations, **size._asdict())


def _scale_jitter(config: names.ScaleJitter, size: _Size) -> Change:
    return augment_windows.scale_jitter(
        min_scale=config.min_scale,
        max_scale=config.max_scale,
        min_visible=config.min_visible,
        fill=config.fill,
        **size._asdict(),
    )


def _crop_and_shift(config: names.CropAndShift, size: _Size) -> Change:
    return augment_windows.crop_and_shift(
        min_size=config.min_size,
        max_size=config.max_size,
        max_shift=config.max_shift,
        max_zoom=config.max_zoom,
        min_visible=config.min_visible,
        **size._asdict(),
    )


def _factor(make: Callable[[float, float], Change]) -> Callable[[names.Contrast, _Size], Change]:
    return lambda config, size: make(config.min_factor, config.max_factor)


def _erasing(config: names.RandomErasing, size: _Size) -> Change:
    return augment_cover.random_erasing(
        max_count=config.max_count,
        area_range=(config.min_area, config.max_area),
        aspect_ratio_range=(config.min_aspect_ratio, config.max_aspect_ratio),
        fill=config.fill,
        min_visible=config.min_visible,
    )


def _occlusion(config: names.Occlusion, size: _Size) -> Change:
    return augment_cover.occlusion(
        object_probability=config.object_probability,
        share_range=(config.min_share, config.max_share),
        period=config.period,
        duration=config.duration,
        fill=config.fill,
    )


_MAKERS: dict[type, tuple[Literal["any", "window", "sized"], Callable[..., Change]]] = {
    names.HorizontalFlip: ("any", _flip(augment_flips.horizontal_flip)),
    names.VerticalFlip: ("any", _flip(augment_flips.vertical_flip)),
    names.Transpose: ("sized", _flip(augment_flips.transpose)),
    names.SsdRandomCrop: ("window", _ssd),
    names.ScaleJitter: ("window", _scale_jitter),
    names.CropAndShift: ("window", _crop_and_shift),
    names.Brightness: ("sized", lambda config, size: augment_color.brightness(config.max_delta)),
    names.Contrast: ("sized", _factor(augment_color.contrast)),
    names.Saturation: ("sized", _factor(augment_color.saturation)),
    names.Gamma: ("sized", _factor(augment_color.gamma)),
    names.Hue: ("sized", lambda config, size: augment_color.hue(config.max_delta)),
    names.Grayscale: ("sized", lambda config, size: augment_color.grayscale()),
    names.Noise: ("sized", lambda config, size: augment_color.noise(config.max_stddev)),
    names.RandomErasing: ("sized", _erasing),
    names.Occlusion: ("sized", _occlusion),
    names.MotionBlur: (
        "sized",
        lambda config, size: augment_blur.motion_blur(config.min_length_px, config.max_length_px),
    ),
}


def _select(truth: GroundTruth, keep: tf.Tensor) -> GroundTruth:
    """Returns the rows to keep, first and in their order, and padding after them."""
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=-1, stable=True)
    keep = tf.gather(keep, order, batch_dims=1)

    def selected(values: tf.Tensor | None, padding: int) -> tf.Tensor | None:
        if values is None:
            return None
        values = tf.gather(values, order, batch_dims=1)
        mask = keep[..., tf.newaxis] if values.shape.rank == 3 else keep
        return tf.where(mask, values, tf.cast(padding, values.dtype))

    return GroundTruth(
        boxes=selected(truth.boxes, 0),
        classes=selected(truth.classes, -1),
        track_ids=selected(truth.track_ids, -1),
        is_crowd=selected(truth.is_crowd, 0),
    )
