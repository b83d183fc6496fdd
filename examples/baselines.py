"""An answer that costs nothing, beside which every result has to stand: the mean boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lstd.evaluation.objects import FrameId, Objects

_ROUNDS = 50  # of k-means; it settles long before
_NOTHING = Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


def mean_boxes(ground_truth: Mapping[FrameId, Objects]) -> Objects:
    """Returns the mean training boxes: one answer for every frame, whatever it shows.

    For each class as many boxes as a frame has objects of it on average (rounded, at least one):
    the centres of a k-means clustering of all its boxes, which with one box is the plain mean. A
    box's score is its cluster's objects over the number of frames.

    Args:
        ground_truth: the training frames, boxes in pixels, such as `Collector.ground_truth`.

    Raises:
        ValueError: there is no object at all.
    """
    boxes = np.concatenate([np.zeros((0, 4)), *(true.boxes for true in ground_truth.values())])
    classes = np.concatenate([np.zeros(0, int), *(true.classes for true in ground_truth.values())])
    if not len(boxes):
        raise ValueError("mean_boxes needs training frames with at least one object")
    num_frames = len(ground_truth)
    parts = []
    for label in np.unique(classes):
        mine = boxes[classes == label]
        clusters = max(1, round(len(mine) / num_frames))
        centres, sizes = _k_means(mine, clusters)
        parts.append((centres, np.full(len(centres), label), sizes / num_frames))
    boxes, classes, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Objects(boxes, classes, scores)


def on_every_frame(answer: Objects, frames: Iterable[FrameId]) -> dict[FrameId, Objects]:
    """Returns the same detections for each of `frames`."""
    return {frame: answer for frame in frames}


def score(
    metric: Any, ground_truth: Mapping[FrameId, Objects], detections: Mapping[FrameId, Objects]
) -> dict[str, float]:
    """Returns the numbers of `metric`, an empty one, for detections that are at hand.

    Args:
        metric: such as `CocoMetric(labels)`.
        ground_truth: all frames that count.
        detections: for each of them; a frame left out has none.

    Raises:
        ValueError: detections for a frame that has no ground truth; and as the metric does.
    """
    unknown = detections.keys() - ground_truth.keys()
    if unknown:
        raise ValueError(f"frame {min(unknown)} has detections, but no ground truth")
    for frame, true in ground_truth.items():
        metric.add(frame, true, detections.get(frame, _NOTHING))
    return metric.result()


def _k_means(points: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns centres `[k, 4]` and how many points each has; no chance in it.

    The first centre is the point nearest the mean, each further one the point farthest from all.
    """
    clusters = min(clusters, len(np.unique(points, axis=0)))
    first = np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))
    centres = points[first : first + 1]
    while len(centres) < clusters:
        farthest = np.argmax(_distances(points, centres).min(axis=1))
        centres = np.concatenate([centres, points[farthest : farthest + 1]])
    for _ in range(_ROUNDS):
        nearest = _distances(points, centres).argmin(axis=1)
        means = np.stack(
            [
                points[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k]
                for k in range(len(centres))
            ]
        )
        if np.allclose(means, centres):
            break
        centres = means
    nearest = _distances(points, means).argmin(axis=1)
    return means, np.bincount(nearest, minlength=len(means))


def _distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns squared distances `[n, k]`."""
    return ((points[:, np.newaxis] - centres) ** 2).sum(axis=-1)
