"""Detections from raw predictions; the golden numbers are in tests/golden/test_ops.py."""

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import Detections, Predictions
from lstd.ops import box_coder, postprocess

SCALES = (10.0, 10.0, 5.0, 5.0)
SETTINGS = {
    "scale_factors": SCALES,
    "score_threshold": -20.0,
    "iou_threshold": 0.5,
    "max_detections_per_class": 100,
    "max_total_detections": 4,
}


def _detect(boxes: object, scores: object, **settings: object) -> Detections:
    """Detections of `[A, 4]` boxes that are their own anchors, and `[A, K]` scores."""
    anchors = np.asarray(boxes, np.float32)
    scores = np.asarray(scores, np.float64)
    logits = np.log(scores / (1 - scores))
    logits = np.concatenate([np.full([len(logits), 1], 9.0), logits], axis=1).astype(np.float32)
    predictions = Predictions(tf.zeros_like(anchors), logits)
    found = postprocess.detect(predictions, anchors, **{**SETTINGS, **settings})
    return Detections(*(field.numpy() for field in found))


LEFT, LEFT_TOO, RIGHT = [0.0, 0.0, 1.0, 0.4], [0.0, 0.0, 1.0, 0.5], [0.0, 0.6, 1.0, 1.0]


def test_overlapping_boxes_of_a_class_are_suppressed_and_the_rest_padded() -> None:
    found = _detect([LEFT, LEFT_TOO, RIGHT], [[0.6], [0.9], [0.7]])
    np.testing.assert_allclose(found.boxes, [LEFT_TOO, RIGHT, [0] * 4, [0] * 4], atol=1e-7)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(found.classes, [0, 0, 0, 0])
    assert found.count == 2
    assert found.count.dtype == np.int32
    assert found.classes.dtype == np.int32


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    half = [0.0, 0.0, 0.5, 1.0]
    found = _detect([[0.0, 0.0, 1.0, 1.0], half], [[0.9], [0.8]])
    assert found.count == 2
    assert _detect([[0.0, 0.0, 1.0, 1.0], half], [[0.9], [0.8]], iou_threshold=0.49).count == 1


