"""How much boxes overlap, in NumPy; `lstd.ops.boxes` does the same with tensors."""

from __future__ import annotations

import numpy as np


def iou(boxes_a: np.ndarray, boxes_b: np.ndarray, *, pixel: float = 0.0) -> np.ndarray:
    """Returns intersection over union, `[...]`; 0 for two boxes without area.

    Args:
        boxes_a: `[..., 4]`: ymin, xmin, ymax, xmax.
        boxes_b: `[..., 4]`; leading axes broadcast.
        pixel: added to every side: 1 where a box's last pixel belongs to it, 0 where a box ends at
            its coordinate.
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
