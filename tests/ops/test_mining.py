"""Hard-negative mining by hand; what it does to the loss stands in `tests/test_losses.py`."""

import numpy as np
import tensorflow as tf

from lstd.ops.mining import mine_hard_examples

QUARTERS = np.array(
    [[0, 0, 0.5, 0.5], [0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5], [0.5, 0.5, 1, 1]], np.float32
)
"""Four anchors that do not overlap."""


def test_near_identical_predicted_boxes_count_once() -> None:
    losses = tf.constant([[1.0, 4.0, 3.0, 2.0]])
    boxes = np.stack([QUARTERS[0], QUARTERS[0], QUARTERS[1], QUARTERS[0]])[np.newaxis]
    settings = {
        "iou_threshold": 0.99,
        "max_negatives_per_positive": 3.0,
        "min_negatives_per_image": 0,
    }
    matches = tf.constant([[0, -1, 1, -1]])
    mined = mine_hard_examples(losses, boxes, matches, num_hard_examples=9, **settings)
    np.testing.assert_array_equal(mined.order, [[1, 2, -1, -1]])  # positive 0 is suppressed, too
    np.testing.assert_array_equal(mined.selected, [[False, True, True, False]])
    first = mine_hard_examples(losses, boxes, matches, num_hard_examples=1, **settings)
    np.testing.assert_array_equal(first.order, [[1, -1, -1, -1]])
    assert not first.selected.numpy().any()


def test_ignored_anchors_are_never_selected() -> None:
    mined = mine_hard_examples(
        tf.constant([4.0, 3.0, 2.0, 1.0]),
        tf.constant(QUARTERS),
        tf.constant([-2, -1, -1, -2]),
        num_hard_examples=9,
        iou_threshold=0.99,
        max_negatives_per_positive=3.0,
        min_negatives_per_image=1,
    )
    np.testing.assert_array_equal(mined.selected, [False, True, False, False])


def test_each_frame_has_a_limit_of_its_own() -> None:
    losses = [[[4.0, 3.0, 2.0, 1.0]] * 2, [[1.0, 2.0, 3.0, 4.0]] * 2]
    matches = [[[0, -1, -1, -1], [-1, -1, -1, -1]], [[2, 0, -1, -1], [-1, -1, -1, 1]]]
    mined = mine_hard_examples(
        tf.constant(losses),
        tf.broadcast_to(QUARTERS, [2, 2, 4, 4]),
        tf.constant(matches),
        num_hard_examples=4,
        iou_threshold=0.99,
        max_negatives_per_positive=2.0,
        min_negatives_per_image=1,
    )
    selected = [[[1, 1, 1, 0], [1, 0, 0, 0]], [[1, 1, 1, 1], [0, 1, 1, 1]]]
    np.testing.assert_array_equal(mined.selected, np.array(selected, bool))


def test_ratio_of_zero_is_no_limit() -> None:
    mined = mine_hard_examples(
        tf.constant([4.0, 3.0, 2.0, 1.0]),
        tf.constant(QUARTERS),
        tf.constant([-1, -1, 0, -1]),
        num_hard_examples=4,
        iou_threshold=0.99,
        max_negatives_per_positive=0.0,
        min_negatives_per_image=0,
    )
    assert mined.selected.numpy().all()
