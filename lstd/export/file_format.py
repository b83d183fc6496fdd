"""The content of a `.tflite`, entry points and their operators, and changes to it.

Read and written by the schema's object API. A model is packed with the bytes of each buffer at a
multiple of 16, as the schema demands.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import tflite_metadata
from lstd.base.tflite_metadata import schema

_ALIGNMENT = 16


class Operator(NamedTuple):
    """One operation of an entry point.

    Attributes:
        name: of a custom op its name, of the others as in the schema, such as `CONV_2D`.
        inputs: the tensors it reads, by their number in the subgraph, constants included; -1 for
            one left out.
        outputs: the tensors it writes.
        options: a custom op's attributes, else empty.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


class EntryPoint(NamedTuple):
    """One signature: its subgraph, the operators in order, and its tensors' numbers by name."""

    subgraph: int
    graph: Any
    operators: tuple[Operator, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]

    def tensor_name(self, number: int) -> str:
        """Returns how the converter calls a tensor."""
        return self.graph.tensors[number].name.decode()

    def levels_of(self, number: int) -> tuple[np.float32, int] | None:
        """Returns scale and zero point of an int8 tensor, None for another one."""
        tensor = self.graph.tensors[number]
        if tensor.type != schema().TensorType.INT8:
            return None
        return np.float32(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])


@functools.lru_cache(maxsize=2)  # Unpacking takes a tenth of a second, and all checks ask.
def entry_points(content: bytes) -> dict[str, EntryPoint]:
    """Returns the signatures of a `.tflite` by name; a ValueError if it is damaged or not one."""
    with tflite_metadata.damage_refused():
        model = _unpacked(content)
        names = _operator_names(model)
        found = {}
        for signature in model.signatureDefs or ():
            graph = model.subgraphs[signature.subgraphIndex]
            found[signature.signatureKey.decode()] = EntryPoint(
                signature.subgraphIndex,
                graph,
                tuple(
                    Operator(
                        names[each.opcodeIndex],
                        _numbers(each.inputs),
                        _numbers(each.outputs),
                        _decoded(each.customOptions),
                    )
                    for each in graph.operators or ()
                ),
                *(
                    {each.name.decode(): each.tensorIndex for each in side or ()}
                    for side in (signature.inputs, signature.outputs)
                ),
            )
        return found


def signatures(content: bytes) -> dict[str, dict[str, Any]]:
    """Returns what goes in and out of each signature: shape, dtype, and place in its subgraph."""
    types = {number: name.lower() for name, number in vars(schema().TensorType).items()}

    def told(tensors: dict[str, int], order: Any, graph: Any) -> dict[str, Any]:
        return {
            name: {
                "shape": list(_numbers(graph.tensors[tensor].shape)),
                "dtype": types[graph.tensors[tensor].type],
                "position": _numbers(order).index(tensor),
            }
            for name, tensor in sorted(tensors.items())
        }

    return {
        key: {
            "subgraph": point.subgraph,
            "inputs": told(point.inputs, point.graph.inputs, point.graph),
            "outputs": told(point.outputs, point.graph.outputs, point.graph),
        }
        for key, point in entry_points(content).items()
    }


def first_convolution(content: bytes, *, image: str = "image") -> list[str]:
    """Returns the names of the operations up to the first convolution that widens the input.

    In int8 they would be slower than in float: an image has one or three channels, and kernels for
    int8 take eight at a time. An operation has the name of the tensor that it writes, as the
    converter's quantiser calls it. Without such an input or convolution there are none.
    """
    found: list[str] = []
    for point in entry_points(content).values():
        reached = [point.inputs[image]] if image in point.inputs else []
        for operator in point.operators:
            if not set(operator.inputs) & set(reached):
                continue
            reached.extend(operator.outputs)
            if operator.name == "CONV_2D":
                sides = (operator.inputs, operator.outputs)
                before, after = (point.graph.tensors[side[0]].shape[3] for side in sides)
                if after > before:
                    found.extend(map(point.tensor_name, reached[1:]))
                    break
    return found


def with_options(content: bytes, name: str, options: dict[str, Any]) -> bytes:
    """Returns the file with other attributes (bools, ints, floats) for each custom op of a name."""
    encoded = np.frombuffer(_encoded(options), np.uint8)

    def change(model: Any) -> None:
        for _, operator in _named(model, name):
            operator.customOptions = encoded

    return _changed(content, change)


def with_float_weights(content: bytes, name: str) -> bytes:
    """Returns the file with the int8 weights (second inputs) of a kind of operator as float32."""

    def change(model: Any) -> None:
        types, done = schema().TensorType, set()
        for graph, operator in _named(model, name):
            tensor = graph.tensors[operator.inputs[1]]
            if tensor.type != types.INT8:
                continue
            if tensor.buffer not in done:  # entry points share them
                buffer = model.buffers[tensor.buffer]
                buffer.data = _dequantized(tensor, buffer.data).reshape(-1).view(np.uint8)
                done.add(tensor.buffer)
            tensor.type, tensor.quantization = types.FLOAT32, None

    return _changed(content, change)


