"""Parameters and multiply-adds of a model."""

from collections import Counter
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
        names = (*(f"{network}_fine" for network in model.networks), "fine_map")
        parts |= {name: getattr(model, name) for name in names}
    parts["box_predictor"] = model.box_predictor
    part_of = {id(weight.handle): name for name, part in parts.items() for weight in part.weights}
    costs: dict[str, int] = {}
    totals: dict[str, int] = {}
    for network in model.networks:
        found = Counter[str]()
        for operation in convolutions(_step(model, network)):
            found[_part_of(operation, part_of)] += _multiply_adds(operation)
        totals[network] = found.total()
        costs |= found
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


def _step(model: LSTMSSD, network: str) -> tf.types.experimental.ConcreteFunction:
    def step(frame: tf.Tensor, c: tf.Tensor, h: tf.Tensor) -> Any:
        return model.step(frame, LSTMState(c, h), network)

    state = (1, *model.state_grid, model.state_depth)
    specs = [tf.TensorSpec(shape) for shape in ((1, *model.input_shape_hwc), state, state)]
    return tf.function(step, autograph=False).get_concrete_function(*specs)


def _part_of(convolution: tf.Operation, part_of: dict[int, str]) -> str:
    """Returns the part with the variables that a kernel is made of, by their handles."""
    behind = [convolution.inputs[1].op]
    for operation in behind:
        behind.extend(tensor.op for tensor in operation.inputs)
    captured = {inside.op: id(outside) for outside, inside in convolution.graph.captures}
    return next(part_of[captured[operation]] for operation in behind if operation in captured)


def _multiply_adds(convolution: tf.Operation) -> int:
    # Each number of a kernel, depthwise or not, is used once a pixel of the output.
    pixels = convolution.outputs[0].shape[1:3]
    return int(np.prod(pixels) * np.prod(convolution.inputs[1].shape))
