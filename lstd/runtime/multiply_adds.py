"""How many multiply-adds a `.tflite` does, and in which data type, read from the file itself."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import tflite_metadata

FIRST = ""
"""Stands for the first subgraph of a file, which is what runs where there are no signatures."""
_COUNTED = {
    "CONV_2D": 0,  # weights [out, height, width, in of a group]
    "DEPTHWISE_CONV_2D": -1,  # weights [1, height, width, out]
    "FULLY_CONNECTED": 0,  # weights [out, in]
    "TRANSPOSE_CONV": -1,  # output shape, weights [out, height, width, in], values
    "BATCH_MATMUL": None,  # [..., m, k] and [..., k, n], either of them perhaps transposed
}
"""The axis of the weights that the numbers of the output (transposed: of the values) run over."""


class Cost(NamedTuple):
    """What the convolutions and matrix products of an entry point compute."""

    multiply_adds: int | None  # None where a shape is not known
    data_type: str
    """Of most of them: "float32" (also where the weights are kept as float16), "int8", "dynamic"
    (int8 weights, float32 values), or another type's name."""


def count(path: str | os.PathLike[str]) -> dict[str, Cost]:
    """Returns the cost of each signature of a `.tflite` by name, and of `FIRST`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
        ImportError: neither LiteRT nor TensorFlow is installed.
    """
    schema = tflite_metadata.schema()
    try:
        with tflite_metadata.damage_refused():
            model = schema.ModelT.InitFromPackedBuf(Path(path).read_bytes(), 0)
            subgraphs = {FIRST: 0}
            for signature in model.signatureDefs or ():
                subgraphs[signature.signatureKey.decode()] = signature.subgraphIndex
            return {name: _cost(schema, model, at) for name, at in subgraphs.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _cost(schema: Any, model: Any, subgraph: int) -> Cost:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    types = {value: name.lower() for name, value in vars(schema.TensorType).items()}
    tensors = model.subgraphs[subgraph].tensors
    total: int | None = 0
    by_type: Counter[str] = Counter()
    for operator in model.subgraphs[subgraph].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        # Old files have the number in the narrow field only.
        name = names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
        if name not in _COUNTED:
            continue
        inputs = [tensors[at] for at in operator.inputs if at >= 0]  # -1: a bias left out
        values, weights, result = inputs[0], inputs[1], tensors[operator.outputs[0]]
        if name == "TRANSPOSE_CONV":
            values = result = inputs[2]
        used = (values, weights, result)
        is_open = any(-1 in _sizes(tensor.shapeSignature) for tensor in used)
        done = None if is_open else _products(_COUNTED[name], [_sizes(each.shape) for each in used])
        by_type[_data_type(types[values.type], types[weights.type])] += done or 0
        total = None if done is None or total is None else total + done
    return Cost(total, by_type.most_common(1)[0][0] if by_type else "float32")


def _sizes(numbers: Any) -> list[int]:
    return [] if numbers is None else [int(number) for number in numbers]


def _products(axis: int | None, shapes: list[list[int]]) -> int:
    values, weights, result = shapes
    if axis is not None:
        return math.prod(result) * math.prod(weights) // max(weights[axis], 1)
    inner = math.prod(values[-2:]) * math.prod(weights[-2:]) // max(math.prod(result[-2:]), 1)
    return math.prod(result) * math.isqrt(inner)


def _data_type(of_values: str, of_weights: str) -> str:
    if of_values == "float32" and of_weights != "float32":
        return "dynamic" if of_weights in ("int8", "int4") else "float32"
    return of_values
