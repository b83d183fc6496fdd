"""One frame through a finished model, in the operations that exported files run fast."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from lstd.layers import fused_memory
from lstd.models.lstm_ssd import LSTMSSD
from lstd.ops import images as image_ops
from lstd.types import LSTMState, Output

CELLS = ("fused", "separate")
Cell = Literal["fused", "separate"]


def step(
    model: LSTMSSD,
    frame: tf.Tensor,
    state: LSTMState,
    *,
    network: str,
    cell: Cell = "fused",
    subsampling: image_ops.Subsampling = "convolution",
) -> Output:
    """Returns what `model.step(frame, state, network=network)` returns, up to rounding.

    `model.step` goes through the code for clips, which leaves slices in the graph.

    Args:
        model: float32, in inference.
        frame: uint8 or float32 in [0, 255], `[B, H, W, C]`, at the model's size.
        state: the state before.
        network: "large" or "small".
        cell: "fused", see `lstd.layers.fused_memory`, or "separate", the layers as they are.
        subsampling: how the small network's image is made, see `images.half_normalized`.
    """
    halves = network == "small" and model.low_resolution
    frame = image_ops.to_channels(frame, model.input_shape_hwc[2])
    image = (
        image_ops.half_normalized(frame, by=subsampling) if halves else image_ops.normalize(frame)
    )
    feature = getattr(model, network)(image, training=False)
    bottleneck = getattr(model, f"{network}_bottleneck")
    if cell == "fused":
        joined = fused_memory.bottleneck(bottleneck, feature, state.h)
        memory, new = fused_memory.cell(model.cell, joined, state)
    else:
        memory, new = model.cell(bottleneck(feature, state.h), state)
    predictions = model.box_predictor(model.feature_maps(memory, training=False), training=False)
    return Output(predictions, new if network == "large" else state)
