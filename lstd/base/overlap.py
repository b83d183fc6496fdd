"""How much boxes overlap, in NumPy; `lstd.ops.boxes` does the same with tensors."""

import numpy as np


def iou(boxes_a: np.ndarray, boxes_b: np.ndarray, *, pixel: float = 0.0) -> np.ndarray:
    """Returns intersection over union, `[...]`; 0 for two boxes without area.

    Boxes are `[..., 4]`: ymin, xmin, ymax, xmax; leading axes broadcast. `pixel` is added to every
    side: 1 where a box's last pixel belongs to it, 0 where a box ends at its coordinate.
    """
    inner = intersections(boxes_a, boxes_b, pixel=pixel)
    union = areas(boxes_a, pixel=pixel) + areas(boxes_b, pixel=pixel) - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def intersections(boxes_a: np.ndarray, boxes_b: np.ndarray, *, pixel: float = 0.0) -> np.ndarray:
    """Returns the areas that boxes share, `[...]`; arguments as in `iou`."""
    low = np.maximum(boxes_a[..., :2], boxes_b[..., :2])
    high = np.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
    return np.maximum(high - low + pixel, 0).prod(axis=-1)


def areas(boxes: np.ndarray, *, pixel: float = 0.0) -> np.ndarray:
    """Returns the areas of boxes, `[...]`; 0 for those that are inside out."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2] + pixel, 0).prod(axis=-1)


def motion_iou(
    boxes: np.ndarray, tracks: np.ndarray, times: np.ndarray, *, window: int = 10
) -> np.ndarray:
    """Returns how little each box moves, float64 `[M]`: 1 stands still.

    It is the mean IoU with the boxes of the same track in frames t - window ... t + window, itself
    left out; frames that are not there, at the ends of a video or where the track is unseen, do not
    count; 0 for a box without any such neighbour. Boxes include their last pixel.

    Args:
        boxes: `[M, 4]`, in pixels.
        tracks: int `[M]`, a number for each track of each video. Two boxes of one track in one
            frame are each other's neighbours.
        times: int `[M]`, the number of the frame.
        window: in frames.

    Source: Zhu et al., Flow-Guided Feature Aggregation, 2017, section 5.1.
    """
    order = np.lexsort((times, tracks))
    boxes, tracks, times = boxes[order], tracks[order], times[order]
    total, count = np.zeros(len(order)), np.zeros(len(order))
    # Neighbours of a box stand near it in this order; go one place further until none is near.
    for step in range(1, len(order)):
        near = (tracks[step:] == tracks[:-step]) & (times[step:] - times[:-step] <= window)
        first = np.flatnonzero(near)
        if not len(first):
            break
        shared = iou(boxes[first], boxes[first + step], pixel=1.0)
        for rows in (first, first + step):  # each row once, so that += does not lose any
            total[rows] += shared
            count[rows] += 1
    result = np.zeros(len(order))
    result[order] = total / np.maximum(count, 1)
    return result
