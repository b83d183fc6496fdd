"""Which class is taken for which (`confusion/...`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lstd.evaluation import arrays
from lstd.evaluation.arrays import Flat, Pairs
from lstd.evaluation.metrics.frame_metric import FrameMetric


class ConfusionMetric(FrameMetric):
    """The confusion matrix at one score: what stands where a true object is.

    Detections of at least `min_score`, by falling score, each take the free true box with the
    largest IoU of at least `iou`, whatever its class. Crowds do not count, nor does a detection
    that takes nothing and lies with at least `iou` of its area in a crowd.

    Args:
        labels: the names of the classes in order.
        min_score: detections below it do not count.
        iou: how much boxes must overlap.

    Raises:
        ValueError: `iou` not in (0, 1].
    """

    def __init__(self, labels: Sequence[str], *, min_score: float = 0.5, iou: float = 0.5) -> None:
        super().__init__(labels)
        if not 0 < iou <= 1:
            raise ValueError(f"iou must be above 0 and at most 1, got {iou}")
        self.min_score, self.iou = float(min_score), float(iou)

    def result(self) -> dict[str, float]:
        """Returns what the matrix comes down to; `matrix` has it whole.

        `confusion/found` is the share of true objects that a detection of any class stands on,
        `confusion/right_class` the share of those with the right class, `confusion/false` the share
        of detections that stand on nothing. -1 where there is nothing to measure.

        Raises:
            ValueError: no frame was added.
        """
        matrix = self.matrix()
        objects, matched = matrix[:-1].sum(), matrix[:-1, :-1].sum()
        detections = matrix[:, :-1].sum()
        return {
            "confusion/found": _share(matched, objects),
            "confusion/right_class": _share(np.trace(matrix[:-1, :-1]), matched),
            "confusion/false": _share(matrix[-1, :-1].sum(), detections),
        }

    def matrix(self) -> np.ndarray:
        """Returns counts, int64 `[K + 1, K + 1]`: true class down, detected class across.

        The last row is what was detected where nothing is, the last column what was missed.
        """
        return confusion_matrix(
            self.flat(), num_classes=len(self.labels), min_score=self.min_score, iou=self.iou
        )

    def _settings(self) -> Mapping[str, object]:
        return {"min_score": self.min_score, "iou": self.iou}


def confusion_matrix(frames: Flat, *, num_classes: int, min_score: float, iou: float) -> np.ndarray:
    """Returns counts as in `ConfusionMetric.matrix`."""
    certain = frames.scores >= min_score
    in_crowd = np.zeros(len(certain), bool)
    own_area = arrays.areas(frames.found_boxes, pixel=0.0)
    candidates = [Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    for pairs in arrays.overlaps(frames, pixel=0.0):
        crowd = frames.is_crowd[pairs.true]
        may = certain[pairs.found] & ~crowd & (pairs.iou >= iou)
        candidates.append(Pairs(*(part[may] for part in pairs)))
        found, true = pairs.found[crowd], pairs.true[crowd]
        shared = arrays.intersections(frames.found_boxes[found], frames.true_boxes[true], pixel=0.0)
        in_crowd[found[(shared > 0) & (shared >= iou * own_area[found])]] = True
    chosen = arrays.first_come(Pairs(*map(np.concatenate, zip(*candidates, strict=True))))
    taken_by = np.full(len(certain), -1)
    taken_by[list(chosen)] = list(chosen.values())
    free = ~frames.is_crowd
    free[list(chosen.values())] = False
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    matched = taken_by >= 0
    true_classes = frames.true_classes[taken_by[matched]]
    np.add.at(matrix, (true_classes, frames.found_classes[matched]), 1)
    alone = frames.found_classes[certain & ~matched & ~in_crowd]
    matrix[-1, :-1] = np.bincount(alone, minlength=num_classes)
    matrix[:-1, -1] = np.bincount(frames.true_classes[free], minlength=num_classes)
    return matrix


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else -1.0
