"""Geometry of boxes."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lstd.ops import boxes


def _random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    corners = np.sort(rng.uniform(-0.2, 1.2, [*shape, 2, 2]), axis=-2)
    return corners.reshape([*shape, 4]).astype(np.float32)


def test_iou_of_no_boxes_has_no_rows() -> None:
    assert boxes.iou(tf.zeros([2, 0, 4]), tf.zeros([5, 4])).shape == (2, 0, 5)


def test_iou_of_a_batch_equals_one_by_one() -> None:
    rng = np.random.default_rng(1)
    first, second = _random_boxes(rng, 2, 3, 5), _random_boxes(rng, 7)
    batched = boxes.iou(first, second)
    for b in range(2):
        for t in range(3):
            np.testing.assert_array_equal(batched[b, t], boxes.iou(first[b, t], second))


def test_center_size_and_corners_are_inverse() -> None:
    given = tf.constant([[0.25, 0.0, 0.75, 1.0]])
    center_size = boxes.to_center_size(given)
    np.testing.assert_array_equal(center_size, [[0.5, 0.5, 0.5, 1.0]])
    np.testing.assert_array_equal(boxes.to_corners(center_size), given)
    many = _random_boxes(np.random.default_rng(2), 4, 50)
    np.testing.assert_allclose(boxes.to_corners(boxes.to_center_size(many)), many, atol=2e-7)


def test_clip_cuts_to_the_window() -> None:
    given = tf.constant([[-0.5, 0.25, 0.5, 1.5], [1.5, 0.0, 2.0, 1.0]])
    np.testing.assert_array_equal(boxes.clip(given), [[0.0, 0.25, 0.5, 1.0], [1.0, 0.0, 1.0, 1.0]])
    window = (0.0, 0.5, 0.25, 1.0)
    np.testing.assert_array_equal(boxes.clip(given[:1], window), [[0.0, 0.5, 0.25, 1.0]])


numbers = st.integers(-2, 10)
grid_boxes = st.lists(st.tuples(*[numbers] * 4), min_size=4, max_size=4)  # many are empty, equal
GRID = np.arange(-2, 10)


def _cells(corners: list[tuple[int, ...]]) -> np.ndarray:
    """Returns which cells of a grid each box covers, bool `[N, 12, 12]`; none if inside out."""
    ymin, xmin, ymax, xmax = np.array(corners)[:, :, np.newaxis].transpose(1, 0, 2)
    rows, columns = (ymin <= GRID) & (ymax > GRID), (xmin <= GRID) & (xmax > GRID)
    return rows[:, :, np.newaxis] & columns[:, np.newaxis]


def _floats(corners: list[tuple[int, ...]]) -> tf.Tensor:
    return tf.constant(corners, tf.float32)


@settings(max_examples=50)
@given(grid_boxes, grid_boxes)
def test_iou_equals_counting_the_cells_of_a_grid(
    first: list[tuple[int, ...]], second: list[tuple[int, ...]]
) -> None:
    cells_a, cells_b = _cells(first)[:, np.newaxis], _cells(second)
    shared = (cells_a & cells_b).sum(axis=(-2, -1))
    either = (cells_a | cells_b).sum(axis=(-2, -1))
    expected = (shared / np.maximum(either, 1)).astype(np.float32)
    # Whole numbers are exact in float32, and so is the rounding of their quotient.
    np.testing.assert_array_equal(boxes.iou(_floats(first), _floats(second)), expected)
    np.testing.assert_array_equal(boxes.iou(_floats(second) / 8, _floats(first) / 8), expected.T)


@settings(max_examples=25)
@given(grid_boxes, st.tuples(numbers, numbers), st.tuples(numbers, numbers))
def test_clip_leaves_the_cells_in_the_window_and_once_is_enough(
    corners: list[tuple[int, ...]], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    window = (float(min(rows)), float(min(columns)), float(max(rows)), float(max(columns)))
    left = _cells(corners) & _cells([window])
    clipped = boxes.clip(_floats(corners), window)
    np.testing.assert_array_equal(boxes.area(clipped), left.sum(axis=(1, 2)))
    np.testing.assert_array_equal(boxes.clip(clipped, window), clipped)
