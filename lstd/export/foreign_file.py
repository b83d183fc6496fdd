"""Any `.tflite`, ours or not: what goes in and out, and whether it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lstd.export import flatbuffer, interpreters
from lstd.export.findings import FAILED, OK, Finding, first_line

TOLERANCE = 1e-3
"""Largest difference of floats with XNNPACK and without, of the largest value if that is over 1."""


def described(interpreter: Any) -> Iterator[str]:
    """Yields the lines that name each entry point's inputs and outputs, with shapes and dtypes."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        yield "no entry points (signatures); the graph itself:"
        for kind, details in (
            ("in ", interpreter.get_input_details()),
            ("out", interpreter.get_output_details()),
        ):
            for detail in details:
                yield f"  {kind} {detail['name']}  {_kind(detail)}"
    for name in sorted(signatures):
        yield f"entry point {name}:"
        runner = interpreter.get_signature_runner(name)
        for kind, named in (
            ("in ", runner.get_input_details()),
            ("out", runner.get_output_details()),
        ):
            for key in sorted(named):
                yield f"  {kind} {key}  {_kind(named[key])}"


def findings(content: bytes, *, frames: int) -> Iterator[Finding]:
    """Yields the findings of what can be checked without knowing a file.

    Args:
        content: the file.
        frames: random inputs that are run.
    """
    try:
        hidden, total = _operators(content)
        runs = ", ".join(f"{hidden[name]} of {total[name]} operators of {name}" for name in hidden)
        verdict = OK if min(hidden.values()) else FAILED
        yield Finding("delegate", verdict, f"XNNPACK runs at least {runs}")
        worst = max(_differences(content, frames), default=0.0)
    except (ValueError, RuntimeError) as error:
        yield Finding("random frames", FAILED, first_line(error))
        return
    verdict = OK if worst <= TOLERANCE else FAILED
    yield Finding(
        "random frames",
        verdict,
        f"{frames} run, with XNNPACK and without; the largest float outputs are within {worst:.1e}",
    )


def _kind(detail: dict[str, Any]) -> str:
    return f"{np.dtype(detail['dtype']).name} {[int(size) for size in detail['shape']]}"


def _operators(content: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Returns how many operators XNNPACK runs, and how many there are."""
    found = flatbuffer.entry_points(content)
    if found:
        total = {name: len(entry_point.operators) for name, entry_point in found.items()}
        return interpreters.hidden_operators(content), total
    total = {"the graph": len(flatbuffer.main_graph(content).operators)}
    return {"the graph": interpreters.hidden_in_main_graph(content)}, total


def _differences(content: bytes, frames: int) -> Iterator[float]:
    """Yields the differences of what each random input gives with XNNPACK and without.

    Of each output its largest value is compared: rows of equal scores may change places.
    """
    pair = [interpreters.make(content, xnnpack=xnnpack) for xnnpack in (True, False)]
    signatures = sorted(pair[0].get_signature_list()) or [None]
    for name in signatures:
        runs = [_runner(interpreter, name) for interpreter in pair]
        for number in range(frames):
            one, other = (run(np.random.default_rng(number)) for run in runs)
            for key, value in one.items():
                if not np.issubdtype(value.dtype, np.floating) or not value.size:
                    continue
                if not np.isfinite(value).all():
                    raise ValueError(f"{key} is not finite on frame {number}")
                scale = max(1.0, float(np.abs(other[key]).max()))
                yield abs(float(value.max()) - float(other[key].max())) / scale


def _runner(interpreter: Any, name: str | None) -> Any:
    """Returns the function from a random generator to named outputs."""
    if name is not None:
        runner = interpreter.get_signature_runner(name)
        details = runner.get_input_details()
        return lambda rng: runner(**{key: _random(details[key], rng) for key in sorted(details)})
    interpreter.allocate_tensors()

    def run(rng: np.random.Generator) -> dict[str, np.ndarray]:
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], _random(detail, rng))
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in outputs}

    return run


def _random(detail: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Returns numbers in [-1, 1], bytes of any value, and zeros of other dtypes."""
    shape, dtype = tuple(detail["shape"]), np.dtype(detail["dtype"])
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1.0, 1.0, shape).astype(dtype)
    if dtype in (np.uint8, np.int8):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return np.zeros(shape, dtype)
