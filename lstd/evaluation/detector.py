"""From a model to a callable that detects in clips; evaluation knows only this form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from lstd import label_map
from lstd.evaluation import streams
from lstd.types import ClipBatch, Detections, LSTMState


class ClipDetector(Protocol):
    """A detector of clips: the one form that evaluation knows, and `as_detector` gives."""

    labels: tuple[str, ...]
    """The names of the classes."""
    networks: tuple[str, ...]
    """("large", "small") or ("large",)."""
    schedule: str
    """The schedule if none is asked for."""
    schedule_counts: str
    """"video", or "unroll" where the schedule starts anew with every clip."""

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
    goes in and out; what a stateful model carries in inference is overwritten.

    Args:
        model: an `LSTMSSD`.
        labels: names of its classes; empty: the model's own, or `class 0` and so on.

    Raises:
        ValueError: the number of the labels is not that of the classes.
    """

    def __init__(self, model: Any, *, labels: Sequence[str] = ()) -> None:
        classes = model.num_classes
        if labels and len(labels) != classes:
            raise ValueError(f"{len(labels)} labels given, the model has {classes} classes")
        self._model = model
        self.labels = label_map.or_numbers(labels or model.labels, num_classes=classes)
        self.networks = tuple(model.networks)
        self.schedule = model.eval_schedule if len(self.networks) == 2 else "LARGE"
        self.schedule_counts = model.schedule_counts
        self._detect = tf.function(self._detect_eagerly)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Returns zeros."""
        return self._model.initial_state(batch_size)

    def detect_clip(
        self, clip: ClipBatch, state: LSTMState, networks: tf.Tensor | None
    ) -> tuple[Detections, LSTMState]:
        """Returns the detections and the state after the clip, see `ClipDetector`."""
        return self._detect(clip, state, networks)

    def _detect_eagerly(
        self, clip: ClipBatch, state: LSTMState, networks: tf.Tensor | None
    ) -> tuple[Detections, LSTMState]:
        output = self._model(clip, state=state, networks=networks, training=False)
        return self._model.detect(output.predictions), output.state


def as_detector(model: Any) -> ClipDetector:
    """Returns a model in the form that is evaluated.

    Args:
        model: an `LSTMSSD`; a `VideoDetector`, or what else gives a detector for each `stream`; or
            a ClipDetector.

    Raises:
        ValueError: a detector that does not say what its classes are called.
    """
    if hasattr(model, "detect_clip"):
        return model
    if hasattr(model, "stream"):
        return streams.StreamDetector(model.stream)
    return ModelDetector(model)
