"""Milliseconds of the memory alone, fused and group by group, as `.tflite` in float32 and int8.

    python benchmarks/fused_cell.py [--turns 5] [--clock wall|cpu]

The bottleneck and the cell of the full-size interleaved model, one thread, LiteRT with XNNPACK, in
turns in one process, with random weights. Prints operators, those outside the delegate, the median
and spread of each form, and the ratio turn by turn.
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
from lstd.export import flatbuffer, interpreters
from lstd.export import quantization as quantizations
from lstd.layers import fused_memory
from lstd.types import LSTMState


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
        content = _converted(model, quantization)
        outside = interpreters.outside_delegate(content)
        interpreter = interpreters.make(content, xnnpack=True)
        times: dict[str, list[float]] = {}
        points = flatbuffer.entry_points(content)
        runners = {name: interpreter.get_signature_runner(name) for name in points}
        inputs = {
            name: {
                key: np.random.default_rng(0).uniform(0, 3, detail["shape"]).astype(np.float32)
                for key, detail in runner.get_input_details().items()
            }
            for name, runner in runners.items()
        }
        for turn in range(arguments.turns + 1):
            for name, runner in runners.items():
                each = []
                for _ in range(arguments.calls):
                    started = clock()
                    runner(**inputs[name])
                    each.append((clock() - started) * 1e3)
                if turn:  # the first is for warming up
                    times.setdefault(name, []).append(statistics.median(each))
        print(f"\n{quantization}")
        for name, own in times.items():
            print(
                f"{name:22} {len(points[name].operators):3} operators, {len(outside[name]):2} "
                f"outside, {statistics.median(own):.3f} ms ({min(own):.3f} to {max(own):.3f})"
            )
        for part in ("cell", "large_bottleneck", "small_bottleneck"):
            pairs = zip(times[f"{part}_fused"], times[f"{part}_separate"], strict=True)
            ratios = [one / other for one, other in pairs]
            print(f"{part}: fused / separate {statistics.median(ratios):.2f}")


def _converted(model: Any, quantization: str) -> bytes:
    """Returns a file with each part in both forms."""
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
    module = tf.Module()
    module.model_variables = list(model.variables)
    rng = np.random.default_rng(0)

    def samples() -> Any:
        for name, function in functions.items():
            for _ in range(3):
                yield (
                    name,
                    {
                        spec.name: rng.uniform(0, 3, spec.shape).astype(np.float32)
                        for spec in function.input_signature
                    },
                )

    for name, function in functions.items():
        setattr(module, name, function)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        quantizations.configure(converter, quantization, samples)
        return converter.convert()


def _fused_bottleneck(layer: Any) -> Any:
    return lambda x, h: fused_memory.bottleneck(layer, x, h)


if __name__ == "__main__":
    main()
