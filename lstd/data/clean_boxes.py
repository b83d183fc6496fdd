"""Raw boxes become ground truth: every problem meets the answer that was chosen for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstd.base.types import GroundTruth
from lstd.data.problems import Policy, Report, meet
from lstd.data.sources import SourceFrame

_ROUNDING = 1e-5
"""What a box may reach beyond the frame without being told of: float32 sides of a pixel grid."""


def clean(
    frame: SourceFrame,
    *,
    labels: Sequence[str] | int | None,
    policy: Policy,
    report: Report,
    max_boxes: int = 0,
) -> GroundTruth:
    """Returns the boxes of a frame as ground truth: all in [0, 1] with an area, classes known.

    Args:
        frame: raw; padding rows (class -1) are left out without a word.
        labels: class names, or how many classes there are; empty or None: any from 0 on.
        policy: the answers.
        report: counts what is repaired or skipped.
        max_boxes: sound boxes that a frame may have; the first ones are kept; 0: any number.

    Returns:
        NumPy: float32 `[N, 4]`, int32 `[N]`; track ids and is_crowd as they came, or None.

    Raises:
        ProblemError: a problem whose answer is error; it names the frame's place and the box.
    """
    truth = frame.truth
    boxes = np.array(truth.boxes, np.float64).reshape(-1, 4)
    classes = np.asarray(truth.classes, np.int64).reshape(-1)
    tracks = None if truth.track_ids is None else np.array(truth.track_ids, np.int32).reshape(-1)
    known = labels if isinstance(labels, int) else len(labels or ())
    # The usual frame has no problem at all, and is done here.
    suspects = _suspects(boxes, classes, tracks, known)
    keep = classes != -1
    for row in np.flatnonzero(suspects & keep):
        answer = _mend_box(frame, int(row), boxes, policy, report)
        if answer != "skip":
            answer = _check_class(frame, int(row), classes, known, labels, policy, report)
        keep[row] = answer != "skip"
    if tracks is not None:
        _separate_tracks(frame, tracks, keep, policy, report)
    rows = _limited(frame, np.flatnonzero(keep), max_boxes, policy, report)
    return GroundTruth(
        boxes=np.clip(boxes[rows], 0, 1).astype(np.float32),
        classes=classes[rows].astype(np.int32),
        track_ids=None if tracks is None else tracks[rows],
        is_crowd=None if truth.is_crowd is None else np.asarray(truth.is_crowd, np.bool_)[rows],
    )


def _suspects(
    boxes: np.ndarray, classes: np.ndarray, tracks: np.ndarray | None, known: int
) -> np.ndarray:
    sound = np.isfinite(boxes).all(axis=-1)
    with np.errstate(invalid="ignore"):
        sound &= (boxes >= -_ROUNDING).all(axis=-1) & (boxes <= 1 + _ROUNDING).all(axis=-1)
        inside = np.clip(boxes, 0, 1).astype(np.float32)
        sound &= (inside[:, 0] < inside[:, 2]) & (inside[:, 1] < inside[:, 3])
    sound &= (classes >= 0) & ((classes < known) if known else True)
    return ~sound


def _mend_box(
    frame: SourceFrame, row: int, boxes: np.ndarray, policy: Policy, report: Report
) -> str:
    """Returns "skip" if the box is to be left out; otherwise it has been mended in place."""

    def met(kind: str, text: str) -> str:
        sides = ", ".join(f"{side:g}" for side in np.asarray(frame.truth.boxes[row]))
        message = f"{place_of(frame, row)}: the box {text}: ymin, xmin, ymax, xmax = {sides}"
        return meet(kind, message, policy=policy, report=report)

    box = boxes[row]
    if not np.isfinite(box).all():
        return met("box_not_a_number", "is not made of numbers")
    if box[0] > box[2] or box[1] > box[3]:
        if met("box_inverted", "is inverted") == "skip":
            return "skip"
        box[:] = [
            min(box[0], box[2]),
            min(box[1], box[3]),
            max(box[0], box[2]),
            max(box[1], box[3]),
        ]
    if box[0] == box[2] or box[1] == box[3]:
        return met("box_empty", "is empty")
    if box[0] >= 1 or box[1] >= 1 or box[2] <= 0 or box[3] <= 0:
        return met("box_outside", "lies outside the frame")
    beyond = box.min() < -_ROUNDING or box.max() > 1 + _ROUNDING
    if beyond and met("box_beyond_edge", "reaches beyond the frame") == "skip":
        return "skip"
    inside = np.clip(box, 0, 1).astype(np.float32)
    if inside[0] == inside[2] or inside[1] == inside[3]:  # thinner than float32 can say
        return met("box_empty", "is empty")
    return ""


def _check_class(
    frame: SourceFrame,
    row: int,
    classes: np.ndarray,
    known: int,
    labels: Sequence[str] | int | None,
    policy: Policy,
    report: Report,
) -> str:
    number = int(classes[row])
    if number >= 0 and (not known or number < known):
        return ""
    text = frame.class_texts[row] if row < len(frame.class_texts) else str(number)
    names = labels if labels and not isinstance(labels, int) else ()
    expected = f"one of {', '.join(names[:8])}" if names else f"0 to {known - 1}"
    if len(names) > 8:
        expected += f" and {len(names) - 8} more"
    if not known:
        expected = "0 or above"
    message = f"{place_of(frame, row)}: class {text!r} is not among the labels; expected {expected}"
    return meet("unknown_class", message, policy=policy, report=report)


def _separate_tracks(
    frame: SourceFrame, tracks: np.ndarray, keep: np.ndarray, policy: Policy, report: Report
) -> None:
    """Sees to it that no two boxes that are kept have one track id."""
    seen: set[int] = set()
    for row in np.flatnonzero(keep & (tracks >= 0)):
        track = int(tracks[row])
        if track in seen:
            message = f"{place_of(frame, int(row))}: track id {track} is there twice"
            if meet("doubled_track", message, policy=policy, report=report) == "skip":
                keep[row] = False
            else:
                tracks[row] = -1
        seen.add(track)


def _limited(
    frame: SourceFrame, rows: np.ndarray, max_boxes: int, policy: Policy, report: Report
) -> np.ndarray:
    """Returns the rows up to the limit."""
    beyond = len(rows) - max_boxes if max_boxes else 0
    if beyond > 0:
        message = f"{frame.where}: {len(rows)} boxes, max_boxes is {max_boxes}"
        meet("too_many_boxes", message, policy=policy, report=report, count=beyond)
        return rows[:max_boxes]
    return rows


def place_of(frame: SourceFrame, row: int) -> str:
    """Returns where a box stands, for messages."""
    name = frame.row_names[row] if row < len(frame.row_names) else f"box {row}"
    return f"{frame.where}, {name}"
