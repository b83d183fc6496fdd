"""What VideoDetector costs on top of the bare signature runner, frames already at model size.

    python benchmarks/detector_overhead.py [--model exported/model.tflite] [--turns 41]

Without --model it is the file that `make demo` exports.

The runner is given a float image that is ready and the state of the call before; the detector gets
the frame as bytes, converts it, follows the schedule and returns sorted detections. Both take turns
in one process, network by network; the table has medians over the turns.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lstd.runtime import tflite_file
from lstd.runtime.detector import VideoDetector

DEMO = Path("demo/export/model.tflite")
LIMIT_PERCENT, LIMIT_MS = 5.0, 0.1


def main() -> int:
    """Prints the table; returns 1 where the detector costs more than it may, 2 without a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEMO, help=".tflite of lstd-export")
    parser.add_argument("--turns", type=int, default=41)
    parser.add_argument("--calls", type=int, default=5, help="calls in a turn")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        print(f"{arguments.model}: no such file; make demo exports one, or give --model")
        return 2

    try:
        interpreter = tflite_file.open_file(arguments.model, threads=arguments.threads)
    except (ValueError, OSError) as error:
        sys.exit(f"detector_overhead.py: error: {error}")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{type(interpreter).__module__.partition('.')[0]}, {arguments.threads} threads; "
        f"{arguments.turns} alternating turns of {arguments.calls} calls, medians"
    )
    within = True
    for network, schedule in (("large", "LARGE"), ("small", "SMALL")):
        if network not in interpreter.get_signature_list():
            continue
        detector = VideoDetector(arguments.model, schedule, arguments.threads)
        height, width, channels = detector.input_shape
        frame = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
        bare = _bare(interpreter.get_signature_runner(network), frame)
        wrapped = functools.partial(detector, frame)
        times = _alternate([bare, wrapped], arguments.turns, arguments.calls)
        runner_ms, detector_ms = (statistics.median(row) for row in times)
        more = statistics.median(b - a for a, b in zip(*times, strict=True))
        limit = max(LIMIT_MS, runner_ms * LIMIT_PERCENT / 100)
        within &= more <= limit
        print(
            f"{network:6} runner {runner_ms:8.3f} ms   VideoDetector {detector_ms:8.3f} ms   "
            f"more, turn by turn {more:+.3f} ms ({100 * more / runner_ms:+.1f} %), "
            f"may be {limit:.3f} ms"
        )
    return 0 if within else 1


def _bare(runner: Any, frame: np.ndarray) -> Callable[[], Any]:
    """Returns a call of the runner that carries the state, as an app would do it by hand."""
    inputs = runner.get_input_details()
    image = frame[np.newaxis].astype(inputs["image"]["dtype"])
    state = {
        name: np.zeros(inputs[name]["shape"], inputs[name]["dtype"])
        for name in ("lstm_c", "lstm_h")
    }

    def call() -> Any:
        outputs = runner(image=image, **state)
        for name in state:
            state[name] = outputs[f"{name}_out"]
        return outputs

    return call


def _alternate(calls: list[Callable[[], Any]], turns: int, count: int) -> list[list[float]]:
    """Returns for each call its milliseconds in each turn, the mean over `count` calls."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(turns + 3):  # three to warm up
        # The order changes, so that neither always runs on the other's warm cache.
        for index in (0, 1) if turn % 2 else (1, 0):
            started = time.perf_counter()
            for _ in range(count):
                calls[index]()
            if turn >= 3:
                times[index].append((time.perf_counter() - started) / count * 1e3)
    return times


if __name__ == "__main__":
    sys.exit(main())
