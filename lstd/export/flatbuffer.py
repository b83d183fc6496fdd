"""What stands in a `.tflite`: its entry points, their operators, the options of custom ones."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class Operator(NamedTuple):
    """One operation of an entry point.

    Attributes:
        name: of a custom op its name, of the others as in the schema, such as `CONV_2D`.
        outputs: the tensors it writes, by their number in the subgraph.
        options: a custom op's attributes, else empty.
    """

    name: str
    outputs: tuple[int, ...]
    options: dict[str, Any]


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
