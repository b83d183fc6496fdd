"""Raw boxes become ground truth: every problem meets the answer that was chosen for it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lstd.base.types import GroundTruth
from lstd.data.problems import Answer, Checks
from lstd.data.sources import SourceFrame

_ROUNDING = 1e-5
"""What a box may reach beyond the frame without being told of: float32 sides of a pixel grid."""


def clean(frame: SourceFrame, checks: Checks, *, labels: Sequence[str] | int | None) -> GroundTruth:
    """Returns the boxes of a frame as ground truth: all in [0, 1] with an area, classes known.

    Args:
        frame: raw; padding rows (class -1, no crowd) are left out without a word.
        checks: the answers; of `max_boxes` sound boxes the first ones are kept, objects before
            regions to ignore.
        labels: class names, or how many classes there are; empty or None: any from 0 on.

    Returns NumPy arrays; track ids are None if they came so.

    Raises:
        ProblemError: a problem whose answer is error; it names the frame's place and the box.
    """
    truth = frame.truth
    boxes = np.array(truth.boxes, np.float64).reshape(-1, 4)
    classes = np.asarray(truth.classes, np.int64).reshape(-1)
    tracks: Any = None
    if truth.track_ids is not None:
        tracks = np.array(truth.track_ids, np.int32).reshape(-1)
    known = labels if isinstance(labels, int) else len(labels or ())
    crowd = np.zeros(len(classes), np.bool_)
    if truth.is_crowd is not None:
        crowd = np.asarray(truth.is_crowd, np.bool_).reshape(-1)
    regions = (classes == -1) & crowd
    keep = (classes != -1) | regions

    def met(row: int, kind: str, text: str) -> Answer:
        name = frame.row_names[row] if row < len(frame.row_names) else f"box {row}"
        return checks.meet(kind, f"{frame.where}, {name}: {text}")

    # The usual frame has no problem at all, and is done here.
    for row in np.flatnonzero(_suspects(boxes, classes, known) & keep).tolist():
        keep[row] = _is_mended(
            boxes[row], functools.partial(met, row), sides=np.asarray(truth.boxes[row])
        ) and (
            0 <= classes[row] < (known or np.inf)
            or regions[row]
            or met(row, "unknown_class", _unknown_class(frame, row, labels)) != "skip"
        )
    seen: set[int] = set()
    for row in np.flatnonzero(keep).tolist() if tracks is not None else ():
        track = int(tracks[row])
        if track in seen:
            if met(row, "doubled_track", f"track id {track} is there twice") == "skip":
                keep[row] = False
            tracks[row] = -1
        elif track >= 0:
            seen.add(track)
    rows = np.flatnonzero(keep)
    most = checks.max_boxes or len(rows)
    if len(rows) > most:
        message = f"{frame.where}: {len(rows)} boxes, max_boxes is {most}"
        checks.meet("too_many_boxes", message, count=len(rows) - most)
        rows = rows[np.argsort(regions[rows], kind="stable")][:most]
    return GroundTruth(
        boxes=np.clip(boxes[rows], 0, 1).astype(np.float32),
        classes=classes[rows].astype(np.int32),
        track_ids=None if tracks is None else tracks[rows],
        is_crowd=crowd[rows],
    )


def objects_of(truth: GroundTruth) -> GroundTruth:
    """Returns the rows of objects: without padding, regions to ignore and crowds."""
    rows = truth.classes >= 0
    if truth.is_crowd is not None:
        rows &= ~np.asarray(truth.is_crowd, np.bool_)
    return GroundTruth(*(None if column is None else column[rows] for column in truth))


def _suspects(boxes: np.ndarray, classes: np.ndarray, known: int) -> np.ndarray:
    sound = np.isfinite(boxes).all(axis=-1)
    with np.errstate(invalid="ignore"):
        sound &= (boxes >= -_ROUNDING).all(axis=-1) & (boxes <= 1 + _ROUNDING).all(axis=-1)
        inside = np.clip(boxes, 0, 1).astype(np.float32)
        sound &= (inside[:, 0] < inside[:, 2]) & (inside[:, 1] < inside[:, 3])
    sound &= (classes >= 0) & ((classes < known) if known else True)
    return ~sound


def _is_mended(box: np.ndarray, met: Callable[[str, str], Answer], *, sides: np.ndarray) -> bool:
    """Returns whether a box is sound, after mending it in place; False if it is to be left out."""

    def skipped(kind: str, text: str) -> bool:
        told = ", ".join(f"{side:g}" for side in sides)
        return met(kind, f"the box {text}: ymin, xmin, ymax, xmax = {told}") == "skip"

    if not np.isfinite(box).all():
        return not skipped("box_not_a_number", "is not made of numbers")
    if box[0] > box[2] or box[1] > box[3]:
        if skipped("box_inverted", "is inverted"):
            return False
        box[:] = [*np.minimum(box[:2], box[2:]), *np.maximum(box[:2], box[2:])]
    if box[0] == box[2] or box[1] == box[3]:
        return not skipped("box_empty", "is empty")
    if (box[:2] >= 1).any() or (box[2:] <= 0).any():
        return not skipped("box_outside", "lies outside the frame")
    beyond = box.min() < -_ROUNDING or box.max() > 1 + _ROUNDING
    if beyond and skipped("box_beyond_edge", "reaches beyond the frame"):
        return False
    inside = np.clip(box, 0, 1).astype(np.float32)
    is_thin = inside[0] == inside[2] or inside[1] == inside[3]  # thinner than float32 can say
    return not (is_thin and skipped("box_empty", "is empty"))


def _unknown_class(frame: SourceFrame, row: int, labels: Sequence[str] | int | None) -> str:
    number = frame.truth.classes[row]
    text = frame.class_texts[row] if row < len(frame.class_texts) else str(number)
    first = int(bool(frame.class_texts))  # numbers of records are told as they are stored, from 1
    if not labels:
        expected = f"{first} or above"
    elif not isinstance(labels, int):
        expected = f"one of {', '.join(labels[:8])}"
        expected += f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    elif text.lstrip("-")[:1].isdigit():
        expected = f"{first} to {labels - 1 + first}"
    else:
        expected = f"one of {labels} names"
    return f"class {text!r} is not among the labels; expected {expected}"
