"""Augmentation of clips: the same for all frames of a run, and the boxes follow exactly.

An augmentation is a dataclass of `lstd.config.augmentation_config`; what it does is a function of
its name in `augment_pixels` or `augment_windows`, of its settings, the scene and a seed, and of
nothing else. Time reversal and frame dropping change which frames are taken: see `clip_streams`.
"""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config import augmentation_config as names
from lstd.data import augment_pixels, augment_windows
from lstd.data.scene import Scene, fitted, sized

_ANY = (augment_pixels.horizontal_flip, augment_pixels.vertical_flip)
_WINDOWS = (
    augment_windows.ssd_random_crop,
    augment_windows.scale_jitter,
    augment_windows.crop_and_shift,
)
_SIZED = (
    *(augment_pixels.transpose, augment_pixels.brightness, augment_pixels.contrast),
    *(augment_pixels.saturation, augment_pixels.gamma, augment_pixels.hue),
    *(augment_pixels.grayscale, augment_pixels.noise, augment_pixels.motion_blur),
    *(augment_pixels.random_erasing, augment_pixels.occlusion),
)
_CHANGES: dict[str, Callable[..., Scene]] = {
    change.__name__: change for change in (*_ANY, *_WINDOWS, *_SIZED)
}
"""What each does. `_ANY` leave frames of any size and type as they are; `_SIZED` are given float32
of the final size; `_WINDOWS` make that of any, told to them as `size`."""

Step = names.AugmentationConfig


def steps_of(
    augmentation: Sequence[names.AugmentationConfig], *, height: int, width: int
) -> tuple[Step, ...]:
    """Returns the augmentations of frames, those of time left out, for frames of a final size.

    Raises:
        ValueError: a transposition of frames that are not square.
    """
    if height != width and any(isinstance(step, names.Transpose) for step in augmentation):
        raise ValueError(
            f"augmentation 'transpose' needs square frames, got {height} x {width} pixels; set "
            "data.train.height and data.train.width to one number, or leave it out"
        )
    return tuple(step for step in augmentation if step.name in _CHANGES)


def windows_of(augmentation: Sequence[names.AugmentationConfig]) -> tuple[Step, ...]:
    """Returns the augmentations that change heights and widths of boxes, relative to the frame."""
    changes = (*_WINDOWS, augment_pixels.transpose)
    return tuple(step for step in augmentation if _CHANGES.get(step.name) in changes)


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
    """Returns the clip, augmented, at height x width, with the remaining boxes first.

    Equal seeds, reference boxes, frame numbers and frame sizes give equal transforms, whatever else
    a clip shows. Flips, crops and scale jitter that come before anything else see the frames as
    they are stored; all others see them at their final size.

    Args:
        frames: uint8 or float32 `[T, H, W, C]`, T static.
        truth: of the frames, `[T, M]`.
        steps: from `steps_of`, for the same height and width.
        seed: int64 `[2]`.
        reference_boxes: float32 `[R, 4]`, which random crops are chosen to cover.
        height: of the result, pixels.
        width: likewise.
        frame_index: int32 `[T]`, counts the frames of the run; None: from 0.
        still: whether the clip is a single picture, T times.

    Returns:
        Frames `[T, height, width, C]`, float32 unless nothing but flips touched them, and the
        ground truth.
    """
    keep, tracks = truth.classes >= 0, truth.track_ids
    if truth.is_crowd is not None:  # regions to ignore
        keep |= truth.is_crowd
    if tracks is None:
        tracks = tf.fill(tf.shape(truth.classes), -1)
    scene = Scene(
        frames=frames,
        boxes=truth.boxes,
        keep=keep,
        track_ids=tracks,
        reference=reference_boxes,
        frame_index=tf.range(frames.shape[0]) if frame_index is None else frame_index,
        still=tf.convert_to_tensor(still),
    )
    for index, step in enumerate(steps):
        own = tf.random.experimental.stateless_fold_in(seed, index)
        scene = _used(scene, step, own, (height, width))
    scene = sized(scene, height, width)
    return scene.frames, _select(truth._replace(boxes=scene.boxes), scene.keep)


def _used(scene: Scene, step: Step, seed: tf.Tensor, size: tuple[int, int]) -> Scene:
    """Returns the scene with the step, or without it, as the seed decides."""
    function = _CHANGES[step.name]
    change = functools.partial(function, step, **({"size": size} if function in _WINDOWS else {}))
    if function in _SIZED:
        scene = fitted(scene, *size)

    def unchanged() -> Scene:
        return scene if function in _ANY else fitted(scene, *size)

    if step.probability >= 1:
        return change(scene, seed)
    if step.probability <= 0:
        return unchanged()
    chosen = tf.random.stateless_uniform([], seed) < step.probability
    return tf.cond(chosen, lambda: change(scene, seed), unchanged)


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
