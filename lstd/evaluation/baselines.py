"""Answers for the frames between two large ones that no network gives (`SKIP9-held`).

Each begins with what the large network found under a schedule, and moves the boxes until it runs
again; scores and classes stay. So a baseline costs what the large network costs in these frames.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base import overlap
from lstd.base.close_names import close_match
from lstd.config import schedule_names
from lstd.evaluation.objects import NO_NETWORK

MIN_SCORE = 0.3
"""Detections below it are held: they are too many and too unsteady to be followed."""

Found = Mapping[str, Any]
"""Detections of a frame in pixels, see `objects.detections_of`."""

_PARTS = ("boxes", "classes", "scores")


class Held:
    """The boxes of the last large frame of a video, which stand still; subclasses move them."""

    def __init__(self) -> None:
        self._last: tuple[int, Found] | None = None
        self._boxes = self._velocity = np.zeros((0, 4))

    def __call__(self, index: int, found: Found, size: tuple[int, int]) -> dict[str, Any]:
        """Returns the detections of a frame, see `Guesses.of_frame`."""
        if found["network"] == "large":
            self._last = index, found
            self._boxes = np.array(found["boxes"])
            self._velocity = np.zeros_like(self._boxes)
            sure = found["scores"] >= MIN_SCORE
            moved = self._follow(index, {name: found[name][sure] for name in _PARTS})
            self._boxes[sure], self._velocity[sure] = moved
            return dict(found)
        if self._last is None:
            return {**{name: found[name][:0] for name in _PARTS}, "network": NO_NETWORK}
        began, large = self._last
        boxes = np.clip(self._boxes + (index - began) * self._velocity, 0, [*size, *size])
        seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        kept = {name: large[name][seen] for name in _PARTS}
        return {**kept, "boxes": boxes[seen], "network": NO_NETWORK}

    def _follow(self, index: int, found: Found) -> tuple[np.ndarray, np.ndarray]:
        """Returns the boxes of a large frame, and how far each of their ends goes in a frame."""
        return found["boxes"], np.zeros_like(found["boxes"])


class Velocity(Held):
    """Constant velocity: an object goes on as it went from the large frame before to this one.

    It is the same object if the class is the same and the boxes overlap; pairs are taken by falling
    IoU. What was not there before stands still.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: tuple[int, Found] | None = None

    def _follow(self, index: int, found: Found) -> tuple[np.ndarray, np.ndarray]:
        boxes = np.asarray(found["boxes"])
        velocity = np.zeros_like(boxes)
        if self._before is not None:
            number, earlier = self._before
            shared = overlap.iou(boxes[:, np.newaxis], earlier["boxes"])  # [n, m]
            shared[found["classes"][:, np.newaxis] != earlier["classes"]] = 0
            best_first = np.argsort(-shared, axis=None, kind="stable")
            for place in best_first[: np.count_nonzero(shared)]:
                now, then = np.unravel_index(place, shared.shape)
                if shared[now, then] > 0:
                    velocity[now] = (boxes[now] - earlier["boxes"][then]) / (index - number)
                    shared[now], shared[:, then] = 0, 0  # both are taken
        self._before = index, found
        return boxes, velocity


