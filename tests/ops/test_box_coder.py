"""Coding of boxes relative to anchors."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lstd.ops import box_coder

SCALES = (10.0, 10.0, 5.0, 5.0)
ANCHORS = tf.constant([[0.25, 0.25, 0.75, 0.75]])


def test_codes_of_a_box_worked_out_by_hand() -> None:
    box = tf.constant([[0.3, 0.25, 0.8, 1.25]])  # centre (0.55, 0.75), size (0.5, 1)
    codes = box_coder.encode(box, ANCHORS, scale_factors=SCALES)
    np.testing.assert_allclose(codes, [[1.0, 5.0, 0.0, 5.0 * math.log(2.0)]], atol=2e-6)


def test_scale_factors_are_y_x_height_width() -> None:
    box = tf.constant([[0.5, 0.5, 1.5, 2.5]])  # centre (1, 1.5), size (1, 2)
    codes = box_coder.encode(box, ANCHORS, scale_factors=(1.0, 2.0, 3.0, 4.0))
    expected = [[1.0, 4.0, 3.0 * math.log(2.0), 4.0 * math.log(4.0)]]
    np.testing.assert_allclose(codes, expected, rtol=1e-6)


def test_codes_of_empty_and_inverted_boxes_are_finite() -> None:
    empty = tf.constant([[[0.5, 0.5, 0.5, 0.5]], [[0.9, 0.9, 0.1, 0.1]]])
    codes = box_coder.encode(empty, ANCHORS, scale_factors=SCALES).numpy()
    assert np.isfinite(codes).all()
    np.testing.assert_allclose(codes[0, 0, 2:], 5.0 * math.log(1e-8 / 0.5), rtol=1e-6)


coordinates = st.floats(-0.5, 1.0, width=32)
sides = st.floats(0.015625, 1.0, width=32)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(coordinates, coordinates, sides, sides), min_size=2, max_size=2))
def test_decode_inverts_encode(rows: list[tuple[float, float, float, float]]) -> None:
    box, anchor = (tf.constant([[y, x, y + height, x + width]]) for y, x, height, width in rows)
    codes = box_coder.encode(box, anchor, scale_factors=SCALES)
    decoded = box_coder.decode(codes, anchor, scale_factors=SCALES)
    # Offsets of up to 128 anchors, in float32, and the 1e-8 that is not taken off again.
    np.testing.assert_allclose(decoded, box, rtol=0, atol=5e-6)


def test_leading_axes_give_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    anchors = np.array([[0.0, 0.0, 0.5, 0.25], [0.5, 0.25, 1.0, 1.0]], np.float32)
    codes = rng.normal(size=[2, 3, 2, 4]).astype(np.float32)
    batched = box_coder.decode(codes, anchors, scale_factors=SCALES)
    single = box_coder.decode(codes[1, 2], anchors, scale_factors=SCALES)
    # The vectorised exp of a long array and of a short one differ in the last place.
    np.testing.assert_allclose(batched[1, 2], single, rtol=0, atol=2e-7)
    assert box_coder.decode(codes[:0], anchors, scale_factors=SCALES).shape == (0, 3, 2, 4)


@pytest.mark.parametrize("function", [box_coder.encode, box_coder.decode])
def test_a_last_axis_that_is_not_four_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match="4 values on the last axis"):
        function(tf.zeros([3, 5]), ANCHORS, scale_factors=SCALES)  # type: ignore[operator]
