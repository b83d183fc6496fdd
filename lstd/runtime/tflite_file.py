"""A `.tflite` as entry points, by LiteRT or, where that is missing, by TensorFlow."""

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base import tflite_damage, tflite_metadata, tflite_runners
from lstd.base.documents import first_line
from lstd.base.export_names import POSTPROCESSING_OP, STATE_INPUTS, STATE_OUTPUTS
from lstd.base.types import LSTMState
from lstd.runtime import entry_points
from lstd.runtime.entry_points import EntryPoint, EntryPoints, Fill, InputSpec


def load(path: str | os.PathLike[str], *, threads: int, separate: bool = False) -> EntryPoints:
    """Returns the entry points of a `.tflite` of our export.

    They share an interpreter, and wait for one another, unless they are `separate`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a TFLite file, damaged, not runnable here, or without our entry points.
        ImportError: neither LiteRT nor TensorFlow is installed.
    """
    interpreter, lock = open_file(path, threads=threads), threading.Lock()
    points: dict[str, EntryPoint] = {}
    signatures = interpreter.get_signature_list()
    for network, key in entry_points.choose(signatures, name=str(path)).items():
        where = f"{path}, entry point {key}"
        entry_points.check_outputs(signatures[key]["outputs"], where=where)
        if separate and points:
            interpreter, lock = open_file(path, threads=threads), threading.Lock()
        try:
            runner = interpreter.get_signature_runner(key)
            inputs = {name: spec_of(each) for name, each in runner.get_input_details().items()}
            run = _in_place(runner, inputs) or entry_points.calling(runner, inputs).run
        except (ValueError, RuntimeError) as error:  # An op that this interpreter lacks.
            raise ValueError(f"{where}: cannot be run here: {first_line(error)}") from None
        points[network] = EntryPoint(_locked(run, lock), inputs)
    return EntryPoints(points, str(path))


def open_file(path: str | os.PathLike[str], *, threads: int) -> Any:
    """Returns an interpreter of any `.tflite`, with one thread where more would lose a class.

    Raises:
        FileNotFoundError, ValueError, ImportError: as for `load`.
    """
    if loses_a_class(path, threads=threads):
        warnings.warn(
            f"{path}: runs on one thread: it suppresses class by class, and with {threads} "
            f"threads LiteRT would never report class {threads}, counted from 0",
            stacklevel=1,  # so that it is told once, whoever opens the file again
        )
        threads = 1
    try:
        return tflite_runners.open_interpreter(model_path=str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged, or not a TFLite file: {first_line(error)}") from None


def loses_a_class(path: str | os.PathLike[str], *, threads: int) -> bool:
    """Returns whether LiteRT's interpreter never reports one of a file's classes.

    With `use_regular_nms` the post-processing op deals the classes to the threads, and leaves out
    the one whose index is the number of threads (github.com/tensorflow/tensorflow/issues/56058).

    Raises:
        FileNotFoundError, ValueError, ImportError: as for `load`.
    """
    from flatbuffers import flexbuffers

    tflite_damage.check(path)
    if threads == 1:
        return False
    most = 0  # classes of such an op
    try:
        with tflite_metadata.damage_refused():
            model = tflite_metadata.model_of(Path(path).read_bytes())
            codes = map(model.OperatorCodes, range(model.OperatorCodesLength()))
            is_op = [code.CustomCode() == POSTPROCESSING_OP.encode() for code in codes]
            for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
                for operator in map(graph.Operators, range(graph.OperatorsLength())):
                    if is_op[operator.OpcodeIndex()]:
                        options = flexbuffers.Loads(operator.CustomOptionsAsNumpy().tobytes())
                        if options.get("use_regular_nms"):
                            most = max(most, options["num_classes"])
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or not a TFLite file: {first_line(error)}") from None
    return threads < most


def spec_of(detail: dict[str, Any]) -> InputSpec:
    """Returns what an interpreter says of an input."""
    scale, zero = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return InputSpec(shape, np.dtype(detail["dtype"]), int(zero), float(scale))


def _in_place(runner: Any, inputs: dict[str, InputSpec]) -> Callable[..., Any] | None:
    """Returns what runs an entry point in the interpreter's own memory, None where it cannot be.

    A signature runner checks the shapes, allocates, and copies every input and output on each call.
    Here the image is written where the network reads it. This uses private attributes of the
    runner; with a version that lacks them, the runner does it all.
    """
    try:
        wrapper, subgraph = runner._interpreter_wrapper, runner._subgraph_index
        inputs_at, written = dict(runner._inputs), dict(runner._outputs)
        outputs_at = {name: written[name] for name in entry_points.OUTPUTS}
        wrapper.AllocateTensors(subgraph)
        views = {name: wrapper.tensor(wrapper, inputs_at[name], subgraph) for name in inputs}
    except (AttributeError, KeyError, TypeError):
        return None
    if any((view.shape, view.dtype) != inputs[name][:2] for name, view in views.items()):
        return None
    del views  # The memory may move; each call asks where it is.

    def run(fill: Fill, state: LSTMState) -> tuple[dict[str, np.ndarray], LSTMState]:
        fill(wrapper.tensor(wrapper, inputs_at["image"], subgraph))
        for name, part in zip(STATE_INPUTS, state, strict=True):
            wrapper.tensor(wrapper, inputs_at[name], subgraph)[...] = part
        wrapper.Invoke(subgraph)
        found = {name: wrapper.GetTensor(at, subgraph) for name, at in outputs_at.items()}
        return found, LSTMState(*(found.pop(name) for name in STATE_OUTPUTS))

    return run


def _locked(run: Callable[..., Any], lock: threading.Lock) -> Callable[..., Any]:
    """Returns what runs an interpreter, which does one thing at a time."""

    def locked(fill: Fill, state: LSTMState) -> Any:
        with lock:
            return run(fill, state)

    return locked
