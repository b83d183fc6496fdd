"""Runs a `.tflite`, and finds out which operators the delegate runs."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lstd.base import tflite_runners
from lstd.base.export_names import RAW_OUTPUTS, STATE_INPUTS, STATE_OUTPUTS
from lstd.base.terminal import quiet
from lstd.export import file_format, postprocessing_op
from lstd.export.compare import Step
from lstd.export.file_format import EntryPoint


def make(content: bytes, *, xnnpack: bool, keep: bool = False) -> Any:
    """Returns an interpreter for a `.tflite`: LiteRT's where it is installed, else TensorFlow's.

    With `keep`, tensors between operators keep their values after a call.
    """
    kinds = importlib.import_module(tflite_runners.interpreter_class().__module__).OpResolverType
    kind = kinds.BUILTIN if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with warnings.catch_warnings():
        if keep:  # It warns that this takes memory.
            warnings.simplefilter("ignore")
        return tflite_runners.open_interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=kind,
            experimental_preserve_all_tensors=keep,
        )


def step_of(interpreter: Any) -> Step:
    """Returns a `Step` that runs the entry points of an interpreter."""
    runner = functools.cache(interpreter.get_signature_runner)
    return lambda entry_point, **inputs: runner(entry_point)(**inputs)


def step(content: bytes, *, xnnpack: bool = True) -> Step:
    """Returns a `Step` that runs the entry points of a `.tflite`, with the state in float."""
    return _in_float(step_of(make(content, xnnpack=xnnpack)), content)


def _in_float(step: Step, content: bytes) -> Step:
    """Returns a step that takes and gives the state in float, also where the file has int8."""
    points = file_format.entry_points(content)

    def run(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        point = points[entry_point]
        for name in STATE_INPUTS:
            if levels := point.levels_of(point.inputs[name]):
                stored = np.rint(inputs[name] / levels[0]) + levels[1]
                inputs[name] = np.clip(stored, -128, 127).astype(np.int8)
        outputs = dict(step(entry_point, **inputs))
        for name in STATE_OUTPUTS:
            if levels := point.levels_of(point.outputs[name]):
                outputs[name] = (outputs[name].astype(np.float32) - levels[1]) * levels[0]
        return outputs

    return run if all({*STATE_OUTPUTS} <= {*point.outputs} for point in points.values()) else step


class NotInstalled(Exception):
    """A runtime is not installed; the message says which."""


@contextmanager
def compiled_step(content: bytes) -> Iterator[Step]:
    """Gives a `Step` that runs the entry points as LiteRT's `CompiledModel` does, on the processor.

    It binds buffers of the caller to inputs and outputs; LiteRT's newer interfaces (Kotlin, C++,
    LiteRT.js) are built on it.

    Raises:
        NotInstalled: LiteRT is not installed, or has no `CompiledModel`.
    """
    try:
        from ai_edge_litert.compiled_model import CompiledModel
    except ImportError:
        raise NotInstalled("the installed LiteRT has no CompiledModel") from None
    if not hasattr(CompiledModel, "get_output_tensor_details"):
        raise NotInstalled("the installed LiteRT's CompiledModel is of an older kind")
    with quiet():  # It tells everything it looks for.
        model: Any = CompiledModel.from_buffer(content)

    def run(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        with quiet():
            read = {name: model.create_input_buffer_by_name(entry_point, name) for name in inputs}
            for name, buffer in read.items():
                buffer.write(inputs[name])
            details = model.get_output_tensor_details(entry_point)
            out = {name: model.create_output_buffer_by_name(entry_point, name) for name in details}
            model.run_by_name(entry_point, read, out)
            found = {}
            for name, detail in details.items():
                value = out[name].read(int(np.prod(detail["shape"])), np.dtype(detail["dtype"]))
                found[name] = value.reshape(detail["shape"])
            return found

    try:
        yield _in_float(run, content)
    finally:
        with quiet():
            model = None


def hidden_operators(content: bytes) -> dict[str, int]:
    """Returns how many operators of each entry point write a tensor that cannot be read.

    A tensor between two operators of a delegate is never allocated, so reading it fails. This works
    for every entry point, while an interpreter lists the operators of the first one only.
    """
    return {
        name: sum(not seen.issuperset(operator.outputs) for operator in point.operators)
        for name, point, seen in _allocated(content)
    }


def outside_delegate(content: bytes) -> dict[str, tuple[str, ...]]:
    """Returns the operators of each entry point that XNNPACK leaves to slower code, by kind.

    One that reads or writes a tensor that cannot be read is inside; see `hidden_operators`. Not
    counted are custom operators, which are always outside; the conversion of a constant to float,
    as of the anchors in float16, which runs once; and an operator straight from inputs to outputs,
    such as the one that hands the state on, whose tensors can always be read.
    """
    found = {}
    for name, point, seen in _allocated(content):
        made = {tensor for operator in point.operators for tensor in operator.outputs}
        results = set(point.outputs.values())
        outside = []
        for operator in point.operators:
            read, written = made & set(operator.inputs), set(operator.outputs)
            harmless = not read and (operator.name == "DEQUANTIZE" or written <= results)
            if not operator.options and not harmless and read | written <= seen:
                outside.append(operator.name)
        found[name] = tuple(outside)
    return found


def raw_step(content: bytes, *, xnnpack: bool = True) -> Step:
    """Returns a `Step` that adds `RAW_OUTPUTS`, as post-processing reads them, to its outputs.

    A clip has the op once for each frame, and the frames are joined; an entry point without the op
    returns raw outputs already.
    """
    points = file_format.entry_points(content)
    read = {name: _by_frame(point) for name, point in points.items()}
    # The memory of what the first of several has read may hold something else at the end.
    interpreter = make(content, xnnpack=xnnpack, keep=any(len(each) > 1 for each in read.values()))
    plain = _in_float(step_of(interpreter), content)

    def run(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = dict(plain(entry_point, **inputs))
        subgraph = points[entry_point].subgraph
        for name, tensors in zip(RAW_OUTPUTS, zip(*read[entry_point], strict=True), strict=False):
            values = [interpreter.get_tensor(tensor, subgraph) for tensor in tensors]
            outputs[name] = np.concatenate(values) if values[0].ndim == 3 else values[0]
        return outputs

    return run


def _by_frame(point: EntryPoint) -> list[tuple[int, ...]]:
    """Returns the inputs of each op, in the order in which what they write is joined."""
    found = {
        operator.outputs[0]: operator.inputs
        for operator in point.operators
        if operator.name == postprocessing_op.NAME
    }
    joined = (op.inputs for op in point.operators if set(op.inputs) == set(found))
    return (
        [found[tensor] for tensor in next(joined, found)] if len(found) > 1 else [*found.values()]
    )


def _allocated(content: bytes) -> Iterator[tuple[str, EntryPoint, set[int]]]:
    """Yields each entry point with the tensors of its operators that can be seen after a run."""
    interpreter = make(content, xnnpack=True)
    for name, point in file_format.entry_points(content).items():
        runner = interpreter.get_signature_runner(name)
        details = runner.get_input_details().items()
        runner(**{key: np.zeros(each["shape"], each["dtype"]) for key, each in details})
        seen = set()
        for tensor in {tensor for operator in point.operators for tensor in operator.outputs}:
            try:
                interpreter.get_tensor(tensor, point.subgraph)
            except ValueError:
                continue
            seen.add(tensor)
        yield name, point, seen
