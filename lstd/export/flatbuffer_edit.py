"""Changes in a `.tflite` that leave everything else at its place.

What is new is appended and pointed at. Packed anew, the weights would lose the alignment that
kernels rely on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstd.export import flatbuffer


def with_options(content: bytes, name: str, options: dict[str, Any]) -> bytes:
    """Returns the file with other attributes for each custom op of this name.

    Args:
        content: a `.tflite` file.
        name: of the custom op.
        options: bools, ints and floats.
    """
    model = flatbuffer.model_of(content)
    result = bytearray(content)
    encoded = _encode(options)
    vector = _append(result, len(encoded).to_bytes(4, "little") + encoded)
    result.extend(b"\0" * (-len(result) % 16))
    for subgraph in range(model.SubgraphsLength()):
        for raw in flatbuffer.raw_operators(model, subgraph):
            if flatbuffer.operator_name(model, raw) == name:
                _point(result, _place(raw, 14), vector)  # 14: custom options
    return bytes(result)


def with_float_weights(content: bytes, name: str) -> bytes:
    """Returns the file with the int8 weights of all operators of this name as float32.

    The int8 weights stay where they are, unused.

    Args:
        content: a `.tflite` file.
        name: of the operators, such as `DEPTHWISE_CONV_2D`; their second input is the weights.
    """
    model = flatbuffer.model_of(content)
    int8 = flatbuffer.schema().TensorType.INT8
    result = bytearray(content)
    no_quantization: int | None = None
    vectors: dict[int, int] = {}  # of a buffer, which several entry points may share
    for subgraph in range(model.SubgraphsLength()):
        graph = model.Subgraphs(subgraph)
        operators = flatbuffer.raw_operators(model, subgraph)
        named = (raw for raw in operators if flatbuffer.operator_name(model, raw) == name)
        weights = {raw.Inputs(1) for raw in named}
        for number in sorted(weights):
            tensor = graph.Tensors(number)
            if tensor.Type() != int8:
                continue
            buffer = model.Buffers(tensor.Buffer())
            if tensor.Buffer() not in vectors:
                data = _dequantized(tensor, buffer).tobytes()
                # The length stands before the data, which the kernels want aligned.
                vectors[tensor.Buffer()] = _append(
                    result, b"\0" * 12 + len(data).to_bytes(4, "little") + data
                )
                _point(result, _place(buffer, 4), vectors[tensor.Buffer()] + 12)
            if no_quantization is None:
                no_quantization = _append(result, _EMPTY_TABLE) + _EMPTY_TABLE_START
            result[_place(tensor, 6)] = flatbuffer.schema().TensorType.FLOAT32
            _point(result, _place(tensor, 12), no_quantization)
    return bytes(result)


def with_float_inputs(content: bytes, outputs: Sequence[str]) -> bytes:
    """Returns the file in which what writes these outputs reads inputs before they are quantised.

    An input that the network reads in int8, the converter rounds for all who read it.

    Args:
        content: a `.tflite` file.
        outputs: of the entry points; those that are not there do not matter.
    """
    model = flatbuffer.model_of(content)
    result = bytearray(content)
    for point in flatbuffer.entry_points(content).values():
        writers = {number: each for each in point.operators for number in each.outputs}
        for raw, operator in zip(
            flatbuffer.raw_operators(model, point.subgraph), point.operators, strict=True
        ):
            if not {point.outputs.get(name) for name in outputs} & set(operator.outputs):
                continue
            given = operator.inputs[0]
            while given in writers and writers[given].name in ("DEQUANTIZE", "QUANTIZE"):
                given = writers[given].inputs[0]
            if given in point.inputs.values():
                place = raw._tab.Vector(raw._tab.Offset(6))  # 6: inputs
                result[place : place + 4] = given.to_bytes(4, "little")
    return bytes(result)


_EMPTY_TABLE = b"\4\0\4\0\4\0\0\0"
"""A table without fields: its description of two numbers, then how far back that stands."""
_EMPTY_TABLE_START = 4


def _append(result: bytearray, data: bytes) -> int:
    """Appends bytes at a multiple of 16; returns their place."""
    result.extend(b"\0" * (-len(result) % 16))
    start = len(result)
    result.extend(data)
    return start


def _point(result: bytearray, place: int, target: int) -> None:
    """Lets the offset at a place of the file point at something behind it."""
    result[place : place + 4] = (target - place).to_bytes(4, "little")


def _place(table: Any, field: int) -> int:
    """Returns where in the file a field of a table stands, by its place in the schema."""
    offset = table._tab.Offset(field)
    if not offset:
        raise ValueError("an operator or tensor of this file lacks what was to be replaced")
    return int(table._tab.Pos + offset)


def _dequantized(tensor: Any, buffer: Any) -> np.ndarray:
    """Returns the float32 values of constant int8 weights."""
    quantization = tensor.Quantization()
    shape = tuple(tensor.ShapeAsNumpy())
    scale = np.asarray(quantization.ScaleAsNumpy(), np.float32)
    zero = np.asarray(quantization.ZeroPointAsNumpy(), np.float32)
    if scale.size > 1:  # one for each channel
        along = [1] * len(shape)
        along[quantization.QuantizedDimension()] = -1
        scale, zero = scale.reshape(along), zero.reshape(along)
    values = buffer.DataAsNumpy().view(np.int8).reshape(shape).astype(np.float32)
    return np.ascontiguousarray((values - zero) * scale, np.float32)


def _encode(options: dict[str, Any]) -> bytes:
    """Returns the attributes as a FlexBuffer map."""
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in sorted(options.items()):
            builder.Key(key)
            if isinstance(value, bool):
                builder.Bool(value)
            elif isinstance(value, int):
                builder.Int(value)
            else:
                builder.Float(value)
    return bytes(builder.Finish())
