"""What all metrics share: frames come one by one, in any order, from any number of workers."""

from collections.abc import Sequence
from typing import Any, TypeVar

from lstd.evaluation import arrays, objects
from lstd.evaluation.arrays import Flat
from lstd.evaluation.objects import FrameId, Objects

Metric = TypeVar("Metric", bound="FrameMetric")


class FrameMetric:
    """Keeps checked frames; a metric is this and a `result`. The labels name all classes in order.

    Numbers depend on the set of frames alone, never on the order in which they come. A metric that
    intervals can be had for also has `weighted`, see `lstd.evaluation.bootstrap`.
    """

    settings: tuple[str, ...] = ()
    """Attributes in which two metrics must agree to be merged, besides the labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        if isinstance(labels, str) or not labels:
            raise ValueError(f"labels must be the names of the classes, got {labels!r}")
        self.labels = tuple(labels)
        self.ground_truth: dict[FrameId, Objects] = {}
        """The true objects of each frame, boxes in pixels."""
        self.detections: dict[FrameId, Objects] = {}
        """What was detected in each frame, boxes in pixels."""
        self._remembered: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Returns what goes to another process: the frames, not what was counted in them."""
        return {**vars(self), "_remembered": None}

    def __len__(self) -> int:
        """Returns how many frames have been added."""
        return len(self.ground_truth)

    def add(
        self, frame_id: tuple[object, object], ground_truth: object, detections: object
    ) -> None:
        """Adds a frame.

        Args:
            frame_id: (video, index).
            ground_truth: see `objects.ground_truth_of`; None for a frame whose ground truth was
                added before, without detections.
            detections: see `objects.detections_of`. None: they are added later, by another call, or
                there are none.

        Raises:
            ValueError: the frame came before; detections for a frame that did not; values that
                cannot be (classes outside the labels, boxes that are not finite); each names the
                frame. Nothing is added then.
        """
        frame = objects.frame_id_of(frame_id)
        num_classes = len(self.labels)
        true = found = None
        if ground_truth is not None:
            if frame in self.ground_truth:
                raise ValueError(f"frame {frame} was added before")
            true = objects.ground_truth_of(frame, ground_truth, num_classes=num_classes)
            self._check_truth(frame, true)
        elif frame not in self.ground_truth:
            raise ValueError(f"frame {frame} is unknown: it has no ground truth")
        if detections is not None:
            if frame in self.detections:
                raise ValueError(f"the detections of frame {frame} were added before")
            found = objects.detections_of(frame, detections, num_classes=num_classes)
        if true is not None:
            self.ground_truth[frame] = true
        if found is not None:
            self.detections[frame] = found
        self._remembered = None

    def merge(self: Metric, other: Metric) -> Metric:
        """Adds the frames of `other`, as if they had been added here; returns this metric.

        Raises:
            ValueError: a metric of another kind, with other labels or settings, or both have the
                same frame.
        """
        if type(other) is not type(self):
            raise ValueError(f"cannot merge a {type(other).__name__} into a {type(self).__name__}")
        for what, names in (("labels", ("labels",)), ("settings", self.settings)):
            ours, theirs = ({name: getattr(m, name) for name in names} for m in (self, other))
            if ours != theirs:
                raise ValueError(f"{what} differ: {ours} here, {theirs} in the other")
        twice = self.ground_truth.keys() & other.ground_truth.keys()
        if twice:
            raise ValueError(f"frame {min(twice)} is in both ({len(twice)} such frames)")
        self.ground_truth.update(other.ground_truth)
        self.detections.update(other.detections)
        self._remembered = None
        return self

    def class_of(self, label: str) -> int:
        """Returns the class of a label; a ValueError where there is none."""
        if label not in self.labels:
            raise ValueError(f"no class {label!r}; the classes are {', '.join(self.labels)}")
        return self.labels.index(label)

    def result(self) -> dict[str, float]:
        """Returns the numbers under their names; -1 where there is nothing to measure.

        Raises:
            ValueError: no frame was added.
        """
        raise NotImplementedError

    def flat(self, *, by_image: bool = False) -> Flat:
        """Returns all frames as flat arrays, in order; see `arrays.flatten`."""
        return arrays.flatten(self.ground_truth, self.detections, by_image=by_image)

    def counted(self) -> Any:
        """Returns what was matched or counted in the frames, on which the numbers rest.

        Raises:
            ValueError: no frame was added.
        """
        if not self.ground_truth:
            raise ValueError(
                f"{type(self).__name__} has no frames: the data set is empty, or nothing was added"
            )
        if self._remembered is None:
            self._remembered = self._count()
        return self._remembered

    def _count(self) -> Any:
        """Counts the frames; the answer is remembered until another one comes."""
        raise NotImplementedError

    def _check_truth(self, frame: FrameId, true: Objects) -> None:
        """Raises where this metric needs more than the form asks for."""
