"""Parameters and multiply-adds of a model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import LSTMState
from lstd.models.lstm_ssd import LSTMSSD
from lstd.ops import anchors as anchor_ops


def count(model: LSTMSSD) -> dict[str, Any]:
    """Returns how large and how costly a model is.

    Args:
        model: a built one.

    Returns:
        A dict with `parameters`, the numbers in all variables, batch norm's moving statistics
        included; `trainable`, those in the trainable ones; `parts`, the parameters of each part by
        name; and `multiply_adds`, of the convolutions for one frame, where "large" and "small" are
        the totals of a frame that this network sees, and "parts" holds each part alone.
    """
    parts = {}
    for network in model.networks:
        parts[f"{network}_backbone"] = getattr(model, network)
        parts[f"{network}_bottleneck"] = getattr(model, f"{network}_bottleneck")
    parts |= {"gates": model.cell, "feature_maps": model.feature_maps}
    if model.config.fine_map:
        parts |= {
            f"{network}_fine": getattr(model, f"{network}_fine") for network in model.networks
        }
        parts["fine_map"] = model.fine_map
    parts["box_predictor"] = model.box_predictor
    height, width, channels = model.input_shape_hwc
    grid = (1, *model.state_grid)
    state = (*grid, model.state_depth)
    memory = (*grid, model.state_depth * (2 if model.cell.output_bottleneck else 1))
    fine = (1, 2 * grid[1], 2 * grid[2], model.config.fine_map)
    depths = (*fine[3:], memory[-1], *model.feature_maps.depths)
    maps = [
        (1, *each, depth)
        for each, depth in zip(anchor_ops.grids_of(model.config), filter(None, depths), strict=True)
    ]
    costs = {
        "gates": _multiply_adds(
            lambda b, c, h: model.cell(b, LSTMState(c, h)), state, state, state
        ),
        "feature_maps": _multiply_adds(model.feature_maps, memory),
        "box_predictor": _multiply_adds(lambda *maps: model.box_predictor(maps), *maps),
    }
    if model.config.fine_map:
        costs["fine_map"] = _multiply_adds(model.fine_map, fine, memory)
    shared = sum(costs.values())
    totals = {}
    for network in model.networks:
        backbone = getattr(model, network)
        half = 2 if network == "small" and model.config.low_resolution else 1
        seen = (1, height // half, width // half, channels)
        own = {
            f"{network}_backbone": _multiply_adds(backbone, seen),
            f"{network}_bottleneck": _multiply_adds(
                parts[f"{network}_bottleneck"], (*grid, backbone.output_depth), state
            ),
        }
        if model.config.fine_map:
            project = getattr(model, f"{network}_fine")
            depth = project.convolution.kernel.shape[2]
            own[f"{network}_fine"] = _multiply_adds(project, (*fine[:3], depth))
        totals[network] = sum(own.values()) + shared
        costs |= own
    return {
        "parameters": _size(model.weights),
        "trainable": _size(model.trainable_weights),
        "parts": {name: _size(layer.weights) for name, layer in parts.items()},
        "multiply_adds": {**totals, "parts": costs},
    }


def convolutions(function: tf.types.experimental.ConcreteFunction) -> list[tf.Operation]:
    """Returns the convolutions of a traced function, including those of the functions it calls."""
    graphs = [
        function.graph,
        *(f.graph for f in function.graph._functions.values() if hasattr(f, "graph")),
    ]
    kinds = ("Conv2D", "DepthwiseConv2dNative")
    return [op for graph in graphs for op in graph.get_operations() if op.type in kinds]


def _size(weights: list[tf.Variable]) -> int:
    return int(sum(np.prod(weight.shape) for weight in weights))


def _multiply_adds(function: Callable[..., Any], *shapes: tuple[int, ...]) -> int:
    """Returns the multiply-adds of the convolutions that a call of these shapes runs."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    traced = tf.function(lambda *inputs: function(*inputs)).get_concrete_function(*specs)
    # Each number of a kernel, depthwise or not, is used once a pixel of the output.
    return sum(
        int(np.prod(op.outputs[0].shape[1:3]) * np.prod(op.inputs[1].shape))
        for op in convolutions(traced)
    )
