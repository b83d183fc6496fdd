"""Milliseconds of the memory alone, fused and group by group, as `.tflite` in float32 and int8.

    python benchmarks/fused_cell.py [--turns 5] [--clock wall|cpu]

The bottleneck and the cell of the full-size interleaved model, one thread, LiteRT with XNNPACK, in
turns in one process, with random weights. Prints operators, those outside the delegate, the median
and spread of each form, and the ratio turn by turn. Only the layers are timed: the inputs stand in
the interpreter's memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
import tflite_speed

import lstd
from lstd.base.types import LSTMState
from lstd.export import conversion, file_format, interpreters
from lstd.export.lite import fused_memory


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--clock", choices=sorted(tflite_speed.CLOCKS), default="wall")
    arguments = parser.parse_args()
    clock = tflite_speed.CLOCKS[arguments.clock]
    model = lstd.build_model(lstd.load_config(tflite_speed.CONFIG).model)
    print(f"{tflite_speed.machine()}; {arguments.turns} turns of {arguments.calls} calls")
    for quantization in ("none", "int8"):
        contents = {
            name: _converted(model, name, function, quantization)
            for name, function in _functions(model).items()
        }
        interpreters_of = {name: _ready(content) for name, content in contents.items()}
        times: dict[str, list[float]] = {}
        for turn in range(arguments.turns + 1):
            for name, interpreter in interpreters_of.items():
                each = []
                for _ in range(arguments.calls):
                    started = clock()
                    interpreter.invoke()
                    each.append((clock() - started) * 1e3)
                if turn:  # the first is for warming up
                    times.setdefault(name, []).append(statistics.median(each))
        print(f"\n{quantization}")
        for name, own in times.items():
            (point,) = file_format.entry_points(contents[name]).values()
            (outside,) = interpreters.outside_delegate(contents[name]).values()
            print(
                f"{name:25} {len(point.operators):3} operators, {len(outside):2} outside, "
                f"{statistics.median(own):.3f} ms ({min(own):.3f} to {max(own):.3f})"
            )
        for part in ("cell", "large_bottleneck", "small_bottleneck"):
            pairs = zip(times[f"{part}_fused"], times[f"{part}_separate"], strict=True)
            ratios = [one / other for one, other in pairs]
            print(f"{part}: fused / separate {statistics.median(ratios):.2f}")


def _functions(model: Any) -> dict[str, Any]:
    """Returns each part in both forms."""
    state = [1, *model.state_grid, model.state_depth]

    def cell(run: Any) -> Any:
        def function(b: tf.Tensor, c: tf.Tensor, h: tf.Tensor) -> dict[str, tf.Tensor]:
            output, new = run(b, LSTMState(c, h))
            return {"output": output, "c_out": new.c, "h_out": new.h}

        specs = [tf.TensorSpec(state, tf.float32, name=name) for name in ("b", "c", "h")]
        return tf.function(function, input_signature=specs, autograph=False)

    def bottleneck(run: Any, depth: int) -> Any:
        specs = [
            tf.TensorSpec([*state[:3], depth], tf.float32, name="x"),
            tf.TensorSpec(state, tf.float32, name="h"),
        ]
        return tf.function(
            lambda x, h: {"output": run(x, h)}, input_signature=specs, autograph=False
        )

    functions = {
        "cell_fused": cell(lambda b, state: fused_memory.cell(model.cell, b, state)),
        "cell_separate": cell(lambda b, state: model.cell(b, state)),
    }
    for network in model.networks:
        layer = getattr(model, f"{network}_bottleneck")
        depth = getattr(model, network).output_depth
        fused = bottleneck(_fused_bottleneck(layer), depth)
        functions[f"{network}_bottleneck_fused"] = fused
        functions[f"{network}_bottleneck_separate"] = bottleneck(layer, depth)
    return functions


def _converted(model: Any, name: str, function: Any, quantization: str) -> bytes:
    """Returns the file of one function."""
    module = tf.Module()
    module.model_variables = list(model.variables)
    module.function = function
    rng = np.random.default_rng(0)

    def samples() -> Any:
        for _ in range(3):
            yield name, {spec.name: _noise(rng, spec.shape) for spec in function.input_signature}

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={name: function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        return conversion.quantized(converter, quantization, samples)


def _ready(content: bytes) -> Any:
    """Returns an interpreter whose inputs are set; what a runner copies is no part of a layer."""
    interpreter = interpreters.make(content, xnnpack=True)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], _noise(rng, detail["shape"]))
    return interpreter


def _noise(rng: np.random.Generator, shape: Any) -> np.ndarray:
    return rng.uniform(0, 3, shape).astype(np.float32)


def _fused_bottleneck(layer: Any) -> Any:
    return lambda x, h: fused_memory.bottleneck(layer, x, h)


if __name__ == "__main__":
    main()
