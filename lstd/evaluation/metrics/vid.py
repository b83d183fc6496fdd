"""ImageNet VID's average precision at IoU 0.5, and its split by motion (`vid/...`)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstd.base import overlap
from lstd.evaluation import arrays
from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics.coco import Weighted, mean_of_measured
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId, Objects

RANGES = {"slow": (0.9, 1.0), "medium": (0.7, 0.9), "fast": (0.0, 0.7)}
"""Motion IoU from and to, closed at both ends: a box at exactly 0.7 is both fast and medium."""

_IOU = 0.5
_TOLERANCE_PX = 10.0  # small boxes need less overlap: as if they were drawn 10 pixels too large
_ROUNDING = 1e-9  # the mean of IoUs that is 0.7 by rights may miss it by the last bits
_EPSILON = np.finfo(np.float64).eps


class Counted(NamedTuple):
    """Matched frames, from which any weighting of the frames gives the precision at once.

    There are M true boxes, N detections and R sets of true boxes.
    """

    frames: Flat
    names: tuple[str, ...]  # what stands behind `vid/ap50` for each set: "", "_slow", ...
    in_set: np.ndarray  # bool [R, M], which true boxes count
    true_of: np.ndarray  # int64 [N], see `match`
    false: np.ndarray  # float64 [R, N], see `_false`
    rows: list[np.ndarray]  # for each class its detections, by falling score


class VidMetric(FrameMetric):
    """AP@0.5 as ImageNet VID's field computes it, over all objects and by how fast they move.

    A true box is found at IoU 0.5, or less where it is small; areas include the last pixel; crowds
    are left out, see `arrays.without_crowds`. `docs/metrics.md` has all rules. The split into slow,
    medium and fast (`motion`) needs the track id of every true box; with `per_class`, `result` also
    has `vid/ap50/<label>`.

    Source: the evaluation of Zhu et al., Flow-Guided Feature Aggregation, 2017.
    """

    settings = ("motion", "per_class")

    def __init__(
        self, labels: Sequence[str], *, motion: bool = True, per_class: bool = True
    ) -> None:
        super().__init__(labels)
        self.motion = motion
        self.per_class = per_class

    def result(self) -> dict[str, float]:
        """Returns `vid/ap50`, with the split `vid/ap50_slow`, `_medium` and `_fast`.

        Beside each stands how many classes counted, such as `vid/classes_slow`: those without
        ground truth are left out of the mean. Without any, it is -1.
        """
        counted = self.counted()
        once = np.ones(len(counted.frames.frames))
        precisions = dict(zip(counted.names, _precisions(counted, once), strict=True))
        numbers = {f"vid/ap50{name}": mean_of_measured(p) for name, p in precisions.items()}
        for name, each in precisions.items():
            numbers[f"vid/classes{name}"] = float((each > -1).sum())
        if self.per_class:
            for label, value in zip(self.labels, precisions[""], strict=True):
                numbers[f"vid/ap50/{label}"] = float(value)
        return numbers

    def precision_recall(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns recall and precision of a class, `[n]`, detection by detection by falling score.

        Without the envelope; empty without ground truth.

        Raises:
            ValueError: there is no such class, or no frame.
        """
        counted, number = self.counted(), self.class_of(label)
        positives = (counted.frames.true_classes == number).sum()
        if not positives:
            return np.zeros(0), np.zeros(0)
        return _curve(*_hits(counted, counted.rows[number], 0, 1.0), positives)

    def weighted(self) -> Weighted:
        """Returns the APs by weights, see `lstd.evaluation.bootstrap`."""
        counted = self.counted()

        def numbers(weights: np.ndarray) -> dict[str, float]:
            rows = zip(counted.names, _precisions(counted, weights), strict=True)
            return {f"vid/ap50{name}": mean_of_measured(row) for name, row in rows}

        return counted.frames.frames, numbers

    def _count(self) -> Counted:
        frames = arrays.without_crowds(self.flat())
        sets = {"": np.ones(len(frames.true_boxes), bool)}
        if self.motion:
            motion = overlap.motion_iou(frames.true_boxes, *arrays.tracks(frames))
            for name, (low, high) in RANGES.items():
                sets[f"_{name}"] = (motion >= low - _ROUNDING) & (motion <= high + _ROUNDING)
        in_set = np.stack(list(sets.values()))
        order = np.lexsort((-frames.scores, frames.found_classes))  # stable
        counts = np.bincount(frames.found_classes, minlength=len(self.labels))
        rows = np.split(order, np.cumsum(counts)[:-1])
        false = _false(frames, in_set)
        return Counted(frames, tuple(sets), in_set, match(frames), false, rows)

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        if self.motion:
            require_tracks(
                frame,
                true,
                "the motion split needs them (without it: VidMetric(labels, motion=False), or "
                "vid_ap50 by name)",
            )


