"""Runs a `.tflite`, and looks at how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstd.export import flatbuffer

Step = Callable[..., dict[str, np.ndarray]]
"""Runs an entry point: `step(entry_point, image=..., lstm_c=..., lstm_h=...)`, all of it NumPy."""


def make(content: bytes, *, xnnpack: bool) -> Any:
    """Returns an interpreter for a `.tflite`: LiteRT's where it is installed, else TensorFlow's."""
    try:
        from ai_edge_litert import interpreter as runtime

        kinds, interpreter = runtime.OpResolverType, runtime.Interpreter
    except ImportError:
        import tensorflow as tf

        kinds, interpreter = tf.lite.experimental.OpResolverType, tf.lite.Interpreter
    kind = kinds.BUILTIN if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kind)


def step_of(interpreter: Any) -> Step:
    """Returns a `Step` that runs the entry points of an interpreter."""
    runners: dict[str, Any] = {}

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        if entry_point not in runners:
            runners[entry_point] = interpreter.get_signature_runner(entry_point)
        return runners[entry_point](**inputs)

    return step


def hidden_operators(content: bytes, *, xnnpack: bool = True) -> dict[str, int]:
    """Returns how many operators of each entry point write a tensor that nobody can see.

    A tensor between two operators of a delegate is never allocated, so whoever asks for it is
    refused. That shows in every entry point; an interpreter lists the operators of the first only.
    """
    interpreter = make(content, xnnpack=xnnpack)
    found = {}
    for name, entry_point in flatbuffer.entry_points(content).items():
        runner = interpreter.get_signature_runner(name)
        inputs = runner.get_input_details().items()
        runner(**{key: np.zeros(detail["shape"], detail["dtype"]) for key, detail in inputs})
        found[name] = _hidden(interpreter, entry_point)
    return found


def hidden_in_main_graph(content: bytes) -> int:
    """Returns the same for the first subgraph of a file that may have no entry points."""
    interpreter = make(content, xnnpack=True)
    interpreter.allocate_tensors()
    return _hidden(interpreter, flatbuffer.main_graph(content))


def _hidden(interpreter: Any, entry_point: flatbuffer.EntryPoint) -> int:
    return sum(
        not all(
            _is_allocated(interpreter, tensor, entry_point.subgraph) for tensor in operator.outputs
        )
        for operator in entry_point.operators
    )


def _is_allocated(interpreter: Any, tensor: int, subgraph: int) -> bool:
    try:
        interpreter.get_tensor(tensor, subgraph)
    except ValueError:
        return False
    return True
