"""The trivial answer, on boxes small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from examples import baselines
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.objects import Objects


def objects(boxes: list[list[float]], classes: list[int], *, score: float = 0.5) -> Objects:
    return Objects(np.reshape(boxes, (-1, 4)), np.array(classes, int), np.full(len(boxes), score))


def test_one_object_a_frame_gives_the_plain_mean() -> None:
    answer = baselines.mean_boxes(
        {
            ("v", 0): objects([[0, 0, 10, 20]], [1]),
            ("v", 1): objects([[10, 20, 30, 60]], [1]),
        }
    )

    np.testing.assert_allclose(answer.boxes, [[5, 10, 20, 40]])
    assert answer.classes.tolist() == [1]
    assert answer.scores.tolist() == [1.0]


def test_as_many_boxes_as_a_frame_has_objects_each_the_mean_of_its_place() -> None:
    answer = baselines.mean_boxes(
        {
            ("v", 0): objects([[0, 0, 10, 10], [100, 100, 120, 120]], [0, 0]),
            ("v", 1): objects([[104, 100, 124, 120], [2, 0, 12, 10]], [0, 0]),
            ("v", 2): objects([[4, 0, 14, 10]], [0]),
        }
    )

    order = np.argsort(answer.boxes[:, 0])
    np.testing.assert_allclose(answer.boxes[order], [[2, 0, 12, 10], [102, 100, 122, 120]])
    np.testing.assert_allclose(answer.scores[order], [1.0, 2 / 3])


def test_rare_class_keeps_one_box_and_a_low_score() -> None:
    frames = {("v", i): objects([[0, 0, 10, 10]], [0]) for i in range(9)}
    frames["v", 9] = objects([[50, 50, 60, 60]], [1])

    answer = baselines.mean_boxes(frames)

    assert answer.classes.tolist() == [0, 1]
    np.testing.assert_allclose(answer.scores, [0.9, 0.1])


def test_mean_of_nothing_is_refused() -> None:
    for frames in ({}, {("v", 0): objects([], [])}):
        with pytest.raises(ValueError, match="at least one object"):
            baselines.mean_boxes(frames)


def test_score_is_that_of_the_metric() -> None:
    truth = {("v", i): objects([[0, 0, 40, 40]], [0]) for i in range(2)}
    answer = objects([[0, 0, 40, 40]], [0])

    everywhere = baselines.on_every_frame(answer, truth)

    assert baselines.score(CocoMetric(["cat"]), truth, everywhere)["coco/ap"] == pytest.approx(1.0)
    once = {("v", 0): answer}  # a frame left out has no detections
    half = baselines.score(CocoMetric(["cat"]), truth, once)["coco/ap"]
    assert half == pytest.approx(51 / 101)
    with pytest.raises(ValueError, match=r"frame \('w', 0\) has detections, but no ground truth"):
        baselines.score(CocoMetric(["cat"]), truth, {("w", 0): answer})
