"""How many multiply-adds a `.tflite` does, and in which data type, read from the file itself."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import tflite_metadata

FIRST = ""
"""Stands for the first subgraph of a file, which is what runs where there are no signatures."""
_COUNTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")


class Cost(NamedTuple):
    """What an entry point computes.

    Attributes:
        multiply_adds: of its convolutions and matrix products; None where a shape is not known.
        data_type: in which most of them are done: "float32" (also where the weights are kept as
            float16), "int8", "dynamic" (int8 weights, float32 values), or another type's name.
    """

    multiply_adds: int | None
    data_type: str


def count(path: str | os.PathLike[str]) -> dict[str, Cost]:
    """Returns the cost of each signature of a `.tflite` by name, and of `FIRST`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
        ImportError: neither LiteRT nor TensorFlow is installed.
    """
    try:
        with tflite_metadata.damage_refused():
            model = tflite_metadata.model_of(Path(path).read_bytes())
            subgraphs = {FIRST: 0}
            for index in range(model.SignatureDefsLength()):
                signature = model.SignatureDefs(index)
                subgraphs[signature.SignatureKey().decode()] = signature.SubgraphIndex()
            schema = tflite_metadata.schema()
            return {name: _cost(schema, model, subgraph) for name, subgraph in subgraphs.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _cost(schema: Any, model: Any, subgraph: int) -> Cost:
    """Returns the cost of a subgraph."""
    graph = model.Subgraphs(subgraph)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    total: int | None = 0
    by_type: Counter[str] = Counter()
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # Old files have the number in the narrow field only.
        name = names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "")
        if name not in _COUNTED:
            continue
        places = [operator.Inputs(place) for place in range(operator.InputsLength())]
        inputs = [graph.Tensors(place) for place in places if place >= 0]  # -1: a bias left out
        done = _of_operator(name, inputs, graph.Tensors(operator.Outputs(0)))
        by_type[_data_type(schema, name, inputs)] += done or 0
        total = None if done is None or total is None else total + done
    return Cost(total, by_type.most_common(1)[0][0] if by_type else "float32")


def _of_operator(name: str, inputs: list[Any], output: Any) -> int | None:
    """Returns the multiply-adds of an operator, None where a shape is open."""
    shapes = [_shape(tensor) for tensor in (*inputs[:3], output)]
    if any(shape is None for shape in shapes):
        return None
    (first, weights, *third), result = (
        [list(shape or ()) for shape in shapes[:-1]],
        shapes[-1] or (),
    )
    written = math.prod(result)
    if name == "CONV_2D":  # weights [out, height, width, in of a group]
        return written * math.prod(weights[1:])
    if name == "DEPTHWISE_CONV_2D":  # weights [1, height, width, out]
        return written * weights[1] * weights[2]
    if name == "FULLY_CONNECTED":  # weights [out, in]
        return written * weights[-1]
    if name == "TRANSPOSE_CONV":  # output shape, weights [out, height, width, in], values
        return math.prod(third[0]) * math.prod(weights[:3])
    # Matrices [m, k] and [k, n], either of them perhaps transposed.
    inner = math.prod(first[-2:]) * math.prod(weights[-2:]) // math.prod(result[-2:])
    return written * math.isqrt(inner)


def _shape(tensor: Any) -> tuple[int, ...] | None:
    signature = [tensor.ShapeSignature(axis) for axis in range(tensor.ShapeSignatureLength())]
    if -1 in signature:
        return None
    return tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))


def _data_type(schema: Any, name: str, inputs: list[Any]) -> str:
    values = inputs[2] if name == "TRANSPOSE_CONV" else inputs[0]
    names = {number: key.lower() for key, number in vars(schema.TensorType).items()}
    of_values, of_weights = names[values.Type()], names[inputs[1].Type()]
    if of_values == "float32" and of_weights != "float32":
        return "dynamic" if of_weights in ("int8", "int4") else "float32"
    return of_values