def test_equal_scores_stand_in_class_order_then_anchor_order() -> None:
    found = _detect([RIGHT, LEFT], [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_array_equal(found.classes, [0, 0, 1, 1])
    np.testing.assert_allclose(found.boxes, [RIGHT, LEFT, RIGHT, LEFT], atol=1e-7)


def test_boxes_outside_are_dropped_and_empty_ones_go_to_the_end() -> None:
    outside, touching, empty = [0.0, 1.5, 1.0, 2.0], [-1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]
    found = _detect([outside, empty, LEFT, touching], [[0.9], [0.8], [0.6], [0.85]])
    np.testing.assert_allclose(found.scores, [0.6, -1.0, -1.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(found.boxes[:2], [LEFT, [0.0, 0.0, 0.0, 1.0]], atol=1e-7)
    np.testing.assert_array_equal(found.boxes[2:], [empty, [0.0] * 4])
    assert found.count == 1


def test_limits_for_a_class_and_in_all() -> None:
    boxes = [[0.0, i / 8, 1.0, (i + 1) / 8] for i in range(8)]
    scores = np.linspace(0.9, 0.2, 16).reshape(2, 8).T  # class 0 has the higher ones
    found = _detect(boxes, scores, max_detections_per_class=3, max_total_detections=5)
    np.testing.assert_array_equal(found.classes, [0, 0, 0, 1, 1])
    assert found.count == 5
    assert found.boxes.shape == (5, 4)


def test_only_scores_above_the_threshold_count() -> None:
    found = _detect([LEFT, RIGHT], [[0.6], [0.3]], score_threshold=0.4)
    np.testing.assert_allclose(found.scores, [0.6, 0.0, 0.0, 0.0], rtol=1e-6)
    nothing = _detect([LEFT, RIGHT], [[0.6], [0.3]], score_threshold=0.7)
    assert nothing.count == 0
    assert not nothing.boxes.any()


ANCHORS = np.array([[y, x, y + 0.4, x + 0.5] for y in (0, 0.3, 0.6) for x in (0, 0.2, 0.5)], "f4")


def _random(rng: np.random.Generator, *leading: int) -> Predictions:
    encodings = rng.normal(0, 5, [*leading, 9, 4]).astype(np.float32)
    logits = rng.normal(0, 2, [*leading, 9, 4]).astype(np.float32)
    return Predictions(encodings, logits)


def _one_frame(encodings: np.ndarray, logits: np.ndarray, size: int) -> list[np.ndarray]:
    """The same in plain loops: rows of (score, class, box)."""
    boxes = box_coder.decode(encodings, ANCHORS, scale_factors=SCALES).numpy().astype(np.float64)
    scores = tf.sigmoid(logits).numpy()[:, 1:]
    rows = []
    for label in range(scores.shape[1]):
        kept: list[int] = []
        for anchor in np.argsort(-scores[:, label], kind="stable"):
            if all(_iou(boxes[anchor], boxes[other]) <= 0.5 for other in kept):
                kept.append(anchor)
        rows += [np.array([scores[anchor, label], label, *boxes[anchor]]) for anchor in kept]
    rows = [row for row in rows if (row[2:4] <= 1).all() and (row[4:] >= 0).all()]
    rows = [np.concatenate([row[:2], row[2:].clip(0, 1)]) for row in rows]
    return sorted(rows, key=lambda row: -row[0])[:size]


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    overlap = np.prod(sides.clip(0))
    return float(
        overlap / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - overlap)
    )


@pytest.mark.parametrize("size", [3, 40])
def test_batch_equals_plain_loops(size: int) -> None:
    predictions = _random(np.random.default_rng(0), 2, 3)
    found = postprocess.detect(predictions, ANCHORS, **{**SETTINGS, "max_total_detections": size})
    assert found.boxes.shape == (2, 3, size, 4)
    assert found.count.shape == (2, 3)
    for place in np.ndindex(2, 3):
        rows = _one_frame(predictions.box_encodings[place], predictions.class_logits[place], size)
        count = int(found.count[place])
        assert count == len(rows)
        made = np.column_stack([found.scores[place], found.classes[place], found.boxes[place]])
        np.testing.assert_allclose(made[:count], rows, atol=1e-6)
        assert not made[count:].any()


def test_shapes_known_only_at_run_time_give_the_same() -> None:
    predictions = _random(np.random.default_rng(1), 2, 2)
    specs = Predictions(tf.TensorSpec([None, None, None, 4]), tf.TensorSpec([None, None, None, 4]))

    @tf.function(input_signature=[specs])
    def detect(given: Predictions) -> Detections:
        return postprocess.detect(given, tf.constant(ANCHORS), **SETTINGS)

    expected = postprocess.detect(predictions, ANCHORS, **SETTINGS)
    for made, wanted in zip(detect(predictions), expected, strict=True):
        np.testing.assert_allclose(made, wanted, atol=1e-6)
    assert detect(Predictions(*(x[:0] for x in predictions))).boxes.shape == (0, 2, 4, 4)


def test_half_precision_is_decoded_in_single_precision() -> None:
    predictions = _random(np.random.default_rng(2), 1)
    half = Predictions(*(tf.cast(x, tf.bfloat16) for x in predictions))
    again = Predictions(*(tf.cast(x, tf.float32) for x in half))
    made = postprocess.detect(half, ANCHORS, **SETTINGS)
    assert made.boxes.dtype == tf.float32
    np.testing.assert_array_equal(made.boxes, postprocess.detect(again, ANCHORS, **SETTINGS).boxes)


def test_predictions_for_other_anchors_are_refused() -> None:
    with pytest.raises(ValueError, match="for the 8 anchors"):
        postprocess.detect(_random(np.random.default_rng(0), 1), ANCHORS[:8], **SETTINGS)
    with pytest.raises(ValueError, match="background and a class"):
        postprocess.detect(Predictions(tf.zeros([9, 4]), tf.zeros([9, 1])), ANCHORS, **SETTINGS)


def test_number_of_classes_must_be_known() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 9, None])])
    def detect(logits: tf.Tensor) -> Detections:
        return postprocess.detect(Predictions(tf.zeros([1, 9, 4]), logits), ANCHORS, **SETTINGS)

    with pytest.raises(ValueError, match="must be known"):
        detect(tf.zeros([1, 9, 3]))