def match(frames: Flat) -> np.ndarray:
    """Returns which true box each detection takes, int64 `[N]`, -1 for none.

    That is, by falling score, the one of its class that is still free and has the largest IoU of
    those whose threshold is reached.
    """
    sides = frames.true_boxes[:, 2:] - frames.true_boxes[:, :2] + 1.0
    threshold = np.minimum(_IOU, sides.prod(axis=1) / (sides + _TOLERANCE_PX).prod(axis=1))
    return arrays.matches(
        frames, lambda pairs: pairs.same & (pairs.iou >= threshold[pairs.true]), pixel=1.0
    )


def _false(frames: Flat, in_set: np.ndarray) -> np.ndarray:
    """Returns how much of a false positive a detection is that takes nothing, `[R, N]`, 0 to 1.

    It is compared with all true boxes of its frame, of any class and free or not: 1 if the best IoU
    with those that count, `in_set`, bool `[R, M]`, is larger than with those that do not, 0 if
    smaller, else the share of those that do not. NaN in frames without true boxes, where the share
    of all true boxes that count decides.
    """
    false = np.full((len(in_set), len(frames.scores)), np.nan)
    count = len(frames.frames)
    of_frame = np.maximum(np.bincount(frames.true_frame, minlength=count), 1)
    share_out = [
        np.bincount(frames.true_frame[~each], minlength=count) / of_frame for each in in_set
    ]
    for pairs in arrays.overlaps(frames, pixel=1.0):
        starts = np.flatnonzero(np.diff(pairs.found, prepend=-1))
        rows = pairs.found[starts]
        for number, counts in enumerate(in_set if len(rows) else ()):
            inside = counts[pairs.true]
            # -1 where there is no such box: less than the 0 of one that does not overlap.
            best_in = np.maximum.reduceat(np.where(inside, pairs.iou, -1.0), starts)
            best_out = np.maximum.reduceat(np.where(inside, -1.0, pairs.iou), starts)
            equal = share_out[number][frames.found_frame[rows]]
            more_in = (best_in > best_out).astype(float)
            false[number, rows] = np.where(best_in == best_out, equal, more_in)
    return false


def _precisions(counted: Counted, weights: np.ndarray) -> np.ndarray:
    """Returns the average precision of each set and class, `[R, K]`; -1 without truth.

    Each frame counts as often as `weights`, float64 `[F]`, says.
    """
    frames = counted.frames
    true_weight = weights[frames.true_frame]
    total = true_weight.sum()
    num_classes = len(counted.rows)
    result = np.full((len(counted.names), num_classes), -1.0)
    for number, in_set in enumerate(counted.in_set):
        positives = np.bincount(frames.true_classes, true_weight * in_set, minlength=num_classes)
        share = (true_weight * in_set).sum() / total if total else 0.0
        for label in np.flatnonzero(positives > 0):
            rows = counted.rows[label]
            weight = weights[frames.found_frame[rows]]
            hit, false = (part * weight for part in _hits(counted, rows, number, share))
            recall, precision = _curve(hit, false, positives[label])
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            result[number, label] = (np.diff(recall, prepend=0.0) * envelope).sum()
    return result


def require_tracks(frame: FrameId, true: Objects, why: str) -> None:
    """Raises unless every true box but crowds has a track id; names the frame, and says why."""
    crowd = np.zeros(len(true.boxes), bool) if true.is_crowd is None else true.is_crowd
    if crowd.all():
        return
    if true.track_ids is None:
        raise ValueError(f"frame {frame}: the ground truth has no track_ids; {why}")
    for row in np.flatnonzero((true.track_ids < 0) & ~crowd)[:1]:
        raise ValueError(
            f"frame {frame}: ground truth {row} has track id {true.track_ids[row]}, which means "
            f"unknown; {why}"
        )


def _hits(
    counted: Counted, rows: np.ndarray, number: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns true and false positives of some detections in a set, each 0 to 1."""
    taken = counted.true_of[rows]
    matched = taken >= 0
    hit = np.zeros(len(rows))
    hit[matched] = counted.in_set[number, taken[matched]]
    false = counted.false[number, rows]
    return hit, np.where(matched, 0.0, np.where(np.isnan(false), share, false))


def _curve(hit: np.ndarray, false: np.ndarray, positives: float) -> tuple[np.ndarray, np.ndarray]:
    hits = np.cumsum(hit)
    return hits / positives, hits / np.maximum(hits + np.cumsum(false), _EPSILON)
