"""What stands in a `.tflite`: its entry points, their operators, the options of custom ones."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np


class Operator(NamedTuple):
    """One operation of an entry point.

    Attributes:
        name: of a custom op its name, of the others as in the schema, such as `CONV_2D`.
        outputs: the tensors it writes, by their number in the subgraph.
        options: a custom op's attributes, else empty.
        inputs: the tensors it reads, constants included; -1 for one left out.
    """

    name: str
    outputs: tuple[int, ...]
    options: dict[str, Any]
    inputs: tuple[int, ...] = ()


class EntryPoint(NamedTuple):
    """One signature.

    Attributes:
        subgraph: its number in the file.
        operators: in the order in which they run.
    """

    subgraph: int
    operators: tuple[Operator, ...]


def entry_points(content: bytes) -> dict[str, EntryPoint]:
    """Returns the signatures of a `.tflite` file by name.

    Raises:
        ValueError: it is not a `.tflite` file.
    """
    model = _model(content)
    found = {}
    for index in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(index)
        subgraph = signature.SubgraphIndex()
        operators = (_operator(model, raw) for raw in _raw_operators(model, subgraph))
        found[signature.SignatureKey().decode()] = EntryPoint(subgraph, tuple(operators))
    return found


def main_graph(content: bytes) -> EntryPoint:
    """Returns the first subgraph, which a file without signatures has too."""
    model = _model(content)
    operators = (_operator(model, raw) for raw in _raw_operators(model, 0))
    return EntryPoint(0, tuple(operators))


def with_options(content: bytes, name: str, options: dict[str, Any]) -> bytes:
    """Returns the file with other attributes for each custom op of this name.

    The new attributes are appended and the operators pointed at them, so that everything else stays
    at its place: packed anew, the weights would lose the alignment that kernels rely on.

    Args:
        content: a `.tflite` file.
        name: of the custom op.
        options: bools, ints and floats.
    """
    model = _model(content)
    result = bytearray(content)
    result.extend(b"\0" * (-len(result) % 16))
    vector = len(result)
    encoded = _encode(options)
    result.extend(len(encoded).to_bytes(4, "little") + encoded)
    result.extend(b"\0" * (-len(result) % 16))
    for subgraph in range(model.SubgraphsLength()):
        for raw in _raw_operators(model, subgraph):
            if _operator_name(model, raw) == name:
                place = _options_place(raw)
                result[place : place + 4] = (vector - place).to_bytes(4, "little")
    return bytes(result)


def with_float_weights(content: bytes, name: str) -> bytes:
    """Returns the file with the int8 weights of all operators of this name as float32.

    As in `with_options`, the new weights are appended and the tensors pointed at them. The int8
    weights stay where they are, unused.

    Args:
        content: a `.tflite` file.
        name: of the operators, such as `DEPTHWISE_CONV_2D`; their second input is the weights.
    """
    model = _model(content)
    int8 = _schema().TensorType.INT8
    result = bytearray(content)
    no_quantization: int | None = None
    vectors: dict[int, int] = {}  # of a buffer, which several entry points may share
    for subgraph in range(model.SubgraphsLength()):
        graph = model.Subgraphs(subgraph)
        operators = _raw_operators(model, subgraph)
        weights = {raw.Inputs(1) for raw in operators if _operator_name(model, raw) == name}
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
            result[_place(tensor, 6)] = _schema().TensorType.FLOAT32
            _point(result, _place(tensor, 12), no_quantization)
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
        raise ValueError("a tensor of this file lacks a field that could be replaced")
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


def _schema() -> Any:
    from tensorflow.lite.python import schema_py_generated  # half a second, at export only

    return schema_py_generated


def _model(content: bytes) -> Any:
    if content[4:8] != b"TFL3":
        raise ValueError("this is not a .tflite file: its identifier TFL3 is missing")
    return _schema().Model.GetRootAs(content, 0)


def _raw_operators(model: Any, subgraph: int) -> list[Any]:
    graph = model.Subgraphs(subgraph)
    return [graph.Operators(index) for index in range(graph.OperatorsLength())]


def _operator_name(model: Any, raw: Any) -> str:
    code = model.OperatorCodes(raw.OpcodeIndex())
    if code.CustomCode():
        return code.CustomCode().decode()
    # Old files have the number in the narrow field only.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = vars(_schema().BuiltinOperator).items()
    return next((name for name, value in names if value == number), str(number))


def _operator(model: Any, raw: Any) -> Operator:
    name = _operator_name(model, raw)
    options = raw.CustomOptionsAsNumpy() if raw.CustomOptionsLength() else b""
    return Operator(
        name=name,
        outputs=tuple(raw.Outputs(index) for index in range(raw.OutputsLength())),
        options=_decode(bytes(options)),
        inputs=tuple(raw.Inputs(index) for index in range(raw.InputsLength())),
    )


def _decode(options: bytes) -> dict[str, Any]:
    """Returns the attributes of a FlexBuffer map, none where another file keeps them otherwise."""
    from flatbuffers import flexbuffers

    try:
        found = flexbuffers.Loads(options) if options else {}
    except (ValueError, IndexError, struct.error):
        return {}
    return found if isinstance(found, dict) else {}


def _options_place(raw: Any) -> int:
    """Returns where in the file the offset of an operator's custom options stands."""
    custom_options = 14  # the field's place in the table `Operator` of the schema
    offset = raw._tab.Offset(custom_options)
    if not offset:
        raise ValueError("a custom op of this file has no attributes that could be replaced")
    return int(raw._tab.Pos + offset)


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
