from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config import augmentation_config as names
from lstd.data import augment
from tests.data.drawn import BOXES, clip_of

SEED = tf.constant([3, 4], tf.int64)
STEPS = (names.SsdRandomCrop(probability=0.8), names.HorizontalFlip(), names.Transpose())


def apply(frames: tf.Tensor, truth: GroundTruth, configs: tuple, **changes: object) -> tuple:
    height, width = frames.shape[1:3]
    size = {"height": changes.pop("height", height), "width": changes.pop("width", width)}
    options = {"seed": SEED, "reference_boxes": tf.zeros([0, 4]), **changes}
    return augment.apply(frames, truth, steps=augment.steps_of(configs, **size), **options, **size)


def every_step() -> list:
    """Returns each augmentation of frames, certain to happen, on frames that are square."""
    times = ("time_reversal", "frame_dropping")
    kinds = [kind for name, kind in names.BY_NAME.items() if name not in times]
    return [kind(probability=1.0) for kind in kinds]


def test_one_seed_gives_one_transform_whatever_the_clip_shows() -> None:
    steps = (names.HorizontalFlip(), names.SsdRandomCrop(probability=0.8), names.Transpose())
    reference = tf.constant([[0.2, 0.2, 0.6, 0.5]])
    gradient = tf.random.stateless_uniform([1, 32, 32, 1], seed=[1, 1], maxval=255.0)
    outcomes = set()
    for number in range(6):
        seed = tf.constant([number, 1], tf.int64)
        frames, results = [], []
        for boxes in ([(0, 0, 32, 32)], [(3, 4, 9, 9), (10, 2, 30, 8)]):
            _, truth = clip_of(boxes, 32, 32)
            result, _ = apply(gradient, truth, steps, seed=seed, reference_boxes=reference)
            frames.append(result.numpy())
            results.append(result.numpy().tobytes())
        np.testing.assert_array_equal(*frames)
        outcomes.add(results[0])
    assert len(outcomes) > 3  # and other seeds give other transforms


@pytest.mark.parametrize("step", every_step(), ids=lambda step: step.name)
def test_a_seed_is_a_transform_and_another_seed_another(step: object) -> None:
    gradient = tf.random.stateless_uniform([2, 24, 24, 3], seed=[1, 1], maxval=255.0)
    _, truth = clip_of([(4, 4, 14, 12)], 24, 24, frames=2)
    drawn = names.HorizontalFlip, names.VerticalFlip, names.Transpose, names.Grayscale

    def result(number: int) -> bytes:
        frames, moved = apply(
            gradient,
            truth,
            (step,),
            seed=tf.constant([number, 9], tf.int64),
            reference_boxes=truth.boxes[0],
            still=True,
        )
        return frames.numpy().tobytes() + moved.boxes.numpy().tobytes()

    results = [result(number) for number in range(4)]
    assert results[:1] == [result(0)]
    assert (len(set(results)) == 1) == isinstance(step, drawn)
    same = gradient.numpy().tobytes()
    assert not all(one.startswith(same) for one in results)


@pytest.mark.parametrize("step", every_step(), ids=lambda step: step.name)
def test_all_frames_of_a_clip_get_the_same_transform(step: object) -> None:
    if step.name in ("noise", "crop_and_shift"):
        pytest.skip("differs from frame to frame, on purpose")
    if step.name == "occlusion":
        step = names.Occlusion(probability=1.0, duration=12, period=12)
    image = tf.random.stateless_uniform([1, 16, 16, 3], seed=[2, 2], maxval=255.0)
    _, truth = clip_of(BOXES, 16, 16, frames=3)

    for number in range(4):
        seed = tf.constant([number, 2], tf.int64)
        result, moved = apply(
            tf.repeat(image, 3, axis=0), truth, (step,), seed=seed, reference_boxes=truth.boxes[0]
        )
        for t in (1, 2):
            np.testing.assert_array_equal(result[t], result[0])
            np.testing.assert_array_equal(moved.boxes[t], moved.boxes[0])
            np.testing.assert_array_equal(moved.classes[t], moved.classes[0])


def test_a_crop_after_a_flip_covers_the_flipped_boxes() -> None:
    frames, truth = clip_of([(2, 1, 8, 7)], 32, 32)
    steps = (names.HorizontalFlip(probability=1.0), names.SsdRandomCrop())

    kept = 0
    for number in range(30):
        seed = tf.constant([number, 5], tf.int64)
        _, moved = apply(frames, truth, steps, seed=seed, reference_boxes=truth.boxes[0])
        kept += int(moved.classes[0, 0] == 0)

    # A window covers the share by which a box stays, but for one share in seven, which is 0.
    assert kept >= 24


def test_boxes_follow_the_pixels_through_all_steps() -> None:
    # Large boxes on a large frame: the bilinear resize after the crop blurs an edge by about as
    # many pixels as it magnifies, at most 1 / sqrt(0.1 / 2) = 4.5.
    boxes_px = [(20, 30, 110, 90), (120, 100, 200, 220)]
    for number in range(8):
        frames, truth = clip_of(boxes_px, 240, 240)
        seed = tf.constant([number, 3], tf.int64)
        result, moved = apply(frames, truth, STEPS, seed=seed, reference_boxes=truth.boxes[0])
        for row, label in enumerate(moved.classes[0].numpy()):
            if label >= 0:
                only, _ = clip_of([boxes_px[label]], 240, 240)
                alone, _ = apply(only, truth, STEPS, seed=seed, reference_boxes=truth.boxes[0])
                box = moved.boxes[0, row].numpy() * 240
                inside = np.nonzero(alone[0, ..., 0].numpy() > 0.5)
                found = [axis.min() for axis in inside] + [axis.max() + 1 for axis in inside]
                np.testing.assert_allclose(box, found, atol=5)
        assert result.shape == (1, 240, 240, 1)