class ByteTrack(Held):
    """The boxes that ByteTrack predicts: a Kalman filter of each track says where it goes.

    There is a tracker for each class, which is told how many frames lie between two large ones, and
    keeps a track for 30 frames without a detection. What has no track yet stands still.
    """

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # OpenCV, which is not used here.
            import supervision
            import trackers
        self._detections = supervision.Detections
        self._tracker = functools.partial(
            trackers.ByteTrackTracker,
            frame_rate=_FRAME_RATE,
            track_activation_threshold=MIN_SCORE,
            high_conf_det_threshold=MIN_SCORE,
            minimum_consecutive_frames=1,
        )
        self._trackers: dict[int, Any] = {}

    def _follow(self, index: int, found: Found) -> tuple[np.ndarray, np.ndarray]:
        boxes = np.array(found["boxes"])
        velocity = np.zeros_like(boxes)
        classes = np.asarray(found["classes"])
        for label in {*self._trackers, *classes.tolist()}:
            rows = np.flatnonzero(classes == label)
            tracker = self._trackers.setdefault(label, self._tracker())
            tracked = tracker.update(
                self._detections(
                    xyxy=boxes[rows][:, _XY],
                    confidence=np.asarray(found["scores"])[rows],
                    data={"row": rows},
                ),
                timestamp=index / _FRAME_RATE,
            )
            track_of = {track.tracker_id: track for track in tracker.tracks}
            for row, number in zip(tracked.data.get("row", ()), tracked.tracker_id, strict=True):
                if number >= 0:
                    filtered = track_of[number].state_estimator
                    now, state = filtered.state_to_bbox(), filtered.get_state()
                    filtered.predict()
                    boxes[row], velocity[row] = now[_XY], (filtered.state_to_bbox() - now)[_XY]
                    filtered.set_state(state)
        return boxes, velocity


_FRAME_RATE = 30.0  # at which the 30 frames of a lost track are its second
_XY = [1, 0, 3, 2]  # from y first to x first, and back

NAMES: dict[str, type[Held]] = {"held": Held, "velocity": Velocity, "bytetrack": ByteTrack}
"""Name -> what answers in one video."""


def check(names: Sequence[str], *, where: str = "baselines") -> None:
    """Raises unless all are names of baselines whose packages are installed.

    Raises:
        ValueError: an unknown name (with the close match), one that comes twice, or no list.
        ImportError: what follows tracks is not installed.
    """
    if isinstance(names, str):
        raise ValueError(f"{where} must be a list, such as [{names!r}]")
    for name in names:
        if name not in NAMES:
            raise ValueError(f"{where}: unknown baseline {name!r}{close_match(name, NAMES)}")
    if len(set(names)) < len(names):
        raise ValueError(f"{where} holds a name twice: {', '.join(names)}")
    if "bytetrack" in names and importlib.util.find_spec("trackers") is None:
        raise ImportError(
            f'{where}: bytetrack needs trackers; run pip install "lstd[tracking]"', name="trackers"
        )


def columns(
    schedules: Sequence[str], names: Sequence[str], *, where: str = "baselines"
) -> tuple[str, ...]:
    """Returns the schedules, and after each that runs both networks its baselines.

    Raises:
        ValueError: no schedule runs both; and, like ImportError, as `check` does.
    """
    check(names, where=where)
    both = set(filter(schedule_names.is_interleaved, schedules))
    if names and not both:
        raise ValueError(
            f"{where}: {', '.join(names)} fill the frames between large ones, so they need a "
            f"schedule such as SKIP9; got {', '.join(schedules)}"
        )
    return tuple(
        column
        for name in schedules
        for column in (name, *(f"{name}-{each}" for each in names if name in both))
    )


def schedule_of(column: str) -> str:
    """Returns the schedule of a column: of SKIP9-held, as of SKIP9, SKIP9."""
    schedule, _, name = column.rpartition("-")
    return schedule if name in NAMES else column


class Guesses:
    """The baselines among some columns, for frames that come in the order of each video."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._columns = [name for name in wanted if schedule_of(name) != name]
        self._videos: dict[tuple[str, object], Held] = {}

    def of_frame(
        self, frame_id: tuple[object, int], found: Mapping[str, Found], size: tuple[int, int]
    ) -> dict[str, dict[str, Any]]:
        """Returns the detections of each baseline in a frame.

        Args:
            frame_id: (video, index).
            found: what was detected under each schedule, with the `network` that ran.
            size: height and width of the frame; what leaves it is gone.
        """
        video, index = frame_id
        result = {}
        for column in self._columns:
            if (column, video) not in self._videos:
                self._videos[column, video] = NAMES[column.rpartition("-")[2]]()
            answer = self._videos[column, video]
            result[column] = answer(index, found[schedule_of(column)], size)
        return result
