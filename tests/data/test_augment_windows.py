from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.config.augmentation_config import CropOperation
from lstd.data import augment_windows
from lstd.data.augment_windows import Window
from lstd.data.scene import Scene
from tests.data.drawn import clip_of, drawn_scene, found

SEED = tf.constant([3, 4], tf.int64)
ALWAYS = tuple(dataclasses.replace(one, random_coef=0.0) for one in names.SSD_OPERATIONS)


def window(begin: tuple, size: tuple, overlap: float = 0.0) -> Window:
    return Window(tf.constant(begin), tf.constant(size), tf.constant(overlap))


def box_of_pixels(frame: tf.Tensor) -> list[int]:
    """Returns the box around what is at least half as bright as the single drawn box."""
    return found((frame.numpy() >= 0.5).astype(np.uint8), 1)


def test_a_crop_moves_and_clips_boxes_as_it_does_pixels() -> None:
    frames, truth = clip_of([(2, 2, 6, 6), (4, 8, 6, 10), (0, 0, 1, 1)], 8, 10)

    cropped, boxes, stays = augment_windows.crop(frames, truth.boxes, window((3, 4), (4, 5)))

    assert cropped.shape == (1, 4, 5, 1)
    np.testing.assert_array_equal(stays[0], [True, True, False])
    for number in range(2):
        pixels = boxes[0, number].numpy() * [4, 5, 4, 5]
        np.testing.assert_allclose(pixels, found(cropped[0].numpy(), number + 1), atol=1e-5)


def test_a_window_beyond_the_frame_is_filled_and_boxes_end_where_the_frame_does() -> None:
    frames, truth = clip_of([(2, 2, 6, 6), (5, 7, 8, 10)], 8, 10)

    seen, boxes, stays = augment_windows.crop(
        frames, truth.boxes, window((-3, -1), (14, 12)), fill=9.0
    )

    assert seen.shape == (1, 14, 12, 1)
    assert stays.numpy().all()
    np.testing.assert_array_equal(seen[0, :3], 9)
    np.testing.assert_array_equal(seen[0, :, 11], 9)
    for number in range(2):
        pixels = boxes[0, number].numpy() * [14, 12, 14, 12]
        np.testing.assert_allclose(pixels, found(seen[0].numpy(), number + 1), atol=1e-5)


@pytest.mark.parametrize(("overlap", "expected"), [(0.5, True), (0.6, False), (1.0, False)])
def test_a_box_stays_if_enough_of_it_is_in_the_window(overlap: float, expected: bool) -> None:
    frames, truth = clip_of([(0, 0, 4, 4)], 8, 8)
    half = window((0, 2), (8, 6), overlap)

    assert bool(augment_windows.crop(frames, truth.boxes, half)[2][0, 0]) is expected


def test_a_whole_box_stays_at_the_strictest_overlap() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        low, size = generator.integers(0, 40, 2), generator.integers(20, 60, 2)
        box = [*(low + 3), *(low + size - 3)]
        frames, truth = clip_of([box], 100, 100)
        strict = window(tuple(low), tuple(size), 1.0)
        assert bool(augment_windows.crop(frames, truth.boxes, strict)[2][0, 0])


