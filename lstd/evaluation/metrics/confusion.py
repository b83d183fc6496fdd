"""Which class is taken for which (`confusion/...`), and from which score on one should look."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstd.base import overlap
from lstd.base.types import MIN_SCORE
from lstd.evaluation import arrays
from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics.frame_metric import FrameMetric


class ConfusionMetric(FrameMetric):
    """The confusion matrix at one score: what stands where a true object is.

    Detections of at least `min_score`, by falling score, each take the free true box with the
    largest IoU of at least `iou`, in (0, 1], whatever its class. Crowds do not count, nor does a
    detection that takes nothing and lies with at least `iou` of its area in a crowd.
    """

    settings = ("min_score", "iou")

    def __init__(
        self, labels: Sequence[str], *, min_score: float = MIN_SCORE, iou: float = 0.5
    ) -> None:
        super().__init__(labels)
        if not 0 < iou <= 1:
            raise ValueError(f"iou must be above 0 and at most 1, got {iou}")
        self.min_score, self.iou = float(min_score), float(iou)

    def result(self) -> dict[str, float]:
        """Returns what the matrix comes down to; -1 where there is nothing to measure.

        `found` is the share of true objects that a detection of any class stands on, `right_class`
        the share of those with the right class, `false` that of detections that stand on nothing.
        """
        matrix = self.matrix()
        matched = matrix[:-1, :-1].sum()
        return {
            "confusion/found": _share(matched, matrix[:-1].sum()),
            "confusion/right_class": _share(np.trace(matrix[:-1, :-1]), matched),
            "confusion/false": _share(matrix[-1, :-1].sum(), matrix[:, :-1].sum()),
        }

    def matrix(self) -> np.ndarray:
        """Returns counts, int64 `[K + 1, K + 1]`: true class down, detected class across.

        The last row is what was detected where nothing is, the last column what was missed.
        """
        return self.counted()

    def _count(self) -> np.ndarray:
        frames, num_classes = self.flat(), len(self.labels)
        certain, free = frames.scores >= self.min_score, ~frames.is_crowd
        in_crowd = np.zeros(len(certain), bool)
        own_area = overlap.areas(frames.found_boxes)
        for pairs in arrays.overlaps(frames) if frames.is_crowd.any() else ():
            crowd = frames.is_crowd[pairs.true]
            found, true = pairs.found[crowd], pairs.true[crowd]
            shared = overlap.intersections(frames.found_boxes[found], frames.true_boxes[true])
            in_crowd[found[(shared > 0) & (shared >= self.iou * own_area[found])]] = True
        taken_by = arrays.matches(
            frames, lambda pairs: certain[pairs.found] & free[pairs.true] & (pairs.iou >= self.iou)
        )
        matched = taken_by >= 0
        free[taken_by[matched]] = False
        matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
        true_classes = frames.true_classes[taken_by[matched]]
        np.add.at(matrix, (true_classes, frames.found_classes[matched]), 1)
        alone = frames.found_classes[certain & ~matched & ~in_crowd]
        matrix[-1, :-1] = np.bincount(alone, minlength=num_classes)
        matrix[:-1, -1] = np.bincount(frames.true_classes[free], minlength=num_classes)
        return matrix


class BestScore(NamedTuple):
    """The best F1, and the score from which on detections reach it."""

    f1: float
    score: float


def best_score(frames: Flat) -> BestScore | None:
    """Returns where to draw the line between what is shown and what is not; None: nothing is right.

        F1 = 2 hits / (detections + true objects)     of all classes together

    Detections take true boxes as COCO has them at IoU 0.5: by falling score the best free one of
    their class. The score lies halfway between the last detection that is shown and the next one.
    """
    frames = arrays.without_crowds(frames)
    right = arrays.matches(frames, lambda pairs: pairs.same & (pairs.iou >= 0.5)) >= 0
    if not right.any():
        return None
    order = np.argsort(-frames.scores)
    scores = frames.scores[order]
    f1 = 2 * np.cumsum(right[order]) / (np.arange(len(order)) + 1 + len(frames.true_boxes))
    f1[:-1][scores[1:] == scores[:-1]] = 0.0  # no line can be drawn between equals
    last = int(f1.argmax())
    least = (scores[last] + np.append(scores, 0.0)[last + 1]) / 2
    return BestScore(float(f1[last]), float(least))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else -1.0
