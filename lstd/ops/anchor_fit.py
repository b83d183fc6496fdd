"""How well anchors fit boxes, and anchors that fit given boxes, in NumPy."""

import dataclasses

import numpy as np

from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.ops import anchors as anchor_ops

_STEPS = (0.4, 0.2, 0.1, 0.05)
"""By which the logarithm of a number changes in a try."""
_BOXES = 10_000
"""At most so many boxes, evenly chosen, are looked at in each try."""
_ENOUGH = 0.7
"""IoU beyond which an anchor need not come nearer: box regression does the rest."""


def best_overlaps(boxes: np.ndarray, model: ModelConfig) -> np.ndarray:
    """Returns the IoU of each box with the best anchor of the model, float64 `[B]`.

    Args:
        boxes: `[B, 4]`, ymin, xmin, ymax, xmax, relative to the frame.
        model: its input's size and `anchors` are read.
    """
    height, width, anchors = model.input_height, model.input_width, model.anchors
    boxes = boxes.astype(np.float64)
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    shape = np.array([height, width])
    base = np.array([anchors.base_anchor_height, anchors.base_anchor_width]) * shape.min() / shape
    best = np.zeros(len(boxes))
    layers = zip(anchor_ops.grids_of(model), anchor_ops.box_specs(anchors), strict=True)
    for grid, specs in layers:
        scale, ratio = np.array(specs).T
        root = np.sqrt(ratio)
        anchor = np.stack([scale / root, scale * root], axis=-1) * base  # [k, 2]
        # Of all anchors of one shape the one that stands nearest overlaps most.
        cell = np.clip(np.floor(centers * grid), 0, np.array(grid) - 1)
        offset = np.abs(centers - (cell + 0.5) / grid)[:, np.newaxis]  # [B, 1, 2]
        side = sides[:, np.newaxis]
        shared = np.minimum(np.minimum(side, anchor), (side + anchor) / 2 - offset)  # [B, k, 2]
        inner = np.maximum(shared, 0).prod(axis=-1)
        overlaps = inner / np.maximum(side.prod(axis=-1) + anchor.prod(axis=-1) - inner, 1e-12)
        best = np.maximum(best, overlaps.max(axis=1))
    return best


def fit(boxes: np.ndarray, model: ModelConfig) -> AnchorConfig:
    """Returns anchors that fit the boxes, with as many layers and aspect ratios as the model has.

    Starts from quantiles of the boxes' sizes and aspect ratios, and changes one number at a time
    as long as the mean IoU of a box with its best anchor grows, counted up to 0.7. The anchors
    stand on the grids of the model's input, so no scale is spent on what cannot be reached there.
    The same boxes give the same anchors. They are `[B, 4]`, B > 0, relative to the frame.
    """
    boxes = boxes[:: -(-len(boxes) // _BOXES)]
    shape = np.array([model.input_height, model.input_width])
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]) * shape / shape.min(), 1e-3)  # [B, 2]
    layers = model.anchors.num_layers

    def with_anchors(numbers: np.ndarray) -> ModelConfig:
        rounded = [float(number) for number in np.exp(numbers).round(4)]
        anchors = dataclasses.replace(
            model.anchors,
            auto=False,
            scales=tuple(sorted(rounded[:layers])),
            aspect_ratios=tuple(sorted(rounded[layers:])),
            reduce_boxes_in_lowest_layer=False,
            base_anchor_height=1.0,
            base_anchor_width=1.0,
        )
        return dataclasses.replace(model, anchors=anchors)

    def quality(numbers: np.ndarray) -> float:
        return float(np.minimum(best_overlaps(boxes, with_anchors(numbers)), _ENOUGH).mean())

    numbers = np.concatenate(
        [
            _quantiles(np.log(sides).mean(axis=1), layers),
            _quantiles(np.log(sides[:, 1] / sides[:, 0]), len(model.anchors.aspect_ratios)),
        ]
    )
    found = quality(numbers)
    for step in _STEPS:
        for change in [*np.eye(len(numbers)) * step, *np.eye(len(numbers)) * -step]:
            while (tried := quality(numbers + change)) > found + 1e-4:
                numbers, found = numbers + change, tried
    return with_anchors(numbers).anchors


def _quantiles(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the middles of `count` equally large parts of the values."""
    return np.quantile(values, (np.arange(count) + 0.5) / count)