@pytest.mark.parametrize("step", every_step(), ids=lambda step: step.name)
def test_inside_tf_data_is_as_outside(step: object) -> None:
    step = type(step)(probability=0.5)
    height = 24
    frames = tf.cast(
        tf.random.stateless_uniform([2, height, 20, 3], seed=[1, 1], maxval=256, dtype=tf.int32),
        tf.uint8,
    )
    _, truth = clip_of([(4, 4, 14, 12), (10, 2, 20, 15)], height, 20, frames=2)
    truth = truth._replace(track_ids=tf.constant([[7, 8]] * 2))

    def augmented(number: tf.Tensor, frames: tf.Tensor) -> tuple[tf.Tensor, GroundTruth]:
        return apply(
            frames,
            truth,
            (step,),
            seed=tf.stack([number, 1]),
            reference_boxes=truth.boxes[0],
            height=16,
            width=16,
            still=number % 2 == 0,
        )

    seeds = tf.data.Dataset.range(4)
    dataset = seeds.map(lambda number: augmented(number, frames))
    inside = list(dataset)
    assert dataset.element_spec[0].shape == (2, 16, 16, 3)
    for number in range(4):
        outside = augmented(tf.constant(number, tf.int64), frames)
        # Two orders of float32 operations on values up to 255.
        np.testing.assert_allclose(inside[number][0], outside[0], atol=1e-3)
        np.testing.assert_allclose(inside[number][1].boxes, outside[1].boxes, atol=1e-6)
        np.testing.assert_array_equal(inside[number][1].classes, outside[1].classes)


def test_regions_to_ignore_are_cut_with_the_rest() -> None:
    frames, truth = clip_of([(0, 0, 2, 2), (0, 0, 4, 8), (0, 0, 0, 0)], 16, 16)
    truth = GroundTruth(
        truth.boxes,
        classes=tf.constant([[0, -1, -1]]),
        is_crowd=tf.constant([[False, True, False]]),
    )
    steps = (names.HorizontalFlip(probability=1.0),)
    options = {"seed": [0, 0], "reference_boxes": truth.boxes[0], "height": 16, "width": 16}
    _, flipped = augment.apply(frames, truth, steps=steps, **options)
    np.testing.assert_array_equal(flipped.classes, [[0, -1, -1]])
    np.testing.assert_array_equal(flipped.is_crowd, [[False, True, False]])
    np.testing.assert_array_equal(flipped.boxes[0, 1:], [[0, 0.5, 0.25, 1], [0, 0, 0, 0]])


def test_remaining_boxes_come_first_and_keep_their_tracks() -> None:
    _, truth = clip_of([(0, 0, 2, 2), (12, 12, 16, 16), (13, 11, 15, 16)], 16, 16)
    truth = truth._replace(
        track_ids=tf.constant([[5, 6, 7]]), is_crowd=tf.constant([[True, False, True]])
    )
    keep = tf.constant([[False, True, True]])

    selected = augment._select(truth, keep)

    np.testing.assert_array_equal(selected.classes, [[1, 2, -1]])
    np.testing.assert_array_equal(selected.track_ids, [[6, 7, -1]])
    np.testing.assert_array_equal(selected.is_crowd, [[False, True, False]])
    np.testing.assert_array_equal(selected.boxes[0, 2], [0, 0, 0, 0])
    np.testing.assert_array_equal(selected.boxes[0, :2], truth.boxes[0, 1:])


@pytest.mark.parametrize("step", every_step(), ids=lambda step: step.name)
def test_padding_stays_padding_and_empty_clips_pass(step: object) -> None:
    frames = tf.zeros([2, 8, 8, 3], tf.uint8)
    padded = GroundTruth(tf.zeros([2, 1, 4]), tf.fill([2, 1], -1))
    empty = GroundTruth(tf.zeros([2, 0, 4]), tf.zeros([2, 0], tf.int32))

    for truth in (padded, empty):
        result, moved = apply(frames, truth, (step,), still=True)
        np.testing.assert_array_equal(moved.boxes, truth.boxes)
        np.testing.assert_array_equal(moved.classes, truth.classes)
        assert result.shape == frames.shape


def test_flips_alone_leave_uint8_frames_as_they_are() -> None:
    frames, truth = clip_of(BOXES, 8, 9)

    assert apply(frames, truth, (names.HorizontalFlip(probability=1.0),))[0].dtype == tf.uint8


@pytest.mark.parametrize("step", every_step(), ids=lambda step: step.name)
def test_nothing_happens_at_probability_zero(step: object) -> None:
    frames, truth = clip_of(BOXES, 9, 9)

    result, moved = apply(frames, truth, (type(step)(probability=0.0),), still=True)

    np.testing.assert_array_equal(result, frames)
    np.testing.assert_array_equal(moved.boxes, truth.boxes)


def test_probability_is_how_often_runs_are_changed() -> None:
    frames, truth = clip_of([(0, 0, 3, 3)], 8, 8)
    step = (names.HorizontalFlip(probability=0.2),)
    draw = tf.function(lambda seed: apply(frames, truth, step, seed=seed))
    flipped = 0
    for number in range(200):
        _, moved = draw(tf.constant([number, 1], tf.int64))
        flipped += int(moved.boxes[0, 0, 1] > 0)
    assert 22 <= flipped <= 58  # 40 expected, standard deviation 5.7