def with_float_inputs(content: bytes, outputs: Sequence[str]) -> bytes:
    """Returns the file with the operators of these outputs reading inputs before quantisation.

    The converter rounds an input that the network reads in int8 for all who read it.
    """
    points = entry_points(content).values()

    def change(model: Any) -> None:
        for point in points:
            writers = {number: each for each in point.operators for number in each.outputs}
            wanted = {point.outputs.get(name) for name in outputs}
            operators = model.subgraphs[point.subgraph].operators
            for packed, operator in zip(operators, point.operators, strict=True):
                given = operator.inputs[0] if wanted & set(operator.outputs) else -1
                while given in writers and writers[given].name in ("DEQUANTIZE", "QUANTIZE"):
                    given = writers[given].inputs[0]
                if given in point.inputs.values():
                    packed.inputs = [given, *operator.inputs[1:]]

    return _changed(content, change)


def with_int8_inputs_and_outputs(content: bytes, names: Sequence[str]) -> bytes:
    """Returns the file without the conversions to and from int8 at these inputs and outputs.

    Raises:
        ValueError: one of them is not converted, or something reads it in float as well.
    """
    points = entry_points(content)

    def change(model: Any) -> None:
        for signature in model.signatureDefs:
            point = points[signature.signatureKey.decode()]
            graph = model.subgraphs[point.subgraph]
            outer = {point.inputs.get(name, point.outputs.get(name)): name for name in names}
            moved: dict[int, int] = {}  # from a tensor to the one in its place
            kept = []
            for packed, operator in zip(graph.operators, point.operators, strict=True):
                before, after = operator.inputs[0], operator.outputs[0]
                if operator.name == "QUANTIZE" and before in outer:
                    moved[after] = moved.setdefault(before, after)
                elif operator.name == "DEQUANTIZE" and after in outer:
                    moved[after] = before
                else:
                    kept.append((packed, operator))
            floats = {number for _, operator in kept for number in operator.inputs} & outer.keys()
            if wrong := sorted(outer[number] for number in {*outer} - {*moved} | floats):
                raise ValueError(f"{', '.join(wrong)} is not in int8 everywhere")
            for packed, operator in kept:
                packed.inputs = [moved.get(number, number) for number in operator.inputs]
            graph.operators = [packed for packed, _ in kept]
            graph.inputs = [moved.get(number, number) for number in _numbers(graph.inputs)]
            graph.outputs = [moved.get(number, number) for number in _numbers(graph.outputs)]
            for place in (*signature.inputs, *signature.outputs):
                place.tensorIndex = moved.get(place.tensorIndex, place.tensorIndex)

    return _changed(content, change)


def _unpacked(content: bytes) -> Any:
    return schema().ModelT.InitFromObj(tflite_metadata.model_of(content))


def _changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """Returns a file after a change of its unpacked model."""
    import flatbuffers

    model = _unpacked(content)
    change(model)
    model.buffers = [_Aligned(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Aligned:
    """A buffer that is packed with its bytes at an aligned place."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def Pack(self, builder: Any) -> int:
        if self._buffer.data is not None:
            builder.Prep(_ALIGNMENT, len(self._buffer.data))
        return self._buffer.Pack(builder)


def _operator_names(model: Any) -> list[str]:
    known = {number: name for name, number in vars(schema().BuiltinOperator).items()}
    return [
        # Old files have the number in the narrow field only.
        code.customCode.decode()
        if code.customCode
        else known.get(number := max(code.builtinCode, code.deprecatedBuiltinCode), str(number))
        for code in model.operatorCodes or ()
    ]


def _named(model: Any, name: str) -> Iterable[tuple[Any, Any]]:
    names = _operator_names(model)
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            if names[operator.opcodeIndex] == name:
                yield graph, operator


def _numbers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(map(int, values))


def _dequantized(tensor: Any, data: np.ndarray) -> np.ndarray:
    """Returns the float32 values of constant int8 weights."""
    told, along = tensor.quantization, [1] * len(tensor.shape)
    along[told.quantizedDimension] = -1  # one scale, or one for each channel
    scale = np.asarray(told.scale, np.float32).reshape(along)
    zero = np.asarray(told.zeroPoint, np.float32).reshape(along)
    values = data.view(np.int8).reshape(tensor.shape).astype(np.float32)
    return np.ascontiguousarray((values - zero) * scale, np.float32)


def _decoded(options: Any) -> dict[str, Any]:
    """Returns the attributes of a FlexBuffer map; none if the file stores them in another way."""
    from flatbuffers import flexbuffers

    try:
        found = {} if options is None else flexbuffers.Loads(bytes(bytearray(options)))
    except (ValueError, IndexError, struct.error):
        return {}
    return found if isinstance(found, dict) else {}


def _encoded(options: dict[str, Any]) -> bytes:
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in sorted(options.items()):
            builder.Key(key)
            kinds: dict[type, Callable[[Any], Any]] = {bool: builder.Bool, int: builder.Int}
            kinds.get(type(value), builder.Float)(value)
    return bytes(builder.Finish())
