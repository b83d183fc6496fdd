"""Any `.tflite`, ours or not: what goes in and out, and whether it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lstd.export.findings import FAILED, OK, Finding, first_line


def described(interpreter: Any) -> Iterator[str]:
    """Yields the lines that name each entry point's inputs and outputs, with shapes and dtypes."""
    signatures = sorted(interpreter.get_signature_list())
    for name in signatures or [None]:
        yield f"entry point {name}:" if name else "no entry points (signatures); the graph itself:"
        for kind, details in zip(("in ", "out"), _details(interpreter, name), strict=True):
            for key, detail in details.items():
                shape = [int(size) for size in detail["shape"]]
                yield f"  {kind} {key}  {np.dtype(detail['dtype']).name} {shape}"


def run_random(interpreter: Any, frames: int) -> Finding:
    """Returns whether a file gives finite numbers for so many random inputs."""
    try:
        for name in sorted(interpreter.get_signature_list()) or [None]:
            for number in range(frames):
                _run(interpreter, name, np.random.default_rng(number))
    except (ValueError, RuntimeError) as error:
        return Finding("random frames", FAILED, first_line(error))
    return Finding("random frames", OK, f"{frames} run, all outputs finite")


def _details(interpreter: Any, name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the inputs and outputs of an entry point, or of a graph that has none."""
    if name is None:
        sides = interpreter.get_input_details(), interpreter.get_output_details()
        inputs, outputs = ({each["name"]: each for each in side} for side in sides)
        return inputs, outputs
    runner = interpreter.get_signature_runner(name)
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    return dict(sorted(inputs.items())), dict(sorted(outputs.items()))


def _run(interpreter: Any, name: str | None, rng: np.random.Generator) -> None:
    inputs, outputs = _details(interpreter, name)
    given = {key: _random(detail, rng) for key, detail in inputs.items()}
    if name is not None:
        found = interpreter.get_signature_runner(name)(**given)
    else:
        interpreter.allocate_tensors()
        for key, detail in inputs.items():
            interpreter.set_tensor(detail["index"], given[key])
        interpreter.invoke()
        found = {key: interpreter.get_tensor(each["index"]) for key, each in outputs.items()}
    for key, value in found.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise ValueError(f"{key} is not finite")


def _random(detail: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Returns numbers in [-1, 1], bytes of any value, and zeros of other dtypes."""
    shape, dtype = tuple(detail["shape"]), np.dtype(detail["dtype"])
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1.0, 1.0, shape).astype(dtype)
    if dtype in (np.uint8, np.int8):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return np.zeros(shape, dtype)
