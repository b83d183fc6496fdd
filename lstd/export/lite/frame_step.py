"""One frame through a finished model, in the operations that exported files run fast."""

from typing import Literal

import tensorflow as tf

from lstd.base.types import LSTMState, Output
from lstd.export.lite import frame_heads, fused_memory, sliced_backbone
from lstd.models.lstm_ssd import LSTMSSD
from lstd.ops import images as image_ops

CELLS = ("fused", "separate")
Cell = Literal["fused", "separate"]


def step(
    model: LSTMSSD,
    frame: tf.Tensor,
    state: LSTMState,
    *,
    network: str,
    cell: Cell = "fused",
    sliced: bool = True,
) -> Output:
    """Returns what `model.step(frame, state, network=network)` returns, up to rounding.

    `model.step` goes through the code for clips, which leaves slices in the graph.

    Args:
        model: float32, in inference.
        frame: uint8 or float32 in [0, 255], `[B, H, W, C]`, at the model's size.
        state: the state before.
        network: "large" or "small".
        cell: "fused", see `lstd.export.lite.fused_memory`, or "separate", the layers as they are.
        sliced: wide layers in slices, see `sliced_backbone`, and the memory's output in parts, see
            `frame_heads`. That saves time in float, where memory is the limit; in int8 it does not.
    """
    halves = network == "small" and model.config.low_resolution
    frame = image_ops.to_channels(frame, model.input_shape_hwc[2])
    with tf.name_scope("image"):
        image = image_ops.half_normalized(frame) if halves else image_ops.normalize(frame)
    backbone = getattr(model, network)
    feature = sliced_backbone.features(backbone, image) if sliced else backbone(image)
    fine, feature = feature if model.config.fine_map else (None, feature)
    bottleneck = getattr(model, f"{network}_bottleneck")
    if cell == "fused":
        joined = fused_memory.bottleneck(bottleneck, feature, state.h)
        memory, new = fused_memory.cell(model.cell, joined, state)
    else:
        joined = bottleneck(feature, state.h)
        memory, new = model.cell(joined, state)
    parts = [new.h, joined] if sliced and model.cell.output_bottleneck else [memory]
    maps = frame_heads.feature_maps(model.feature_maps, parts)
    if fine is not None:
        seen = getattr(model, f"{network}_fine")(fine)
        maps = [[model.fine_map(seen, tf.concat(parts, axis=-1))], *maps]
    predictions = frame_heads.predictions(model.box_predictor, maps)
    return Output(predictions, new if network == "large" else state)