def test_random_windows_keep_their_promises() -> None:
    boxes = tf.constant([[0.1, 0.1, 0.3, 0.4], [0.5, 0.6, 0.9, 0.9]])
    overlaps = set()
    for number in range(60):
        shown = augment_windows.random_window(
            boxes, height=60, width=80, seed=tf.constant([number, 0], tf.int64), operations=ALWAYS
        )
        (y, x), (height, width) = shown.begin.numpy(), shown.size.numpy()
        overlaps.add(round(float(shown.minimum_overlap), 1))
        assert 0 <= y <= y + height <= 60
        assert 0 <= x <= x + width <= 80
        # One pixel of rounding on sides of at least 13 pixels.
        assert 0.45 <= width / height <= 2.2 or (height, width) == (60, 80)
        assert height * width >= 0.09 * 60 * 80
        covered = tf.zeros([1, 60, 80, 1]), boxes, shown._replace(minimum_overlap=0.0)
        _, inside, meets = augment_windows.crop(*covered)
        share = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1]) * height * width
        share /= (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * 60 * 80
        best = tf.reduce_max(tf.where(meets, share, 0.0)).numpy()
        assert best >= shown.minimum_overlap.numpy() - 0.1  # whole pixels of boxes 12 px high
    assert overlaps == {0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0}


def test_each_operation_has_its_own_bounds() -> None:
    small = CropOperation(0.0, 1.0, 1.0, 0.1, 0.2, 0.25, 0.0)
    wide = CropOperation(0.0, 1.8, 2.0, 0.3, 0.4, 0.75, 0.0)
    seen = set()
    for number in range(30):
        shown = augment_windows.random_window(
            tf.zeros([0, 4]),
            height=200,
            width=200,
            seed=tf.constant([number, 0], tf.int64),
            operations=(small, wide),
        )
        height, width = shown.size.numpy()
        seen.add(float(shown.minimum_overlap))
        if shown.minimum_overlap == 0.25:
            assert height == width
            assert 0.09 <= height * width / 200**2 <= 0.21  # whole pixels
        else:
            assert 1.75 <= width / height <= 2.05
            assert 0.29 <= height * width / 200**2 <= 0.41
    assert seen == {0.25, 0.75}


def test_the_frame_is_kept_as_often_as_the_operations_say() -> None:
    boxes = tf.constant([[0.4, 0.4, 0.6, 0.6]])
    size = {"height": 50, "width": 50}
    draw = tf.function(
        lambda seed: augment_windows.random_window(
            boxes, seed=seed, operations=names.SSD_OPERATIONS, **size
        )
    )
    kept = 0
    for number in range(400):
        shown = draw(tf.constant([number, 7], tf.int64))
        kept += int(shown.minimum_overlap < 0)
        if shown.minimum_overlap < 0:
            np.testing.assert_array_equal(shown.begin, [0, 0])
            np.testing.assert_array_equal(shown.size, [50, 50])
    assert 38 <= kept <= 82  # 0.15 of 400 is 60, standard deviation 7.1


def test_scale_jitter_keeps_the_aspect_and_the_boxes_on_their_pixels() -> None:
    jitter = names.ScaleJitter(min_scale=0.5, max_scale=2.0, min_visible=0.0, fill=0.0)
    scales = []
    for number in range(20):
        scene = drawn_scene([(30, 40, 60, 80)], 90, 120)
        seed = tf.constant([number, 1], tf.int64)
        result = augment_windows.scale_jitter(jitter, scene, seed, size=(90, 120))
        assert result.frames.shape == (1, 90, 120, 1)
        if result.keep[0, 0]:
            box = result.boxes[0, 0].numpy() * [90, 120, 90, 120]
            # The resize blurs an edge by what it magnifies, up to 2 pixels, and never centres.
            np.testing.assert_allclose(box, box_of_pixels(result.frames[0]), atol=2.01)
            if box.min() > 2 and box[2] < 88 and box[3] < 118:  # whole
                scales.append((box[2] - box[0]) / 30)
                np.testing.assert_allclose((box[3] - box[1]) / 40, scales[-1], rtol=0.03)
    assert min(scales) < 0.75
    assert max(scales) > 1.2


def test_a_shrunken_frame_is_surrounded_by_the_fill() -> None:
    jitter = names.ScaleJitter(min_scale=0.5, max_scale=0.5, fill=77.0)
    scene = drawn_scene([(0, 0, 20, 20)], 20, 20)

    result = augment_windows.scale_jitter(jitter, scene, SEED, size=(40, 40))

    frames = result.frames[0, ..., 0].numpy()

    assert (frames == 77).sum() >= 0.7 * frames.size  # three quarters, but for blurred edges
    assert (frames <= 1).sum() >= 0.2 * frames.size


def shifted(scene: Scene, seed: tf.Tensor = SEED, **values: float) -> Scene:
    options = {"min_size": 0.4, "max_size": 0.5, "max_shift": 0.2, "max_zoom": 1.1, **values}
    settings = names.CropAndShift(**options)
    return augment_windows.crop_and_shift(settings, scene, seed, size=(96, 96))


def test_a_still_becomes_a_clip_that_moves_evenly_with_its_boxes() -> None:
    moves, sizes = [], []
    for number in range(12):
        scene = drawn_scene([(80, 80, 120, 120)], 200, 200, frames=5, still=True)
        seed, sizes_of = tf.constant([number, 1], tf.int64), {"min_size": 0.6, "max_size": 0.7}
        result = shifted(scene, seed, min_visible=0.0, max_shift=0.05, **sizes_of)
        assert result.frames.shape == (5, 96, 96, 1)
        boxes = result.boxes[:, 0].numpy() * 96
        for t in range(5):
            if result.keep[t, 0]:
                # A window of 84 px and more shown at 96: edges blur by 1.2 px, pixels are whole.
                np.testing.assert_allclose(boxes[t], box_of_pixels(result.frames[t]), atol=2.01)
        if ((boxes > 0.5) & (boxes < 95.5)).all():  # whole in all frames
            centres = boxes.reshape(5, 2, 2).mean(axis=1)
            steps = np.diff(centres, axis=0)
            moves.append(np.abs(steps).max())
            sizes.append(float(np.ptp(boxes[:, 2] - boxes[:, 0])))
            # The share of the side, what the zoom moves that is not in its centre, whole pixels.
            assert np.abs(steps).max() <= 0.05 * 96 + 0.1 * 48 + 2
            assert np.ptp(steps, axis=0).max() < 5  # even, but for zoom and whole pixels
    assert len(moves) > 4
    assert max(moves) > 2
    assert max(sizes) > 1


def test_a_clip_is_only_resized_by_crop_and_shift() -> None:
    scene = drawn_scene([(60, 60, 140, 140)], 192, 192, frames=2)

    result = shifted(scene)

    np.testing.assert_array_equal(result.boxes, scene.boxes)
    np.testing.assert_array_equal(result.frames, scene.frames[:, ::2, ::2])


def test_objects_leave_and_enter_a_moving_window() -> None:
    boxes = [(y, x, y + 10, x + 10) for y in range(0, 190, 20) for x in range(0, 190, 20)]
    changed = 0
    for number in range(5):
        scene = drawn_scene(boxes, 200, 200, frames=6, still=True)
        result = shifted(scene, tf.constant([number, 2], tf.int64), min_visible=0.5)
        keep = result.keep.numpy()
        assert 0 < keep.sum() < keep.size
        changed += int((keep != keep[:1]).any())
        areas = result.boxes[..., 2:] - result.boxes[..., :2]
        assert (areas.numpy()[keep] > 0).all()
    assert changed >= 3
