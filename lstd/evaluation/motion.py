"""How fast objects move: the mean IoU of a box with its own track nearby in time."""

from __future__ import annotations

import numpy as np

from lstd.evaluation import flat
from lstd.evaluation.flat import Flat

WINDOW = 10
"""Frames before and after that count."""

RANGES = {"slow": (0.9, 1.0), "medium": (0.7, 0.9), "fast": (0.0, 0.7)}
"""Motion IoU from and to, closed at both ends: a box at exactly 0.7 is both fast and medium."""

_ROUNDING = 1e-9  # the mean of IoUs that is 0.7 by rights may miss it by the last bits


def motion_iou(frames: Flat, *, window: int = WINDOW) -> np.ndarray:
    """Returns the motion IoU of each true box, float64 `[M]`.

    It is the mean IoU with the boxes of the same track in frames t - window ... t + window, itself
    left out; frames that are not there, at the ends of a video or where the track is unseen, do not
    count; 0 for a box without any such neighbour. Boxes include their last pixel.

    Args:
        frames: every true box has its track id. A track is known by its id within a video, whatever
            its class; two boxes of one track in one frame are each other's neighbours.
        window: in frames.

    Source: the slow, medium and fast objects of Zhu et al., Flow-Guided Feature Aggregation, 2017.
    """
    videos = np.unique([video for video, _ in frames.frames], return_inverse=True)[1]
    numbers = np.array([number for _, number in frames.frames], np.int64)
    video, time = videos[frames.true_frame], numbers[frames.true_frame]
    order = np.lexsort((time, frames.track_ids, video))
    video, time, track = video[order], time[order], frames.track_ids[order]
    boxes = frames.true_boxes[order]
    total, count = np.zeros(len(order)), np.zeros(len(order))
    # Neighbours of a box stand near it in this order; go one place further until none is near.
    for step in range(1, len(order)):
        first = np.flatnonzero(
            (video[step:] == video[:-step])
            & (track[step:] == track[:-step])
            & (time[step:] - time[:-step] <= window)
        )
        if not len(first):
            break
        shared = flat.iou(boxes[first], boxes[first + step], pixel=1.0)
        for rows in (first, first + step):  # each row once, so that += does not lose any
            total[rows] += shared
            count[rows] += 1
    result = np.zeros(len(order))
    result[order] = total / np.maximum(count, 1)
    return result


def in_range(motion: np.ndarray, name: str) -> np.ndarray:
    """Returns whether boxes belong to "slow", "medium" or "fast", bool `[M]`."""
    low, high = RANGES[name]
    return (motion >= low - _ROUNDING) & (motion <= high + _ROUNDING)
