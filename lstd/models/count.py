"""Parameters and multiply-adds of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import LSTMState
from lstd.models.lstm_ssd import LSTMSSD


def count(model: LSTMSSD) -> dict[str, Any]:
    """Returns how large and how costly a model is.

    Args:
        model: a built one.

    Returns:
        parameters: numbers in all variables, batch norm's moving statistics included.
        trainable: numbers in the trainable ones.
        parts: the parameters of each part, by name.
        multiply_adds: of the convolutions, for one frame: "large" and "small" are the totals of a
            frame that this network sees; "parts" holds each part alone.
    """
    parts = _parts(model)
    multiply_adds = {name: _multiply_adds(*part) for name, part in _calls(model).items()}
    shared = sum(multiply_adds[name] for name in ("gates", "feature_maps", "box_predictor"))
    totals = {
        network: multiply_adds[f"{network}_backbone"]
        + multiply_adds[f"{network}_bottleneck"]
        + shared
        for network in model.networks
    }
    return {
        "parameters": _size(model.weights),
        "trainable": _size(model.trainable_weights),
        "parts": {name: _size(layer.weights) for name, layer in parts.items()},
        "multiply_adds": {**totals, "parts": multiply_adds},
    }


def convolutions(function: tf.types.experimental.ConcreteFunction) -> list[tf.Operation]:
    """Returns the convolutions of a traced function, those of functions that it calls included."""
    graphs = [
        function.graph,
        *(f.graph for f in function.graph._functions.values() if hasattr(f, "graph")),
    ]
    kinds = ("Conv2D", "DepthwiseConv2dNative")
    return [op for graph in graphs for op in graph.get_operations() if op.type in kinds]


def _size(weights: list[tf.Variable]) -> int:
    return int(sum(np.prod(weight.shape) for weight in weights))


def _parts(model: LSTMSSD) -> dict[str, Any]:
    parts = {}
    for network in model.networks:
        parts[f"{network}_backbone"] = getattr(model, network)
        parts[f"{network}_bottleneck"] = getattr(model, f"{network}_bottleneck")
    return {
        **parts,
        "gates": model.cell,
        "feature_maps": model.feature_maps,
        "box_predictor": model.box_predictor,
    }


def _calls(model: LSTMSSD) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Returns for each part a function that runs it, and the shapes of its arguments."""
    height, width, channels = model.input_shape_hwc
    grid = model.state_grid
    state = (1, *grid, model.state_depth)
    calls: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
    for network in model.networks:
        backbone, bottleneck = getattr(model, network), getattr(model, f"{network}_bottleneck")
        half = 2 if network == "small" and model.config.low_resolution else 1
        calls[f"{network}_backbone"] = (
            backbone,
            ((1, height // half, width // half, channels),),
        )
        calls[f"{network}_bottleneck"] = (
            bottleneck,
            ((1, *grid, backbone.output_depth), state),
        )
    calls["gates"] = (lambda b, c, h: model.cell(b, LSTMState(c, h)), (state, state, state))
    depth = model.state_depth * (2 if model.cell.output_bottleneck else 1)
    memory = (1, *grid, depth)
    calls["feature_maps"] = (model.feature_maps, (memory,))
    maps = tf.function(model.feature_maps).get_concrete_function(tf.TensorSpec(memory)).outputs
    calls["box_predictor"] = (
        lambda *maps: model.box_predictor(maps),
        tuple(tuple(output.shape) for output in maps),
    )
    return calls


def _multiply_adds(function: Callable[..., Any], shapes: tuple[Any, ...]) -> int:
    """Returns the multiply-adds of the convolutions that a call of these shapes runs."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    traced = tf.function(lambda *inputs: function(*inputs)).get_concrete_function(*specs)
    total = 0
    for op in convolutions(traced):
        pixels = np.prod(op.outputs[0].shape[1:3])
        # Each number of a kernel, depthwise or not, is used once a pixel of the output.
        total += int(pixels * np.prod(op.inputs[1].shape))
    return total
