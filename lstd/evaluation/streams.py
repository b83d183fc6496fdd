"""Detectors that see one frame at a time, such as a `.tflite`, in the form that is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from lstd.types import ClipBatch, Detections


class FrameDetector(Protocol):
    """What `lstd.VideoDetector` is: one video at a time, which network runs is its own affair."""

    labels: tuple[str, ...]
    networks: tuple[str, ...]
    schedule: str
    last_network: str | None

    def __call__(self, frame: np.ndarray) -> Detections:
        """Returns the detections of the next frame, uint8 `[H, W, C]`.

        Boxes are in [0, 1], or the detections have a method `relative` that makes them so.
        """

    def reset(self) -> None:
        """Forgets the video."""


class StreamDetector:
    """Frame detectors of one schedule as a ClipDetector: each lane has one of its own.

    Args:
        make: makes a new one, such as `VideoDetector.stream`, which shares the loaded file; its
            argument is the schedule, or None for its own.
        labels: the names of the classes; empty: the detector's own.
        schedule: of all detectors; None: their own.

    Raises:
        ValueError: neither says what the classes are called.
    """

    def __init__(
        self,
        make: Callable[[str | None], FrameDetector],
        *,
        labels: Sequence[str] = (),
        schedule: str | None = None,
    ) -> None:
        self._make, self._schedule = make, schedule
        one = make(schedule)
        self.labels = tuple(labels) or tuple(one.labels)
        if not self.labels:
            raise ValueError(
                "this model does not say what its classes are called; give its labels: "
                "VideoDetector(path, labels=...), or lstd-eval --labels"
            )
        self.networks = tuple(one.networks)
        self.schedule = one.schedule
        self.schedule_counts = "video"
        self.last_networks: np.ndarray | None = None

    def for_schedule(self, schedule: str) -> StreamDetector:
        """Returns the detector that follows a schedule."""
        return StreamDetector(self._make, labels=self.labels, schedule=schedule)

    def initial_state(self, batch_size: int) -> list[FrameDetector]:
        """Returns a fresh detector for each lane: each carries its own state."""
        return [self._make(self._schedule) for _ in range(batch_size)]

    def detect_clip(
        self, clip: ClipBatch, state: list[FrameDetector], networks: Any
    ) -> tuple[Detections, list[FrameDetector]]:
        """Returns the detections and the same detectors; padding frames are not looked at."""
        images = np.asarray(clip.frames)
        if images.dtype != np.uint8:  # resized by the data pipeline
            images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
        index, starts = np.asarray(clip.frame_index), np.asarray(clip.starts)
        self.last_networks = np.zeros(index.shape, np.int64)
        found: dict[tuple[int, int], Detections] = {}
        for lane, time in np.ndindex(*index.shape):
            if index[lane, time] < 0:
                continue
            if starts[lane, time]:
                state[lane].reset()
            frame_detections = state[lane](images[lane, time])
            relative = getattr(frame_detections, "relative", None)  # where they may be in pixels
            found[lane, time] = frame_detections if relative is None else relative()
            self.last_networks[lane, time] = int(state[lane].last_network == "small")
        return _stacked(found, index.shape), state


def _stacked(found: dict[tuple[int, int], Detections], shape: tuple[int, ...]) -> Detections:
    most = max((len(each.scores) for each in found.values()), default=0)
    boxes = np.zeros((*shape, most, 4), np.float32)
    scores = np.zeros((*shape, most), np.float32)
    classes = np.zeros((*shape, most), np.int32)
    count = np.zeros(shape, np.int32)
    for place, each in found.items():
        rows = len(each.scores)
        boxes[place][:rows], scores[place][:rows] = each.boxes, each.scores
        classes[place][:rows], count[place] = each.classes, int(each.count)
    return Detections(boxes, scores, classes, count)
