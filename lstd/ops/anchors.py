"""SSD anchors, in pure NumPy: known when the model is built, the same for every frame."""

import math
from collections.abc import Sequence

import numpy as np

from lstd.config.model_config import AnchorConfig, ModelConfig

OUTPUT_STRIDE = 32
"""Pixels of the model's input for one cell of the first grid."""

BoxSpec = tuple[float, float]
"""(scale, aspect ratio) of an anchor; the aspect ratio is width / height."""


def first_stride(model: ModelConfig) -> int:
    """Returns the pixels of the model's input for one cell of its first feature map."""
    return OUTPUT_STRIDE // 2 if model.fine_map else OUTPUT_STRIDE


def grids_of(model: ModelConfig) -> tuple[tuple[int, int], ...]:
    """Returns the (height, width) in cells of each feature map.

    The first has a cell for every 32 pixels of the model's input, or 16 with a `fine_map`, each
    further one half as many, both rounded up as a SAME convolution does.

    >>> grids_of(ModelConfig(input_height=320, input_width=320))
    ((10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    """
    stride = first_stride(model)
    grids = [(-(-model.input_height // stride), -(-model.input_width // stride))]
    while len(grids) < model.anchors.num_layers:
        height, width = grids[-1]
        grids.append(((height + 1) // 2, (width + 1) // 2))
    return tuple(grids)


def box_specs(anchors: AnchorConfig) -> tuple[tuple[BoxSpec, ...], ...]:
    """Returns the (scale, aspect ratio) of the anchors of each layer, in channel order.

    Scales grow evenly from `min_scale` to `max_scale`, and 1 follows the last. A layer has each
    aspect ratio at its scale s, then `interpolated_scale_aspect_ratio` (unless 0) at the geometric
    mean of s and the next scale. A reduced first layer has (lowest_scale, 1), (s, 2), (s, 0.5).

    Source: Liu et al., SSD, 2016, section 2.2 (https://arxiv.org/abs/1512.02325); numbers are
    rounded to float32 first, as those of a protocol buffer are.

    Raises:
        ValueError: the anchors are still to be found (`auto`).
    """
    if anchors.auto:
        raise ValueError(
            "model.anchors.auto: the anchors are not known yet; lstd-train finds them in the files "
            "of data.train, and writes them into the config of the run: take that one, or set "
            "model.anchors.scales and auto=false"
        )
    if anchors.scales:
        sizes = [float(np.float32(scale)) for scale in anchors.scales]
    else:
        low, high = float(np.float32(anchors.min_scale)), float(np.float32(anchors.max_scale))
        steps = max(anchors.num_layers - 1, 1)
        sizes = [low + (high - low) * layer / steps for layer in range(anchors.num_layers)]
    ratios = [float(np.float32(ratio)) for ratio in anchors.aspect_ratios]
    between = float(np.float32(anchors.interpolated_scale_aspect_ratio))
    layers: list[tuple[BoxSpec, ...]] = []
    for layer, (scale, following) in enumerate(zip(sizes, [*sizes[1:], 1.0], strict=True)):
        if layer == 0 and anchors.reduce_boxes_in_lowest_layer:
            layers.append(((anchors.lowest_scale, 1.0), (scale, 2.0), (scale, 0.5)))
            continue
        specs = [(scale, ratio) for ratio in ratios]
        if between > 0:
            specs.append((math.sqrt(scale * following), between))
        layers.append(tuple(specs))
    return tuple(layers)


def num_anchors_per_location(anchors: AnchorConfig) -> tuple[int, ...]:
    """Returns how many anchors stand on each cell of each feature map.

    >>> num_anchors_per_location(AnchorConfig())
    (3, 6, 6, 6, 6)
    """
    return tuple(map(len, box_specs(anchors)))


def generate(
    anchors: AnchorConfig, *, grids: Sequence[tuple[int, int]], height: int, width: int
) -> np.ndarray:
    """Returns all anchors, in the order in which the box predictor lists its outputs.

        h = scale / sqrt(ratio) * base_height * min(H, W) / H        (w = scale * sqrt(ratio) * ...)

    Grids are (height, width) in cells of each feature map, H and W of the model's input in pixels.
    Returns float32 `[A, 4]`, corners; index ((y * W_f) + x) * k + a, feature maps one after the
    other. Not clipped: anchors at the border reach beyond [0, 1].
    """
    base = (
        np.float32(min(height, width) / height * np.float32(anchors.base_anchor_height)),
        np.float32(min(height, width) / width * np.float32(anchors.base_anchor_width)),
    )
    layers = [_tile(*pair, base) for pair in zip(grids, box_specs(anchors), strict=True)]
    return np.concatenate(layers)


def from_config(model: ModelConfig) -> np.ndarray:
    """Returns the anchors of a model."""
    height, width = model.input_height, model.input_width
    return generate(model.anchors, grids=grids_of(model), height=height, width=width)


def _tile(
    grid: tuple[int, int], specs: Sequence[BoxSpec], base: tuple[np.float32, np.float32]
) -> np.ndarray:
    """Returns the anchors of one feature map, float32 `[h * w * k, 4]`."""
    # All in float32 and in this order of operations: the anchors then equal the original's.
    height, width = grid
    scale, ratio = np.asarray(specs, np.float32).T
    root = np.sqrt(ratio)
    sizes = np.stack([scale / root * base[0], scale * root * base[1]], axis=-1)  # [k, 2]
    y_step, x_step = np.float32(1.0 / height), np.float32(1.0 / width)
    y = np.arange(height, dtype=np.float32) * y_step + np.float32(0.5 / height)
    x = np.arange(width, dtype=np.float32) * x_step + np.float32(0.5 / width)
    centers = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)[:, :, np.newaxis]  # [h, w, 1, 2]
    half = np.float32(0.5) * sizes
    return np.concatenate([centers - half, centers + half], axis=-1).reshape(-1, 4)
