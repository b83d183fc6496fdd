"""What stands in a `.tflite`: its entry points, their operators, the options of custom ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple


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
        inputs: the number of each input's tensor in the subgraph.
        outputs: likewise.
    """

    subgraph: int
    operators: tuple[Operator, ...]
    inputs: dict[str, int] = {}  # noqa: RUF012 - never written to
    outputs: dict[str, int] = {}  # noqa: RUF012 - never written to


def entry_points(content: bytes) -> dict[str, EntryPoint]:
    """Returns the signatures of a `.tflite` file by name.

    Raises:
        ValueError: it is not a `.tflite` file.
    """
    model = model_of(content)
    found = {}
    for index in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(index)
        subgraph = signature.SubgraphIndex()
        operators = tuple(_operator(model, raw) for raw in raw_operators(model, subgraph))
        inputs = (signature.Inputs(number) for number in range(signature.InputsLength()))
        outputs = (signature.Outputs(number) for number in range(signature.OutputsLength()))
        found[signature.SignatureKey().decode()] = EntryPoint(
            subgraph, operators, _tensors(inputs), _tensors(outputs)
        )
    return found


def signatures(content: bytes) -> dict[str, dict[str, Any]]:
    """Returns what goes in and out of each signature: shape, dtype, and place in its subgraph.

    A runtime without signatures runs subgraphs, and counts their inputs and outputs.
    """
    model = model_of(content)
    names = {number: name.lower() for name, number in vars(schema().TensorType).items()}
    found = {}
    for key, point in entry_points(content).items():
        graph = model.Subgraphs(point.subgraph)
        sides = (
            ("inputs", point.inputs, graph.InputsAsNumpy().tolist()),
            ("outputs", point.outputs, graph.OutputsAsNumpy().tolist()),
        )
        found[key] = {
            "subgraph": point.subgraph,
            **{
                side: {
                    name: {
                        "shape": graph.Tensors(tensor).ShapeAsNumpy().tolist(),
                        "dtype": names[graph.Tensors(tensor).Type()],
                        "position": order.index(tensor),
                    }
                    for name, tensor in sorted(tensors.items())
                }
                for side, tensors, order in sides
            },
        }
    return found


def _tensors(maps: Iterable[Any]) -> dict[str, int]:
    return {each.Name().decode(): each.TensorIndex() for each in maps}


def main_graph(content: bytes) -> EntryPoint:
    """Returns the first subgraph, which a file without signatures has too."""
    model = model_of(content)
    operators = (_operator(model, raw) for raw in raw_operators(model, 0))
    return EntryPoint(0, tuple(operators))


def schema() -> Any:
    """Returns the module of TFLite's schema."""
    from tensorflow.lite.python import schema_py_generated  # half a second, at export only

    return schema_py_generated


def model_of(content: bytes) -> Any:
    """Returns the root table of a `.tflite` file.

    Raises:
        ValueError: it is not a `.tflite` file.
    """
    if content[4:8] != b"TFL3":
        raise ValueError("this is not a .tflite file: its identifier TFL3 is missing")
    return schema().Model.GetRootAs(content, 0)


def raw_operators(model: Any, subgraph: int) -> list[Any]:
    """Returns the tables of a subgraph's operators, in the order in which they run."""
    graph = model.Subgraphs(subgraph)
    return [graph.Operators(index) for index in range(graph.OperatorsLength())]


def operator_name(model: Any, raw: Any) -> str:
    """Returns the name of an operator as `Operator` has it."""
    code = model.OperatorCodes(raw.OpcodeIndex())
    if code.CustomCode():
        return code.CustomCode().decode()
    # Old files have the number in the narrow field only.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = vars(schema().BuiltinOperator).items()
    return next((name for name, value in names if value == number), str(number))


def _operator(model: Any, raw: Any) -> Operator:
    name = operator_name(model, raw)
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
