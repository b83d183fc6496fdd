"""Metrics as functions of how often each frame counts, which is what a bootstrap changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lstd.evaluation import coco, coco_library, flicker, vid
from lstd.evaluation.accumulator import FrameMetric
from lstd.evaluation.coco import CocoMetric
from lstd.evaluation.flat import Flat
from lstd.evaluation.flicker import FlickerMetric
from lstd.evaluation.frames import FrameId
from lstd.evaluation.streaming import StreamingMetric
from lstd.evaluation.vid import VidMetric

Weighted = Callable[[np.ndarray], dict[str, float]]
"""From float64 `[F]`, the weight of each frame, to numbers under their names."""


def has(metric: object) -> bool:
    """Returns whether a metric can be weighted."""
    return type(metric) in _WEIGHTED


def of(metric: FrameMetric) -> tuple[list[FrameId], Weighted]:
    """Returns the frames in the order of their weights, and the metric as a function of these.

    Everything is matched once, here. With weights of 1 the numbers are the metric's own.
    """
    return _WEIGHTED[type(metric)](metric)


def _of_coco(metric: CocoMetric) -> tuple[list[FrameId], Weighted]:
    frames = metric.flat(by_image=True)
    return frames.frames, weighted_coco(frames, num_classes=len(metric.labels), prefix="coco/")


def _of_streaming(metric: StreamingMetric) -> tuple[list[FrameId], Weighted]:
    frames = metric.streamed()
    return frames.frames, weighted_coco(frames, num_classes=len(metric.labels), prefix="sap/")


def _of_vid(metric: VidMetric) -> tuple[list[FrameId], Weighted]:
    counted = metric.counted()

    def weighted(weights: np.ndarray) -> dict[str, float]:
        precisions = vid.weighted(counted, weights)
        return {
            f"vid/ap50{name}": coco.mean_of_measured(precisions[row])
            for row, name in enumerate(counted.names)
        }

    return counted.frames.frames, weighted


def _of_flicker(metric: FlickerMetric) -> tuple[list[FrameId], Weighted]:
    frames = metric.flat()
    found = flicker.found_objects(frames, min_score=metric.min_score)
    steps = flicker.steps_of(frames, found)
    changed = steps.before != steps.after

    def weighted(weights: np.ndarray) -> dict[str, float]:
        weight = weights[steps.frame]
        return {
            "flicker/rate": _mean(changed, weight),
            "flicker/lost": _mean(changed[steps.before], weight[steps.before]),
            "flicker/found": _mean(found, weights[frames.true_frame]),
        }

    return frames.frames, weighted


class _ClassMatches(NamedTuple):
    """Of one class, detections by falling score over all frames, up to 100 of each frame.

    Attributes:
        frame: int64 `[n]`.
        hit: bool `[10, n]`, by IoU threshold.
        false: bool `[10, n]`.
        truths: float64 `[F]`, how many true boxes each frame has.
    """

    frame: np.ndarray
    hit: np.ndarray
    false: np.ndarray
    truths: np.ndarray


def weighted_coco(frames: Flat, *, num_classes: int, prefix: str) -> Weighted:
    """Returns a function of the frames' weights that gives ap, ap50, ap75 and ar100.

    pycocotools matches once; a weight counts a frame so many times. With all weights 1 the numbers
    are COCO's.
    """
    classes = _matches(coco_library.images(frames, num_classes), len(frames.frames))

    def weighted(weights: np.ndarray) -> dict[str, float]:
        tables = [_class_tables(each, weights) for each in classes]
        precision = np.stack([each[0] for each in tables])  # [K, 10, 101]
        recall = np.stack([each[1] for each in tables])
        return {
            f"{prefix}ap": coco.mean_of_measured(precision),
            f"{prefix}ap50": coco.mean_of_measured(precision[:, 0]),
            f"{prefix}ap75": coco.mean_of_measured(precision[:, 5]),
            f"{prefix}ar100": coco.mean_of_measured(recall),
        }

    return weighted


def _matches(evaluated: object, num_frames: int) -> list[_ClassMatches]:
    """Returns what pycocotools matched, over all areas."""
    params = evaluated.params  # type: ignore[attr-defined]
    images = evaluated.evalImgs  # type: ignore[attr-defined]
    areas, result = len(params.areaRng), []
    thresholds = len(params.iouThrs)
    for number in range(len(params.catIds)):
        begin = number * areas * num_frames
        mine = [
            (frame, each)
            for frame, each in enumerate(images[begin : begin + num_frames])
            if each is not None
        ]
        truths = np.zeros(num_frames)
        for frame, each in mine:
            truths[frame] = np.count_nonzero(np.asarray(each["gtIgnore"]) == 0)
        empty = np.zeros((thresholds, 0))
        scores = np.concatenate([np.zeros(0), *(each["dtScores"] for _, each in mine)])
        order = np.argsort(-scores, kind="mergesort")
        frame_of = np.concatenate(
            [np.zeros(0, int), *(np.full(len(each["dtScores"]), frame) for frame, each in mine)]
        )
        matched = np.concatenate([empty, *(each["dtMatches"] for _, each in mine)], axis=1) > 0
        ignored = np.concatenate([empty, *(each["dtIgnore"] for _, each in mine)], axis=1) > 0
        result.append(
            _ClassMatches(
                frame_of[order],
                (matched & ~ignored)[:, order],
                (~matched & ~ignored)[:, order],
                truths,
            )
        )
    return result


def _class_tables(matches: _ClassMatches, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns precision `[10, 101]` and recall `[10]` of a class; -1 without true boxes."""
    positives = matches.truths @ weights
    count = len(matches.hit)
    if positives == 0:
        return np.full((count, len(coco.RECALLS)), -1.0), np.full(count, -1.0)
    weight = weights[matches.frame]
    hits = np.cumsum(matches.hit * weight, axis=1)
    false = np.cumsum(matches.false * weight, axis=1)
    recall = hits / positives
    precision = hits / np.maximum(hits + false, np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros((count, len(coco.RECALLS)))
    for row in range(count):
        at = np.searchsorted(recall[row], coco.RECALLS, side="left")
        reached = at < recall.shape[1]
        result[row, reached] = envelope[row, at[reached]]
    return result, recall[:, -1] if recall.shape[1] else np.zeros(count)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = weights.sum()
    return float((values * weights).sum() / total) if total else -1.0


_WEIGHTED: dict[type, Callable[..., tuple[list[FrameId], Weighted]]] = {
    CocoMetric: _of_coco,
    VidMetric: _of_vid,
    StreamingMetric: _of_streaming,
    FlickerMetric: _of_flicker,
}
