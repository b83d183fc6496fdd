"""ImageNet VID's average precision at IoU 0.5, and its split by motion (`vid/...`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstd.evaluation import arrays
from lstd.evaluation.arrays import Flat, Pairs
from lstd.evaluation.metrics import coco
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId, Objects

_IOU = 0.5
_TOLERANCE_PX = 10.0  # small boxes need less overlap: as if they were drawn 10 pixels too large
_EPSILON = np.finfo(np.float64).eps


class Outcomes(NamedTuple):
    """What became of N detections, in R sets of true boxes that count.

    Attributes:
        true_of: int64 `[N]`, the true box that a detection took, -1 for none.
        false: float64 `[R, N]`, how much of a false positive it is where it took none: 0 to 1; NaN
            in frames without true boxes, where the share of all true boxes that count decides.
    """

    true_of: np.ndarray
    false: np.ndarray


class Curve(NamedTuple):
    """Recall and precision of a class, float64 `[n]`, detection by detection by falling score."""

    recall: np.ndarray
    precision: np.ndarray


class VidMetric(FrameMetric):
    """AP@0.5 as ImageNet VID's field computes it, over all objects and by how fast they move.

    A true box is found at IoU 0.5, or less where it is small; areas include the last pixel; there
    is no crowd flag. `docs/metrics.md` has all rules.

    Args:
        labels: the names of the classes in order.
        motion: whether to split into slow, medium and fast, for which every true box needs its
            track id.
        per_class: whether `result` also has `vid/ap50/<label>`.

    Source: the evaluation of Zhu et al., Flow-Guided Feature Aggregation, 2017.
    """

    def __init__(
        self, labels: Sequence[str], *, motion: bool = True, per_class: bool = True
    ) -> None:
        super().__init__(labels)
        self.motion = motion
        self.per_class = per_class
        self._counted: Counted | None = None

    def result(self) -> dict[str, float]:
        """Returns `vid/ap50`, with the split `vid/ap50_slow`, `_medium` and `_fast`.

        Beside each stands how many classes counted, such as `vid/classes_slow`: those without
        ground truth are left out of the mean. Without any, it is -1.

        Raises:
            ValueError: no frame was added.
        """
        counted = self.counted()
        precisions = weighted(counted)
        numbers: dict[str, float] = {}
        for row, name in enumerate(counted.names):
            numbers[f"vid/ap50{name}"] = coco.mean_of_measured(precisions[row])
        for row, name in enumerate(counted.names):
            numbers[f"vid/classes{name}"] = float((precisions[row] > -1).sum())
        if self.per_class:
            for index, label in enumerate(self.labels):
                numbers[f"vid/ap50/{label}"] = float(precisions[0, index])
        return numbers

    def precision_recall(self, label: str) -> Curve:
        """Returns the curve of a class, as it is, without the envelope; empty without ground truth.

        Raises:
            ValueError: there is no such class, or no frame.
        """
        return curve(self.counted(), coco.class_index(self.labels, label))

    def counted(self) -> Counted:
        """Returns all that is counted, which does not depend on weights."""
        if self._counted is None:
            self._counted = count(self.flat(), num_classes=len(self.labels), split=self.motion)
        return self._counted

    def _changed(self) -> None:
        self._counted = None

    def _settings(self) -> Mapping[str, object]:
        return {"motion": self.motion, "per_class": self.per_class}

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        if self.motion:
            require_tracks(
                frame,
                true,
                "the motion split needs them (without it: VidMetric(labels, motion=False), or "
                "vid_ap50 by name)",
            )


class Counted(NamedTuple):
    """Matched frames, from which any weighting of the frames gives the precision at once.

    Attributes:
        frames: the frames.
        num_classes: K.
        outcomes: of the detections.
        names: what stands behind `vid/ap50` for each set: "", "_slow", ...
        in_set: bool `[R, M]`, which true boxes count.
        order: int64 `[N]`, the detections by falling score.
    """

    frames: Flat
    num_classes: int
    outcomes: Outcomes
    names: tuple[str, ...]
    in_set: np.ndarray
    order: np.ndarray


def count(frames: Flat, *, num_classes: int, split: bool) -> Counted:
    """Returns the matched frames.

    Args:
        frames: with track ids where `split`.
        num_classes: K.
        split: whether by motion too.
    """
    sets = {"": np.ones(len(frames.true_boxes), bool)}
    if split:
        moved = motion_iou(frames)
        sets.update({f"_{name}": in_range(moved, name) for name in RANGES})
    in_set = np.stack(list(sets.values()))
    return Counted(
        frames,
        num_classes,
        outcomes_of(frames, in_set),
        tuple(sets),
        in_set,
        np.argsort(-frames.scores, kind="stable"),
    )


def outcomes_of(frames: Flat, in_set: np.ndarray) -> Outcomes:
    """Returns what becomes of the detections.

    In each frame, by falling score, a detection takes the true box of its class that is still free
    and has the largest IoU of those whose threshold is reached. One that takes none is compared
    with all true boxes of its frame, of any class and free or not: false if the best IoU with
    those that count is larger than with those that do not, nothing if smaller, else the share of
    those that do not count.

    Args:
        frames: see `Flat`.
        in_set: bool `[R, M]`, which true boxes count.
    """
    sides = frames.true_boxes[:, 2:] - frames.true_boxes[:, :2] + 1.0
    room = sides + _TOLERANCE_PX
    threshold = np.minimum(_IOU, sides.prod(axis=1) / room.prod(axis=1))
    false = np.full((len(in_set), len(frames.scores)), np.nan)
    share_out = _share_out(frames, in_set)
    candidates = []
    for pairs in arrays.overlaps(frames, pixel=1.0):
        if not len(pairs.found):
            continue
        may = (pairs.iou >= threshold[pairs.true]) & (
            frames.found_classes[pairs.found] == frames.true_classes[pairs.true]
        )
        candidates.append(Pairs(*(part[may] for part in pairs)))
        starts = np.flatnonzero(np.diff(pairs.found, prepend=-1))
        rows = pairs.found[starts]
        for number, counts in enumerate(in_set):
            inside = counts[pairs.true]
            # -1 where there is no such box: less than the 0 of one that does not overlap.
            best_in = np.maximum.reduceat(np.where(inside, pairs.iou, -1.0), starts)
            best_out = np.maximum.reduceat(np.where(inside, -1.0, pairs.iou), starts)
            equal = share_out[number, frames.found_frame[rows]]
            false[number, rows] = np.where(
                best_in == best_out, equal, (best_in > best_out).astype(float)
            )
    true_of = np.full(len(frames.scores), -1)
    if candidates:
        chosen = arrays.first_come(Pairs(*map(np.concatenate, zip(*candidates, strict=True))))
        true_of[list(chosen)] = list(chosen.values())
    return Outcomes(true_of, false)


def weighted(counted: Counted, weights: np.ndarray | None = None) -> np.ndarray:
    """Returns the average precision of each set and class, float64 `[R, K]`; -1 without truth.

    Args:
        counted: see `count`.
        weights: float64 `[F]`, how often each frame counts; None: once.
    """
    frames, outcomes = counted.frames, counted.outcomes
    weights = np.ones(len(frames.frames)) if weights is None else weights
    true_weight = weights[frames.true_frame]
    total = true_weight.sum()
    result = np.full((len(counted.names), counted.num_classes), -1.0)
    rows_of = _rows_of_classes(counted)
    for number, in_set in enumerate(counted.in_set):
        positives = np.bincount(
            frames.true_classes, true_weight * in_set, minlength=counted.num_classes
        )
        share = (true_weight * in_set).sum() / total if total else 0.0
        for label in np.flatnonzero(positives > 0):
            rows = rows_of[label]
            hit, false = _hits(outcomes, rows, number, in_set, share)
            weight = weights[frames.found_frame[rows]]
            result[number, label] = average_precision(
                *_curve(hit * weight, false * weight, positives[label])
            )
    return result


def curve(counted: Counted, label: int) -> Curve:
    """Returns the precision over recall of one class, over all its objects."""
    positives = (counted.frames.true_classes == label).sum()
    if not positives:
        return Curve(np.zeros(0), np.zeros(0))
    rows = _rows_of_classes(counted)[label]
    return _curve(*_hits(counted.outcomes, rows, 0, counted.in_set[0], 1.0), positives)


def average_precision(recall: np.ndarray, precision: np.ndarray) -> float:
    """Returns the area under the monotone envelope of precision over recall.

    Args:
        recall: float64 `[n]`, rising.
        precision: float64 `[n]`.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def require_tracks(frame: FrameId, true: Objects, why: str) -> None:
    """Raises unless every true box has a track id.

    Raises:
        ValueError: names the frame, and says why.
    """
    if not len(true.boxes):
        return
    if true.track_ids is None:
        raise ValueError(f"frame {frame}: the ground truth has no track_ids; {why}")
    if (true.track_ids < 0).any():
        row = int(np.argmax(true.track_ids < 0))
        raise ValueError(
            f"frame {frame}: ground truth {row} has track id {true.track_ids[row]}, which means "
            f"unknown; {why}"
        )


