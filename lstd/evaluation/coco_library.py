"""COCO's evaluation by the libraries that define and that speed it: pycocotools and hotcoco."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lstd.evaluation.flat import Flat, image_id

Library = Literal["auto", "pycocotools", "hotcoco"]

AREAS_PX = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""All, small, medium and large."""
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


def tables(
    frames: Flat,
    *,
    num_classes: int,
    areas_px: Sequence[tuple[float, float]] = AREAS_PX,
    library: Library = "auto",
) -> Tables:
    """Returns precision and recall as COCO's evaluation finds them.

    Args:
        frames: in the order of their images, see `flat.flatten`.
        num_classes: K.
        areas_px: square pixels from and to, both included; the first must be all of them.
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
        evaluated.params.areaRng = [list(each) for each in areas_px]
        evaluated.params.areaRngLbl = ["all", *(f"area {i}" for i in range(1, len(areas_px)))]
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
                _xywh(frames.found_boxes).tolist(),
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
    rows[:, 1:5] = _xywh(frames.found_boxes)
    rows[:, 5] = frames.scores
    rows[:, 6] = frames.found_classes + 1
    return rows


def _true_set(frames: Flat, num_classes: int) -> dict[str, Any]:
    return {**_images_and_classes(frames, num_classes), "annotations": _true_annotations(frames)}


def _true_annotations(frames: Flat) -> list[dict[str, Any]]:
    boxes = _xywh(frames.true_boxes).tolist()
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


def _xywh(boxes: np.ndarray) -> np.ndarray:
    """Returns x, y, width, height."""
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([corner[:, ::-1], size[:, ::-1]], axis=1)
