"""What all metrics share: frames come one by one, in any order, from any number of workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from lstd.evaluation import arrays, objects
from lstd.evaluation.arrays import Flat
from lstd.evaluation.objects import FrameId, Objects

Metric = TypeVar("Metric", bound="FrameMetric")


class FrameMetric:
    """Keeps checked frames; a metric is this and a `result`.

    Numbers depend on the set of frames alone, never on the order in which they come.

    Args:
        labels: the names of the classes in order; how many there are is how many classes there are.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        if isinstance(labels, str) or not labels:
            raise ValueError(f"labels must be the names of the classes, got {labels!r}")
        self.labels = tuple(labels)
        self._ground_truth: dict[FrameId, Objects] = {}
        self._detections: dict[FrameId, Objects] = {}

    @property
    def ground_truth(self) -> dict[FrameId, Objects]:
        """The true objects of each frame, boxes in pixels."""
        return self._ground_truth

    @property
    def detections(self) -> dict[FrameId, Objects]:
        """What was detected in each frame, boxes in pixels."""
        return self._detections

    def __len__(self) -> int:
        """Returns how many frames have been added."""
        return len(self._ground_truth)

    def add(
        self, frame_id: tuple[object, object], ground_truth: object, detections: object
    ) -> None:
        """Adds a frame.

        Args:
            frame_id: (video, index).
            ground_truth: `boxes` `[n, 4]` (ymin, xmin, ymax, xmax in pixels), `classes` `[n]`
                0-based, and optionally `track_ids` `[n]` and `is_crowd` `[n]`; a dict or a named
                tuple of NumPy. None for a frame whose ground truth was added before, without
                detections.
            detections: `boxes`, `classes`, `scores`, in any order, and optionally `network`, the
                one that ran: "large" or "small". None: they are added later, by another call, or
                there are none.

        Raises:
            ValueError: the frame came before; detections for a frame that did not; values that
                cannot be (classes outside the labels, boxes that are not finite); each names the
                frame.
        """
        frame = objects.frame_id_of(frame_id)
        num_classes = len(self.labels)
        true = found = None
        if ground_truth is not None:
            if frame in self._ground_truth:
                raise ValueError(f"frame {frame} was added before")
            true = objects.ground_truth_of(frame, ground_truth, num_classes=num_classes)
            self._check_truth(frame, true)
        elif frame not in self._ground_truth:
            raise ValueError(f"frame {frame} is unknown: it has no ground truth")
        if detections is not None:
            if frame in self._detections:
                raise ValueError(f"the detections of frame {frame} were added before")
            found = objects.detections_of(frame, detections, num_classes=num_classes)
            self._check_found(frame, found)
        if true is not None:
            self._ground_truth[frame] = true
        if found is not None:
            self._detections[frame] = found
        self._changed()

    def merge(self: Metric, other: Metric) -> Metric:
        """Adds the frames of `other`, as if they had been added here; returns this metric.

        Raises:
            ValueError: a metric of another kind, with other labels or settings, or both have the
                same frame.
        """
        if type(other) is not type(self):
            raise ValueError(f"cannot merge a {type(other).__name__} into a {type(self).__name__}")
        if other.labels != self.labels:
            raise ValueError(f"labels differ: {self.labels} here, {other.labels} in the other")
        if other._settings() != self._settings():
            raise ValueError(
                f"settings differ: {self._settings()} here, {other._settings()} in the other"
            )
        twice = self._ground_truth.keys() & other._ground_truth.keys()
        if twice:
            raise ValueError(f"frame {min(twice)} is in both ({len(twice)} such frames)")
        self._ground_truth.update(other._ground_truth)
        self._detections.update(other._detections)
        self._changed()
        return self

    def result(self) -> dict[str, float]:
        """Returns the numbers under their names; -1 where there is nothing to measure.

        Raises:
            ValueError: no frame was added.
        """
        raise NotImplementedError

    def flat(self, *, by_image: bool = False) -> Flat:
        """Returns all frames as flat arrays, in order; see `arrays.flatten`.

        Raises:
            ValueError: no frame was added.
        """
        self._refuse_nothing()
        return arrays.flatten(self._ground_truth, self._detections, by_image=by_image)

    def _refuse_nothing(self) -> None:
        if not self._ground_truth:
            raise ValueError(
                f"{type(self).__name__} has no frames: the data set is empty, or nothing was added"
            )

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        """Raises where this metric needs more than the form asks for."""

    def _check_found(self, frame: FrameId, found: Objects) -> None:
        """Raises where this metric needs more than the form asks for."""

    def _changed(self) -> None:
        """Forgets what was computed from the frames before."""

    def _settings(self) -> Mapping[str, object]:
        """Returns what two metrics must share to be merged, besides the labels."""
        return {}
