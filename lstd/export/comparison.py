"""Whether an exported file detects what the module in TensorFlow detects. NumPy only.

Two runtimes differ by some 1e-6. Where scores are closer than that, the order of the detections is
chance, and with it which of two overlapping boxes survives. So there are two questions: are the
lists equal, order free among near-equal scores; and if they are not, is the list of the file one
that suppression could have chosen, had every score and box been off by no more than the tolerance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstd.base.overlap import iou
from lstd.export.postprocessing_op import PostprocessingOptions

TOLERANCE = 1e-4
"""Largest difference of a state, a score or a box, in parts of its largest value if over 1."""
NEAR = 1e-5
"""Scores closer than this may change places."""
_OVERLAP_FACTOR = 10
"""How many times the tolerance of corners the overlap of two boxes may be off."""


class Rows(NamedTuple):
    """The detections of a frame without the rows behind the last one.

    Attributes:
        boxes: float32 `[n, 4]`.
        classes: int `[n]`.
        scores: float32 `[n]`.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


class Differences(NamedTuple):
    """The largest differences of a comparison.

    Attributes:
        boxes: of a corner, in parts of the frame.
        scores: of a score.
    """

    boxes: float
    scores: float


def rows_of(outputs: dict[str, np.ndarray], options: PostprocessingOptions) -> Rows:
    """Returns the valid rows of an entry point's outputs."""
    count = int(outputs["num_detections"][0]) * options.max_classes_per_detection
    return Rows(
        outputs["detection_boxes"][0, :count],
        outputs["detection_classes"][0, :count].astype(np.int64),
        outputs["detection_scores"][0, :count],
    )


def differ(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference, in parts of the largest expected value if that is over 1.

    Infinite where a value is not finite or the shapes differ.
    """
    if expected.shape != actual.shape or not np.isfinite(actual).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(actual - expected).max(initial=0.0)) / scale


def equal(expected: Rows, actual: Rows, *, tolerance: float = TOLERANCE) -> Differences | None:
    """Returns the differences of two lists, None if they are not the same detections."""
    if len(expected.scores) != len(actual.scores):
        return None
    free = set(range(len(actual.scores)))
    boxes, scores = [0.0], [0.0]
    for row, score in enumerate(expected.scores):
        near = [other for other in free if abs(expected.scores[other] - score) < NEAR]
        for other in sorted({*near, *({row} & free)}, key=lambda other: abs(other - row)):
            box = differ(expected.boxes[row], actual.boxes[other])
            off = differ(score, actual.scores[other])
            same_class = expected.classes[row] == actual.classes[other]
            if same_class and max(box, off) <= tolerance:
                free.discard(other)
                boxes.append(box)
                scores.append(off)
                break
        else:
            return None
    return Differences(max(boxes), max(scores))


def possible(
    boxes: np.ndarray,
    scores: np.ndarray,
    actual: Rows,
    options: PostprocessingOptions,
    *,
    tolerance: float = TOLERANCE,
) -> Differences | None:
    """Returns the differences to the raw output, None if suppression could not have chosen these.

    Args:
        boxes: decoded, float32 `[A, 4]`, of the module.
        scores: float32 `[A, K]`, of the module.
        actual: the detections of the file.
        options: of the post-processing.
        tolerance: how far every score and box may be off.
    """
    per_anchor = options.max_classes_per_detection
    kept = _anchors_of(boxes, scores, actual, per_anchor, tolerance)
    if kept is None:
        return None
    if options.use_regular_nms:
        keys, classes = scores, actual.classes
    else:
        keys, classes = scores.max(axis=1, keepdims=True), np.zeros(len(kept), np.int64)
        if not _best_classes(scores, actual, kept, per_anchor, tolerance):
            return None
    order = keys[kept, classes]
    is_sorted = (order[:-1] >= order[1:] - 2 * tolerance).all()
    if not is_sorted or (order < options.score_threshold - tolerance).any():
        return None
    bar = float(order.min()) if len(kept) >= options.max_detections else -np.inf
    for number in range(keys.shape[1]):
        mine = kept[classes == number]
        if not _possible_in_class(boxes, keys[:, number], mine, options, bar, tolerance):
            return None
    matched = np.repeat(kept, per_anchor)
    return Differences(
        differ(boxes[matched], actual.boxes),
        differ(scores[matched, actual.classes], actual.scores),
    )


def _anchors_of(
    boxes: np.ndarray, scores: np.ndarray, actual: Rows, per_anchor: int, tolerance: float
) -> np.ndarray | None:
    """Returns the anchor of each detection; None if one fits no anchor, or two fit only one."""
    if (
        len(actual.classes)
        and not 0 <= actual.classes.min() <= actual.classes.max() < scores.shape[1]
    ):
        return None
    found: list[int] = []
    taken = set()
    scale = np.maximum(1.0, np.abs(boxes).max(axis=1))
    for first in range(0, len(actual.scores), per_anchor):
        rows = slice(first, first + per_anchor)
        classes = actual.classes[rows]
        off_box = np.abs(boxes - actual.boxes[first]).max(axis=1) / scale
        off_score = np.abs(scores[:, classes] - actual.scores[rows]).max(axis=1)
        fits = np.flatnonzero((off_box <= tolerance) & (off_score <= tolerance))
        free = [anchor for anchor in fits if (anchor, classes[0]) not in taken]
        if not free:
            return None
        best = min(free, key=lambda anchor: off_box[anchor] + off_score[anchor])
        taken.add((best, classes[0]))
        found.append(int(best))
    return np.array(found, np.int64)


def _best_classes(
    scores: np.ndarray, actual: Rows, kept: np.ndarray, per_anchor: int, tolerance: float
) -> bool:
    """Returns whether each anchor is reported with its best classes, best first."""
    best = -np.sort(-scores[kept], axis=1)[:, :per_anchor]  # [n, M]
    classes = actual.classes.reshape(-1, per_anchor)
    distinct = all(len(set(row)) == per_anchor for row in classes)
    reported = np.take_along_axis(scores[kept], classes, axis=1)
    return distinct and bool((np.abs(reported - best) <= 2 * tolerance).all())


def _possible_in_class(
    boxes: np.ndarray,
    scores: np.ndarray,
    kept: np.ndarray,
    options: PostprocessingOptions,
    bar: float,
    tolerance: float,
) -> bool:
    """Returns whether greedy suppression by these scores `[A]` could keep exactly these anchors.

    Each anchor left out must have its reason: a score below the threshold, a kept box that overlaps
    it and is not worse, or a full list of better ones (`bar` is the worst score of that).
    """
    slack = _OVERLAP_FACTOR * tolerance
    overlap = iou(boxes[:, np.newaxis], boxes[kept])  # [A, n]
    among = overlap[kept] - np.eye(len(kept))
    if (among > options.iou_threshold + slack).any():
        return False
    not_worse = scores[kept] >= scores[:, np.newaxis] - 2 * tolerance
    reason = (not_worse & (overlap > options.iou_threshold - slack)).any(axis=1)
    reason |= scores < options.score_threshold + tolerance
    reason |= scores <= bar + 2 * tolerance
    if options.use_regular_nms and len(kept) >= options.detections_per_class:
        reason |= scores <= scores[kept].min() + 2 * tolerance
    reason[kept] = True
    return bool(reason.all())
