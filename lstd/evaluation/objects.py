"""The form in which every metric is given a frame, and the check at its door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstd.base import limits

FrameId = tuple[str, int]
"""A frame's video and its number in it."""

LARGEST = 2**63 - 1
"""What the number of a frame or track may be: int64."""


class Objects(NamedTuple):
    """The objects of one frame, true or detected. Nobody writes to the arrays: metrics share them.

    Attributes:
        boxes: float64 `[n, 4]`: ymin, xmin, ymax, xmax in pixels.
        classes: int64 `[n]`, 0-based, without background.
        scores: float64 `[n]`; None for ground truth.
        track_ids: int64 `[n]`, -1 unknown; None for detections and where the data has none.
        is_crowd: bool `[n]`; all False where the data has none.
        network: "large" or "small", the one that found them; None where nobody said so.
        areas: float64 `[n]`, square pixels of true objects, which COCO sorts by size; None: w * h.
        image: the place of the frame's image among the ids of its COCO file; None without a file.
        sizes: float64 `[n, 2]`, height and width as a file says them, to the last bit; None: those
            between the corners of the boxes.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray | None = None
    track_ids: np.ndarray | None = None
    is_crowd: np.ndarray | None = None
    network: str | None = None
    areas: np.ndarray | None = None
    image: int | None = None
    sizes: np.ndarray | None = None


def frame_id_of(frame_id: tuple[object, object]) -> FrameId:
    """Returns `(video, index)` as text and a plain int; a video's name may come as bytes.

    Raises:
        ValueError: not a pair, or the index is not a whole number of at least 0.
    """
    try:
        video, index = frame_id
    except (TypeError, ValueError):
        raise ValueError(f"frame_id must be (video, index), got {frame_id!r}") from None
    number = (int, np.integer)
    if not isinstance(index, number) or isinstance(index, bool) or not 0 <= index <= LARGEST:
        raise ValueError(f"frame_id {frame_id!r}: the index must be a whole number of at least 0")
    name = video.decode("utf-8", "replace") if isinstance(video, bytes) else str(video)
    return name, int(index)


def ground_truth_of(frame_id: FrameId, values: object, *, num_classes: int) -> Objects:
    """Returns the true objects of a frame, checked.

    Args:
        frame_id: the frame, for the messages.
        values: a dict or named tuple with `boxes` `[n, 4]` (ymin, xmin, ymax, xmax in pixels),
            `classes` `[n]`, and where known `track_ids` `[n]`, `is_crowd` `[n]` and `areas` `[n]`.
        num_classes: the classes are 0 ... num_classes - 1.

    Raises:
        ValueError: something is missing or of another length, a box is not finite or upside down,
            a class is outside; the message names the frame and the row.
    """
    given = _Given(frame_id, values, "ground truth")
    boxes, classes = given.boxes(), given.classes(num_classes)
    is_crowd = given.column("is_crowd", np.bool_)
    return Objects(
        boxes,
        classes,
        track_ids=given.column("track_ids", np.int64),
        is_crowd=np.zeros(len(boxes), bool) if is_crowd is None else is_crowd,
        areas=given.column("areas", np.float64),
        image=values.image if isinstance(values, Objects) else None,
        sizes=values.sizes if isinstance(values, Objects) else None,
    )


def detections_of(frame_id: FrameId, values: object, *, num_classes: int) -> Objects:
    """Returns the detections of a frame, checked.

    Args:
        frame_id: the frame, for the messages.
        values: a dict or named tuple with `boxes` `[n, 4]` (ymin, xmin, ymax, xmax in pixels),
            `classes` `[n]` and `scores` `[n]`, in any order, and where known `network`.
        num_classes: the classes are 0 ... num_classes - 1.

    Raises:
        ValueError: as `ground_truth_of`; also for scores that are missing or not finite.
    """
    given = _Given(frame_id, values, "detection")
    boxes, classes = given.boxes(), given.classes(num_classes)
    scores = given.column("scores", np.float64)
    if scores is None:
        raise ValueError(f"frame {frame_id}: the detections have no scores")
    if not np.isfinite(scores).all():
        raise ValueError(f"frame {frame_id}: detection scores are not finite: {scores}")
    network = given.field("network")
    if network not in (None, "large", "small"):
        raise ValueError(
            f"frame {frame_id}: the detections' network must be 'large' or 'small', got {network!r}"
        )
    sizes = values.sizes if isinstance(values, Objects) else None
    return Objects(boxes, classes, scores=scores, network=network, sizes=sizes)


class _Given:
    """What somebody gave for a frame, part by part."""

    def __init__(self, frame_id: FrameId, values: object, what: str) -> None:
        self._values, self._what, self._where = values, what, f"frame {frame_id}: {what}"
        if self.field("boxes") is None or self.field("classes") is None:
            raise ValueError(
                f"frame {frame_id}: the {what} must have `boxes` and `classes`, "
                f"got {type(values).__name__}"
            )
        self._count = 0

    def field(self, name: str) -> Any:
        values = self._values
        return values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)

    def boxes(self) -> np.ndarray:
        boxes = self._own("boxes").astype(np.float64, copy=False)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"{self._where} boxes must have the shape [n, 4], got {list(boxes.shape)}"
            )
        for row in np.flatnonzero(~(np.abs(boxes) <= limits.BOX_SIDE).all(axis=1))[:1]:
            raise ValueError(
                f"{self._where} box {row} is not finite, or beyond {limits.BOX_SIDE:g} pixels: "
                f"{boxes[row]}"
            )
        for row in np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(axis=1))[:1]:
            raise ValueError(
                f"{self._where} box {row} ends before it begins: {boxes[row]}; "
                "expected ymin, xmin, ymax, xmax"
            )
        self._count = len(boxes)
        return boxes

    def classes(self, num_classes: int) -> np.ndarray:
        classes = self.column("classes", np.int64)
        for row in np.flatnonzero((classes < 0) | (classes >= num_classes))[:1]:
            raise ValueError(
                f"{self._where} {row} has class {classes[row]}, outside 0 ... {num_classes - 1} "
                "(classes are 0-based, padding is left out)"
            )
        return classes

    def column(self, name: str, dtype: type[np.generic]) -> Any:
        """Returns a value for each box; None where none is given."""
        if self.field(name) is None:
            return None
        given = self._own(name)
        if dtype is np.int64 and given.dtype.kind == "f" and not (given == np.rint(given)).all():
            raise ValueError(f"{self._where} {name} must be whole numbers, got {given}")
        array = given.astype(dtype, copy=False)
        array = array.reshape(0) if array.size == 0 else array
        if array.shape != (self._count,):
            raise ValueError(
                f"{self._where} {name} must have the shape [{self._count}], one for each box, "
                f"got {list(array.shape)}"
            )
        return array

    def _own(self, name: str) -> np.ndarray:
        """Returns a part that its giver cannot change later; of Objects nobody does."""
        part = self.field(name)
        return np.asarray(part) if isinstance(self._values, Objects) else np.array(part)