def _share_out(frames: Flat, in_set: np.ndarray) -> np.ndarray:
    """Returns the share of each frame's true boxes that do not count, `[R, F]`."""
    count = len(frames.frames)
    all_boxes = np.bincount(frames.true_frame, minlength=count)
    out = [np.bincount(frames.true_frame[~each], minlength=count) for each in in_set]
    return np.stack(out) / np.maximum(all_boxes, 1)


def _rows_of_classes(counted: Counted) -> list[np.ndarray]:
    """Returns the detections of each class, by falling score."""
    classes = counted.frames.found_classes[counted.order]
    by_class = np.argsort(classes, kind="stable")
    ends = np.cumsum(np.bincount(classes, minlength=counted.num_classes))
    return np.split(counted.order[by_class], ends[:-1])


def _hits(
    outcomes: Outcomes, rows: np.ndarray, number: int, in_set: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns true and false positives of some detections, each 0 to 1."""
    taken = outcomes.true_of[rows]
    matched = taken >= 0
    hit = np.zeros(len(rows))
    hit[matched] = in_set[taken[matched]]
    false = outcomes.false[number, rows]
    return hit, np.where(matched, 0.0, np.where(np.isnan(false), share, false))


def _curve(hit: np.ndarray, false: np.ndarray, positives: float) -> Curve:
    hits = np.cumsum(hit)
    return Curve(hits / positives, hits / np.maximum(hits + np.cumsum(false), _EPSILON))


WINDOW = 10
"""Frames before and after that count."""

RANGES = {"slow": (0.9, 1.0), "medium": (0.7, 0.9), "fast": (0.0, 0.7)}
"""Motion IoU from and to, closed at both ends: a box at exactly 0.7 is both fast and medium."""

_ROUNDING = 1e-9  # the mean of IoUs that is 0.7 by rights may miss it by the last bits


def motion_iou(frames: Flat, *, window: int = WINDOW) -> np.ndarray:
    """Returns the motion IoU of each true box, float64 `[M]`.

    It is the mean IoU with the boxes of the same track in frames t - window ... t + window, itself
    left out; frames that are not there, at the ends of a video or where the track is unseen, do not
    count; 0 for a box without any such neighbour. Boxes include their last pixel.

    Args:
        frames: every true box has its track id. A track is known by its id within a video, whatever
            its class; two boxes of one track in one frame are each other's neighbours.
        window: in frames.

    Source: the slow, medium and fast objects of Zhu et al., Flow-Guided Feature Aggregation, 2017.
    """
    videos = np.unique([video for video, _ in frames.frames], return_inverse=True)[1]
    numbers = np.array([number for _, number in frames.frames], np.int64)
    video, time = videos[frames.true_frame], numbers[frames.true_frame]
    order = np.lexsort((time, frames.track_ids, video))
    video, time, track = video[order], time[order], frames.track_ids[order]
    boxes = frames.true_boxes[order]
    total, count = np.zeros(len(order)), np.zeros(len(order))
    # Neighbours of a box stand near it in this order; go one place further until none is near.
    for step in range(1, len(order)):
        first = np.flatnonzero(
            (video[step:] == video[:-step])
            & (track[step:] == track[:-step])
            & (time[step:] - time[:-step] <= window)
        )
        if not len(first):
            break
        shared = arrays.iou(boxes[first], boxes[first + step], pixel=1.0)
        for rows in (first, first + step):  # each row once, so that += does not lose any
            total[rows] += shared
            count[rows] += 1
    result = np.zeros(len(order))
    result[order] = total / np.maximum(count, 1)
    return result


def in_range(motion: np.ndarray, name: str) -> np.ndarray:
    """Returns whether boxes belong to "slow", "medium" or "fast", bool `[M]`."""
    low, high = RANGES[name]
    return (motion >= low - _ROUNDING) & (motion <= high + _ROUNDING)
