"""Detectors in the one form that is evaluated: models, and what sees one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from lstd.base import label_map
from lstd.base.types import MIN_SCORE, ClipBatch, Detections, LSTMState


class ClipDetector(Protocol):
    """A detector of clips: the one form that evaluation knows, and `as_detector` gives.

    `networks` is ("large", "small") or ("large",); `schedule` the one if none is asked for;
    `schedule_counts` "video", or "unroll" where the schedule starts anew with every clip.
    """

    labels: tuple[str, ...]
    networks: tuple[str, ...]
    schedule: str
    schedule_counts: str

    def initial_state(self, batch_size: int) -> Any:
        """Returns the state before the first clip."""

    def detect_clip(
        self, clip: ClipBatch, state: Any, networks: tf.Tensor | None
    ) -> tuple[Detections, Any]:
        """Returns the detections, leading axes `[B, T]`, and the state after the clip.

        Args:
            clip: `[B, T, ...]`; the state is zero before a frame in `clip.starts`.
            state: the state before it.
            networks: int32 `[B, T]`, 0 large, 1 small; None where there is one network only.
        """


class ModelDetector:
    """A model as a ClipDetector: one graph for all schedules, traced at the first clip.

    Tracing takes many seconds, so keep the object for as long as the model is evaluated. The state
    goes in and out; what a stateful model carries in inference is overwritten. Without labels the
    model's own count, or `class 0` and so on.
    """

    def __init__(self, model: Any, *, labels: Sequence[str] = ()) -> None:
        classes = model.num_classes
        self._model = model
        self.labels = label_map.or_numbers(labels or model.labels, num_classes=classes)
        self.networks = tuple(model.networks)
        self.schedule = model.eval_schedule if len(self.networks) == 2 else "LARGE"
        self.schedule_counts = model.schedule_counts
        least = getattr(model, "min_score", None)
        self.min_score = MIN_SCORE if least is None else least

    def initial_state(self, batch_size: int) -> LSTMState:
        """Returns zeros."""
        return self._model.initial_state(batch_size)

    @tf.function
    def detect_clip(
        self, clip: ClipBatch, state: LSTMState, networks: tf.Tensor | None
    ) -> tuple[Detections, LSTMState]:
        """Returns the detections and the state after the clip, see `ClipDetector`."""
        output = self._model(clip, state=state, networks=networks, training=False)
        return self._model.detect(output.predictions), output.state


def as_detector(model: Any) -> ClipDetector:
    """Returns a model in the form that is evaluated.

    It may be an `LSTMSSD`; a `VideoDetector`, or what else gives a detector for each `stream`; or
    have the form already.
    """
    if hasattr(model, "detect_clip"):
        return model
    if hasattr(model, "stream"):
        return StreamDetector(model.stream)
    return ModelDetector(model)


class StreamDetector:
    """Frame detectors of one schedule as a ClipDetector: each lane has one of its own.

    Args:
        make: makes a new one, such as `VideoDetector.stream`, which shares the loaded file; its
            argument is the schedule, or None for its own. It is called with each frame of a video,
            uint8 `[H, W, C]`, says by `last_network` which ran, and forgets the video at `reset`.
        labels: the names of the classes; empty: the detector's own.
        schedule: of all detectors; None: their own.
    """

    def __init__(
        self,
        make: Callable[[str | None], Any],
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
        self.min_score = getattr(one, "min_score", MIN_SCORE)
        self.last_networks: np.ndarray | None = None

    def for_schedule(self, schedule: str) -> StreamDetector:
        """Returns the detector that follows a schedule."""
        return StreamDetector(self._make, labels=self.labels, schedule=schedule)

    def initial_state(self, batch_size: int) -> list[Any]:
        """Returns a fresh detector for each lane: each carries its own state."""
        return [self._make(self._schedule) for _ in range(batch_size)]

    def detect_clip(
        self, clip: ClipBatch, state: list[Any], networks: Any
    ) -> tuple[Detections, list[Any]]:
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
    """Returns detections frame by frame, padded, `[B, T, N, ...]`."""
    most = max((len(each.scores) for each in found.values()), default=0)
    scores = np.zeros((*shape, most), np.float32)
    boxes, classes = np.zeros((*scores.shape, 4), np.float32), np.zeros(scores.shape, np.int32)
    count = np.zeros(shape, np.int32)
    for place, each in found.items():
        rows = (*place, slice(len(each.scores)))
        boxes[rows], scores[rows], classes[rows] = each.boxes, each.scores, each.classes
        count[place] = int(each.count)
    return Detections(boxes, scores, classes, count)
