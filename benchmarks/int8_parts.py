"""What the first convolution and the heads of an int8 file are faster in: float32 or int8.

    python benchmarks/int8_parts.py [--model freedoom_s] [--turns 15] [--clock wall|cpu]

The file as `lstd-export --quantization int8` writes it has a first convolution in float32 and heads
in int8. It takes turns with one whose first convolution is int8 too, and one whose heads are
float32: one thread, LiteRT with XNNPACK, SKIP9, in one process. The ranges come from noise, since
only the time counts. `--model` is the name of a model, a run folder, or a config, which gives
random weights.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tflite_speed

import lstd
from lstd.base.export_names import POSTPROCESSING_OP
from lstd.export import file_format
from lstd.runtime import timed_models, timing

VARIANTS = ("as exported", "first convolution in int8", "heads in float32")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="freedoom_s")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--frames", type=int, default=100, help="in a turn")
    parser.add_argument("--clock", choices=sorted(tflite_speed.CLOCKS), default="wall")
    arguments = parser.parse_args()
    try:
        if Path(arguments.model).suffix in (".yaml", ".config"):
            model = lstd.build_model(lstd.load_config(arguments.model).model)
        else:
            model = lstd.load_model(arguments.model)
    except (ValueError, OSError) as error:
        sys.exit(f"int8_parts.py: error: {error}")
    with tempfile.TemporaryDirectory() as folder:
        subjects = [_subject(model, name, Path(folder)) for name in VARIANTS]
        times = timing.measure(
            subjects,
            turns=arguments.turns,
            frames=arguments.frames,
            warm_up=20,
            clock=tflite_speed.CLOCKS[arguments.clock],
        )
    print(f"{tflite_speed.machine()}; {arguments.turns} turns of {arguments.frames} frames, ms")
    averages = [[statistics.fmean(ms for _, ms in turn) for turn in each.turns] for each in times]
    for each, own in zip(times, averages, strict=True):
        ratios = [one / exported for one, exported in zip(own, averages[0], strict=True)]
        rows = each.rows()
        large, small = (rows[network]["median_ms"] for network in ("large", "small"))
        print(
            f"{each.subject.name:25} large {large:.2f}, small {small:.2f}, SKIP9 "
            f"{statistics.median(own):.2f}, {statistics.median(ratios):.2f} times as exported "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def _subject(model: Any, name: str, folder: Path) -> timing.Subject:
    """Returns a variant of the int8 file, ready to be timed."""
    path = folder / f"{VARIANTS.index(name)}.tflite"
    height, width = model.config.input_height, model.config.input_width
    noise = np.random.default_rng(0).integers(0, 256, (20, height, width, 3), np.uint8)

    def left_in_float(content: bytes) -> list[str]:
        first = [] if name == VARIANTS[1] else exported(content)
        return first + (_of_heads(content) if name == VARIANTS[2] else [])

    exported = file_format.first_convolution
    with mock.patch.object(file_format, "first_convolution", left_in_float):
        lstd.export_tflite(model, path, quantization="int8", representative_data=noise)
    return timed_models.of_model(path, name=name, schedule="SKIP9", threads=1, counted={})


def _of_heads(content: bytes) -> list[str]:
    """Returns the names of the operations between the feature maps and post-processing."""
    found = set()
    for point in file_format.entry_points(content).values():
        writers = {output: each for each in point.operators for output in each.outputs}
        ends = [each for each in point.operators if each.name == POSTPROCESSING_OP]
        ahead = [tensor for each in ends for tensor in each.inputs[:2]]  # boxes and scores
        while ahead:
            tensor = ahead.pop()
            if tensor in writers:
                found.add(point.tensor_name(tensor))
                operator = writers[tensor]
                if operator.name != "DEPTHWISE_CONV_2D":  # the first of a head
                    ahead.extend(operator.inputs)
    return sorted(found)


if __name__ == "__main__":
    main()
