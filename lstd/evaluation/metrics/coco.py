"""COCO's detection metrics over all frames of all videos (`coco/...`)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lstd.evaluation.arrays import Flat, image_id
from lstd.evaluation.metrics.frame_metric import FrameMetric

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
        library: see `coco_tables`.

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


Library = Literal["auto", "pycocotools", "hotcoco"]

AREAS = ("all", "small", "medium", "large")
AREAS_PX = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))

MAX_DETECTIONS = (1, 10, 100)
MANY_DETECTIONS = 200_000
"""From here on "auto" takes hotcoco: pycocotools keeps a dict for each detection."""


class Tables(NamedTuple):
    """What COCO's evaluation counts, -1 where there is no ground truth.

    Attributes:
        precision: float64 `[10, 101, K, A, 3]`: IoU threshold, recall, class, area, detections.
        recall: float64 `[10, K, A, 3]`.
    """

    precision: np.ndarray
    recall: np.ndarray


def coco_tables(
    frames: Flat,
    *,
    num_classes: int,
    library: Library = "auto",
) -> Tables:
    """Returns precision and recall as COCO's evaluation finds them.

    Args:
        frames: in the order of their images, see `arrays.flatten`.
        num_classes: K.
        library: "auto": pycocotools for fewer than `MANY_DETECTIONS`, else hotcoco where it is
            installed. Both give the same numbers; a test compares them.

    Raises:
        ImportError: hotcoco is asked for and not installed.
    """
    chosen = _chosen(library, len(frames.scores))
    if chosen == "hotcoco":
        true_set, rows = _true_set(frames, num_classes), _rows(frames)
        del frames  # as large as what hotcoco makes of them; often nobody else holds them
        found = _hotcoco(true_set, rows)
        del true_set, rows
    else:
        found = _pycocotools(frames, num_classes)
    evaluate: Any = importlib.import_module(
        "hotcoco" if chosen == "hotcoco" else "pycocotools.cocoeval"
    ).COCOeval
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        evaluated = evaluate(*found, "bbox")
        evaluated.params.areaRng = [list(each) for each in AREAS_PX]
        evaluated.params.areaRngLbl = list(AREAS)
        evaluated.params.maxDets = list(MAX_DETECTIONS)
        evaluated.evaluate()
        evaluated.accumulate()
    return Tables(np.array(evaluated.eval["precision"]), np.array(evaluated.eval["recall"]))


def images(frames: Flat, num_classes: int) -> Any:
    """Returns the evaluated COCOeval of pycocotools, with its matches of every image."""
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluated = COCOeval(*_pycocotools(frames, num_classes), "bbox")
        evaluated.evaluate()
    return evaluated


def _chosen(library: Library, detections: int) -> str:
    if library != "auto":
        return library
    if detections < MANY_DETECTIONS:
        return "pycocotools"
    if importlib.util.find_spec("hotcoco") is not None:
        return "hotcoco"
    warnings.warn(
        f"{detections} detections by pycocotools: slow, and much memory; pip install 'lstd[fast]' "
        "brings hotcoco, which gives the same numbers",
        stacklevel=4,
    )
    return "pycocotools"


def _pycocotools(frames: Flat, num_classes: int) -> tuple[Any, Any]:
    """Returns ground truth and detections as data sets: classes and ids from 1."""
    from pycocotools.coco import COCO

    found = [
        {
            "id": row + 1,
            "image_id": frame + 1,
            "category_id": label + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": score,
        }
        for row, (frame, label, box, score) in enumerate(
            zip(
                frames.found_frame.tolist(),
                frames.found_classes.tolist(),
                _xywh(frames.found_boxes, frames.found_sizes).tolist(),
                frames.scores.tolist(),
                strict=True,
            )
        )
    ]
    data_sets = []
    for rows in (_true_annotations(frames), found):
        coco = COCO()
        coco.dataset = {**_images_and_classes(frames, num_classes), "annotations": rows}
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        data_sets.append(coco)
    return data_sets[0], data_sets[1]


def _hotcoco(true_set: dict[str, Any], rows: np.ndarray) -> tuple[Any, Any]:
    """Returns ground truth and detections as data sets."""
    from hotcoco import COCO

    true = COCO(true_set)
    return true, true.loadRes(rows)


def _rows(frames: Flat) -> np.ndarray:
    """Returns detections as image, x, y, w, h, score, class, `[N, 7]`."""
    rows = np.empty((len(frames.scores), 7))
    rows[:, 0] = frames.found_frame + 1
    rows[:, 1:5] = _xywh(frames.found_boxes, frames.found_sizes)
    rows[:, 5] = frames.scores
    rows[:, 6] = frames.found_classes + 1
    return rows


def _true_set(frames: Flat, num_classes: int) -> dict[str, Any]:
    return {**_images_and_classes(frames, num_classes), "annotations": _true_annotations(frames)}


def _true_annotations(frames: Flat) -> list[dict[str, Any]]:
    boxes = _xywh(frames.true_boxes, frames.true_sizes).tolist()
    return [
        {
            "id": row + 1,
            "image_id": int(frames.true_frame[row]) + 1,
            "category_id": int(frames.true_classes[row]) + 1,
            "bbox": box,
            "area": float(frames.true_areas[row]),
            "iscrowd": int(frames.is_crowd[row]),
        }
        for row, box in enumerate(boxes)
    ]


def _images_and_classes(frames: Flat, num_classes: int) -> dict[str, Any]:
    return {
        "images": [
            {"id": place + 1, "file_name": image_id(frame)}
            for place, frame in enumerate(frames.frames)
        ],
        "categories": [{"id": label + 1, "name": str(label)} for label in range(num_classes)],
    }


def _xywh(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns x, y, width, height."""
    return np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], axis=1)
