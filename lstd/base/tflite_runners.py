"""Any `.tflite`, whoever made it: what runs it, its entry points, and inputs for them."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from lstd.base.terminal import quiet


def interpreter_class() -> Any:
    """Returns what runs a `.tflite`: LiteRT's interpreter or, where it is missing, TensorFlow's."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            import tensorflow as tf
        except ImportError:
            raise ImportError(
                'a .tflite needs LiteRT, which is not installed; run pip install "lstd[litert]"',
                name="ai_edge_litert",
            ) from None
        return tf.lite.Interpreter
    return Interpreter


def open_interpreter(**settings: Any) -> Any:
    """Returns an interpreter, ready to run; its delegate has said on stderr that it is there."""
    with quiet():
        made = interpreter_class()(**settings)
        with contextlib.suppress(ValueError, RuntimeError):  # who runs it says what is wrong
            made.allocate_tensors()
    return made


def of_signatures(interpreter: Any) -> dict[str, Any]:
    """Returns the runner of each signature by name."""
    names = sorted(interpreter.get_signature_list())
    return {name: interpreter.get_signature_runner(name) for name in names}


class FirstSubgraph:
    """What runs the first subgraph of a file, signatures or not, as a signature runner does."""

    def __init__(self, interpreter: Any) -> None:
        interpreter.allocate_tensors()
        sides = interpreter.get_input_details(), interpreter.get_output_details()
        inputs, outputs = ({each["name"]: each for each in side} for side in sides)
        self.get_input_details, self.get_output_details = (lambda: inputs), (lambda: outputs)
        self._interpreter = interpreter

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        for name, detail in self.get_input_details().items():
            self._interpreter.set_tensor(detail["index"], inputs[name])
        self._interpreter.invoke()
        outputs = self.get_output_details().items()
        return {name: self._interpreter.get_tensor(each["index"]) for name, each in outputs}


def on_noise(runner: Any, seed: int = 0) -> Callable[[], dict[str, np.ndarray]]:
    """Returns a call of a runner on inputs that stay the same.

    They are any value for bytes, 0 to 1 for floats, zeros for what counts.
    """
    rng = np.random.default_rng(seed)

    def noise(detail: dict[str, Any]) -> np.ndarray:
        shape, dtype = tuple(detail["shape"]), np.dtype(detail["dtype"])
        if dtype.kind == "f":
            return rng.random(shape).astype(dtype)
        if dtype.kind in "iu" and dtype.itemsize == 1:
            limits = np.iinfo(dtype)
            return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
        return np.zeros(shape, dtype)  # a number of something, an index: 0 is always allowed

    inputs = {name: noise(detail) for name, detail in runner.get_input_details().items()}
    return lambda: runner(**inputs)
