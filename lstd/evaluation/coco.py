"""COCO's detection metrics over all frames of all videos (`coco/...`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lstd.evaluation import coco_library
from lstd.evaluation.accumulator import FrameMetric
from lstd.evaluation.coco_library import Library, Tables
from lstd.evaluation.flat import Flat

NAMES = (
    "coco/ap",
    "coco/ap50",
    "coco/ap75",
    "coco/ap_small",
    "coco/ap_medium",
    "coco/ap_large",
    "coco/ar1",
    "coco/ar10",
    "coco/ar100",
    "coco/ar_small",
    "coco/ar_medium",
    "coco/ar_large",
)
"""In the order of pycocotools' own summary."""

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
_AP50, _AP75 = 0, 5  # where these stand on the axis of IOUS


class CocoMetric(FrameMetric):
    """COCO box evaluation in which every frame is an image with id `<video>_<index>`.

    Frames without objects count: what is detected there is false. The numbers are those of stock
    `pycocotools`, whatever the order in which frames come. Areas (small below 32^2, large above
    96^2) are in pixels of the frames as given.

    Args:
        labels: the names of the classes in order; how many there are is how many classes there are.
        per_class: whether `result` also has `coco/ap/<label>` and `coco/ap50/<label>`.
        library: see `lstd.evaluation.coco_library.tables`.

    Source: pycocotools' `COCOeval`; frames as in the original's `CocoEvaluationAllFrames`, which
    ignores `is_crowd` and frames that come twice.
    """

    def __init__(
        self, labels: Sequence[str], *, per_class: bool = True, library: Library = "auto"
    ) -> None:
        super().__init__(labels)
        self.per_class = per_class
        self.library: Library = library
        self._tables: Tables | None = None  # until another frame comes

    def result(self) -> dict[str, float]:
        """Returns the twelve numbers in `NAMES`, and those of each class where asked for.

        A number is -1 where there is nothing to measure, as in pycocotools: no ground truth of that
        size or class.

        Raises:
            ValueError: no frame was added.
        """
        counted = self._evaluate()
        numbers = summary(counted)
        if self.per_class:
            precision = counted.precision[..., 0, -1]
            for index, label in enumerate(self.labels):
                numbers[f"coco/ap/{label}"] = mean_of_measured(precision[:, :, index])
                numbers[f"coco/ap50/{label}"] = mean_of_measured(precision[_AP50, :, index])
        return numbers

    def precision_recall(
        self, iou: float = 0.5, *, label: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns recall and precision, float64 `[101]` each: the curve whose area is the AP.

        Precision is interpolated as COCO does it and averaged over the classes that have ground
        truth; NaN where none has.

        Args:
            iou: 0.5, 0.55, ... 0.95.
            label: of one class; None: the mean of all.

        Raises:
            ValueError: COCO has no such IoU threshold, there is no such class, or no frame.
        """
        at = np.flatnonzero(np.isclose(IOUS, iou))
        if not len(at):
            raise ValueError(f"iou {iou} is none of COCO's: {', '.join(f'{t:.2f}' for t in IOUS)}")
        precision = self._evaluate().precision[at[0], :, :, 0, -1]
        if label is not None:
            precision = precision[:, [class_index(self.labels, label)]]
        has_truth = (precision > -1).all(axis=0)
        if not has_truth.any():
            return RECALLS, np.full(len(precision), np.nan)
        return RECALLS, precision[:, has_truth].mean(axis=1)

    def _evaluate(self) -> Tables:
        if self._tables is None:
            self._tables = coco_tables(
                self.flat(by_image=True),
                num_classes=len(self.labels),
                library=self.library,
            )
        return self._tables

    def _changed(self) -> None:
        self._tables = None

    def _settings(self) -> Mapping[str, object]:
        return {"per_class": self.per_class}


coco_tables = coco_library.tables
"""The pure function: flat arrays in, COCO's tables out."""


def summary(tables: Tables, *, prefix: str = "coco/") -> dict[str, float]:
    """Returns the twelve numbers of COCO's tables.

    Args:
        tables: of COCO's four areas.
        prefix: what stands before their names instead of `coco/`.
    """
    precision, recall = tables
    values = [
        mean_of_measured(precision[..., 0, -1]),
        mean_of_measured(precision[_AP50, ..., 0, -1]),
        mean_of_measured(precision[_AP75, ..., 0, -1]),
        *(mean_of_measured(precision[..., area, -1]) for area in (1, 2, 3)),
        *(mean_of_measured(recall[..., 0, most]) for most in (0, 1, 2)),
        *(mean_of_measured(recall[..., area, -1]) for area in (1, 2, 3)),
    ]
    names = (prefix + name.removeprefix("coco/") for name in NAMES)
    return dict(zip(names, values, strict=True))


def mean_of_measured(values: np.ndarray) -> float:
    """Returns the mean of what was measured, -1 if nothing was."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else -1.0


def class_index(labels: Sequence[str], label: str) -> int:
    """Returns the class of a label.

    Raises:
        ValueError: there is no such label.
    """
    if label not in labels:
        raise ValueError(f"no class {label!r}; the classes are {', '.join(labels)}")
    return list(labels).index(label)


def average_precisions(frames: Flat, *, num_classes: int) -> tuple[float, float]:
    """Returns COCO's AP and AP50 of these frames."""
    precision = coco_tables(frames, num_classes=num_classes).precision[..., 0, -1]
    return mean_of_measured(precision), mean_of_measured(precision[_AP50])
