"""COCO's detection metrics over all frames of all videos (`coco/...`)."""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lstd.evaluation.arrays import Flat, image_id
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId

_OF_TWELVE = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
NAMES = tuple(f"coco/{name}" for name in _OF_TWELVE)
"""In the order of pycocotools' own summary."""

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
_AP50, _AP75 = 0, 5  # where these stand on the axis of IOUS

Library = Literal["auto", "pycocotools", "hotcoco"]
MANY_DETECTIONS = 200_000
"""From here on "auto" takes hotcoco: pycocotools keeps a dict for each detection."""

Weighted = tuple[list[FrameId], Callable[[np.ndarray], dict[str, float]]]
"""Matched frames, and the numbers when each counts as often as an array `[F]` of weights says."""


class Tables(NamedTuple):
    """What COCO's evaluation counts, -1 where there is no ground truth.

    The four areas are all, small (below 32^2 pixels), medium and large (from 96^2); the numbers of
    detections of a frame that count 1, 10 and 100.
    """

    precision: np.ndarray  # float64 [10, 101, K, 4, 3]: IoU, recall, class, area, detections
    recall: np.ndarray  # float64 [10, K, 4, 3]


class CocoMetric(FrameMetric):
    """COCO box evaluation in which every frame is an image with id `<video>_<index>`.

    Frames without objects count: what is detected there is false. The numbers are those of stock
    `pycocotools`, whatever the order in which frames come. Areas are in pixels of the frames as
    given. With `per_class`, `result` also has `coco/ap/<label>` and `coco/ap50/<label>`; for the
    `library` see `evaluated`.

    Source: pycocotools' `COCOeval`; frames as in the original's `CocoEvaluationAllFrames`, which
    ignores `is_crowd` and frames that come twice.
    """

    settings = ("per_class",)

    def __init__(
        self, labels: Sequence[str], *, per_class: bool = True, library: Library = "auto"
    ) -> None:
        super().__init__(labels)
        self.per_class = per_class
        self.library: Library = library

    def result(self) -> dict[str, float]:
        """Returns the twelve numbers in `NAMES`, and those of each class where asked for."""
        tables: Tables = self.counted()
        numbers = summary(tables)
        if self.per_class:
            precision = tables.precision[..., 0, -1]
            for index, label in enumerate(self.labels):
                numbers[f"coco/ap/{label}"] = mean_of_measured(precision[:, :, index])
                numbers[f"coco/ap50/{label}"] = mean_of_measured(precision[_AP50, :, index])
        return numbers

    def precision_recall(
        self, iou: float = 0.5, *, label: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns recall and precision, float64 `[101]` each: the curve whose area is the AP.

        Precision is interpolated as COCO does it; without a label it is averaged over the classes
        that have ground truth; NaN where none has.

        Raises:
            ValueError: `iou` is none of 0.5, 0.55, ... 0.95; no such class; or no frame.
        """
        at = np.flatnonzero(np.isclose(IOUS, iou))
        if not len(at):
            raise ValueError(f"iou {iou} is none of COCO's: {', '.join(f'{t:.2f}' for t in IOUS)}")
        precision = self.counted().precision[at[0], :, :, 0, -1]
        if label is not None:
            precision = precision[:, [self.class_of(label)]]
        has_truth = (precision > -1).all(axis=0)
        if not has_truth.any():
            return RECALLS, np.full(len(precision), np.nan)
        return RECALLS, precision[:, has_truth].mean(axis=1)

    def weighted(self) -> Weighted:
        """Returns ap, ap50, ap75 and ar100 by weights, see `lstd.evaluation.bootstrap`."""
        return weighted(self.flat(by_image=True), num_classes=len(self.labels), prefix="coco/")

    def _count(self) -> Tables:
        frames = self.flat(by_image=True)
        return tables_of(evaluated(frames, num_classes=len(self.labels), library=self.library))


def summary(tables: Tables, *, prefix: str = "coco/") -> dict[str, float]:
    """Returns the twelve numbers of COCO's tables, with another prefix where asked for."""
    precision, recall = tables
    parts = [
        precision[..., 0, -1],
        precision[_AP50, ..., 0, -1],
        precision[_AP75, ..., 0, -1],
        *(precision[..., area, -1] for area in (1, 2, 3)),
        *(recall[..., 0, most] for most in (0, 1, 2)),
        *(recall[..., area, -1] for area in (1, 2, 3)),
    ]
    return {
        prefix + name: mean_of_measured(part) for name, part in zip(_OF_TWELVE, parts, strict=True)
    }


def mean_of_measured(values: np.ndarray) -> float:
    """Returns the mean of what was measured, -1 if nothing was."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else -1.0


def tables_of(evaluated: Any) -> Tables:
    """Returns what a COCOeval has counted."""
    return Tables(np.array(evaluated.eval["precision"]), np.array(evaluated.eval["recall"]))


def evaluated(frames: Flat, *, num_classes: int, library: Library = "auto") -> Any:
    """Returns a COCOeval that is done, with its matches of every image.

    The frames are in the order of their images, see `arrays.flatten`. "auto" is pycocotools for
    fewer than `MANY_DETECTIONS`, else hotcoco where it is installed. Both give the same numbers; a
    test compares them. ImportError: hotcoco is asked for and not installed.
    """
    truth, rows = _data_set(frames, num_classes), _rows(frames)
    del frames  # as large as what the library makes of it; often nobody else holds it
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        if _chosen(library, len(rows)) == "hotcoco":
            import hotcoco

            true, evaluation = hotcoco.COCO(truth), hotcoco.COCOeval
            found = true.loadRes(rows)
        else:
            from pycocotools import coco, cocoeval

            true, found, evaluation = coco.COCO(), coco.COCO(), cocoeval.COCOeval
            true.dataset, found.dataset = truth, {**truth, "annotations": _found(rows)}
            true.createIndex()
            found.createIndex()
        del truth, rows
        result = evaluation(true, found, "bbox")
        result.evaluate()
        result.accumulate()
    return result


def weighted(frames: Flat, *, num_classes: int, prefix: str) -> Weighted:
    """Returns the frames, and ap, ap50, ap75 and ar100 as a function of their weights.

    pycocotools matches once; a weight counts a frame so many times.
    """
    images = evaluated(frames, num_classes=num_classes, library="pycocotools").evalImgs
    # By class, area (the first is all) and frame; None where a frame has nothing of the class.
    of_class = np.array(images, object).reshape(num_classes, -1, len(frames.frames))[:, 0]
    classes = [_weighted_class(each) for each in of_class]

    def numbers(weights: np.ndarray) -> dict[str, float]:
        tables = (each(weights) for each in classes)
        precision, recall = (np.stack(part) for part in zip(*tables, strict=True))  # [K, 10, ...]
        return {
            f"{prefix}ap": mean_of_measured(precision),
            f"{prefix}ap50": mean_of_measured(precision[:, _AP50]),
            f"{prefix}ap75": mean_of_measured(precision[:, _AP75]),
            f"{prefix}ar100": mean_of_measured(recall),
        }

    return frames.frames, numbers


def _weighted_class(
    images: np.ndarray,
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns a function of weights: precision `[10, 101]` and recall `[10]` of a class.

    Both are -1 without true boxes. `images` are what pycocotools matched, image by image, up to 100
    detections of each.
    """
    truths = np.zeros(len(images))
    frame, scores = [np.zeros(0, int)], [np.zeros(0)]
    matched, ignored = [np.zeros((len(IOUS), 0))], [np.zeros((len(IOUS), 0))]
    for number, image in enumerate(images):
        if image is not None:
            truths[number] = np.count_nonzero(np.asarray(image["gtIgnore"]) == 0)
            frame.append(np.full(len(image["dtScores"]), number))
            scores.append(image["dtScores"])
            matched.append(image["dtMatches"])
            ignored.append(image["dtIgnore"])
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    frame_of = np.concatenate(frame)[order]
    skipped = (np.concatenate(ignored, axis=1) != 0)[:, order]
    hit = (np.concatenate(matched, axis=1) > 0)[:, order] & ~skipped
    # By IoU threshold, the places of those that are right, and of those that do not count.
    places = [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in zip(hit, skipped, strict=True)]

    def tables(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positives = truths @ weights
        if positives == 0:
            return np.full((len(IOUS), len(RECALLS)), -1.0), np.full(len(IOUS), -1.0)
        precision, recall = np.zeros((len(IOUS), len(RECALLS))), np.zeros(len(IOUS))
        each = weights[frame_of]
        all_until = np.cumsum(each)
        for row, (hits, out) in enumerate(places):
            if not len(hits):
                continue
            # Precision is highest where one is right: no other place is looked at.
            right = np.cumsum(each[hits])
            out_until = np.concatenate([[0.0], np.cumsum(each[out])])
            counted = all_until[hits] - out_until[np.searchsorted(out, hits)]
            best = np.maximum.accumulate((right / np.maximum(counted, np.spacing(1)))[::-1])[::-1]
            at = np.searchsorted(right / positives, RECALLS, side="left")
            reached = at < len(hits)
            precision[row, reached] = best[at[reached]]
            recall[row] = right[-1] / positives
        return precision, recall

    return tables


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
        stacklevel=5,
    )
    return "pycocotools"


def _rows(frames: Flat) -> np.ndarray:
    """Returns detections as image, x, y, w, h, score, class, `[N, 7]`; numbers from 1."""
    columns = [frames.found_frame + 1, _xywh(frames.found_boxes, frames.found_sizes)]
    return np.column_stack([*columns, frames.scores, frames.found_classes + 1])


def _found(rows: np.ndarray) -> list[dict[str, Any]]:
    """Returns `_rows` as pycocotools keeps them; its `loadRes` is slower and takes no empty set."""
    image, *_, width, height, score, label = rows.T
    more = {"area": width * height, "iscrowd": np.zeros(len(rows), int), "score": score}
    return _annotations(image, label, rows[:, 1:5], **more)


def _data_set(frames: Flat, num_classes: int) -> dict[str, Any]:
    """Returns the ground truth as COCO's files have it; numbers from 1."""
    return {
        "images": [
            {"id": number, "file_name": image_id(frame)}
            for number, frame in enumerate(frames.frames, start=1)
        ],
        "categories": [{"id": label + 1, "name": str(label)} for label in range(num_classes)],
        "annotations": _annotations(
            frames.true_frame + 1,
            frames.true_classes + 1,
            _xywh(frames.true_boxes, frames.true_sizes),
            area=frames.true_areas,
            iscrowd=frames.is_crowd.astype(int),
        ),
    }


def _annotations(
    image: np.ndarray, label: np.ndarray, boxes: np.ndarray, **more: np.ndarray
) -> list[dict[str, Any]]:
    columns = {
        "id": np.arange(1, len(boxes) + 1),
        "image_id": image.astype(int),
        "category_id": label.astype(int),
        "bbox": boxes,
        **more,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _xywh(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, 1::-1], sizes[:, ::-1]], axis=1)
