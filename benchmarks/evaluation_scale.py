"""Time and memory to score ImageNet VID's validation set, with synthetic detections of its size.

    python benchmarks/evaluation_scale.py [--share 0.1] [--metric vid|coco|both]

176,126 frames in 555 videos, 273,505 true boxes, 100 detections a frame, 30 classes. Each metric
runs in a process of its own, so that its peak memory is its own. `--share` takes so many of the
frames; the times of all are then extrapolated, and said to be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

FRAMES, VIDEOS, BOXES, CLASSES, DETECTIONS = 176_126, 555, 273_505, 30, 100
LIMITS = {"vid": 10, "coco": 30}  # minutes
MEMORY_GB = 8


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the frames, up to 1")
    parser.add_argument("--metric", choices=("vid", "coco", "both"), default="both")
    arguments = parser.parse_args()
    frames = round(FRAMES * arguments.share)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; {frames} frames, {frames * DETECTIONS} detections"
    )
    for name in ("vid", "coco") if arguments.metric == "both" else (arguments.metric,):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            facts = pool.apply(measure, (name, frames))
        minutes = (facts["add"] + facts["result"]) / 60
        print(
            f"{name:5} adding {facts['add']:6.1f} s, result {facts['result']:6.1f} s, "
            f"together {minutes:.2f} min (limit {LIMITS[name]}), peak {facts['gb']:.2f} GB "
            f"(limit {MEMORY_GB}); {facts['number']}"
        )
        if frames < FRAMES:
            factor = FRAMES / frames
            print(
                f"      extrapolated to {FRAMES} frames, not measured: {minutes * factor:.1f} min, "
                f"{facts['before_gb'] + (facts['gb'] - facts['before_gb']) * factor:.1f} GB"
            )


def measure(name: str, count: int) -> dict[str, Any]:
    """Returns seconds and peak memory of one metric over so many frames."""
    from lstd.evaluation import CocoMetric, VidMetric

    labels = [f"class {k}" for k in range(CLASSES)]
    kinds: dict[str, Any] = {"vid": VidMetric, "coco": CocoMetric}
    metric = kinds[name](labels)
    before = _peak_gb()
    seconds = 0.0
    for frame in frames(count):
        started = time.perf_counter()
        metric.add(*frame)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    numbers = metric.result()
    took = time.perf_counter() - started
    shown = ", ".join(f"{key} {value:.4f}" for key, value in list(numbers.items())[:4])
    return {"add": seconds, "result": took, "gb": _peak_gb(), "before_gb": before, "number": shown}


def frames(count: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yields frames whose objects drift, with a detection near most and 100 in all."""
    rng = np.random.default_rng(0)
    length = -(-FRAMES // VIDEOS)
    for number in range(count):
        video, index = divmod(number, length)
        if index == 0:
            objects = 1 + rng.poisson(BOXES / FRAMES - 1)
            corners = rng.uniform(0, 700, (objects, 2))
            boxes = np.concatenate([corners, corners + rng.uniform(20, 400, (objects, 2))], axis=1)
            speed = np.tile(rng.normal(0, 4, (objects, 2)), 2)
            classes = rng.integers(0, CLASSES, objects)
        boxes = boxes + speed
        corners = rng.uniform(0, 700, (DETECTIONS, 2))
        found = np.concatenate([corners, corners + rng.uniform(20, 400, (DETECTIONS, 2))], axis=1)
        labels = rng.integers(0, CLASSES, DETECTIONS)
        scores = rng.random(DETECTIONS) * 0.5
        near = rng.random(objects) < 0.7
        found[:objects][near] = boxes[near] + rng.normal(0, 5, (near.sum(), 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2])
        labels[:objects][near] = classes[near]
        scores[:objects][near] += 0.4
        yield (
            (f"video {video:03}", index),
            {"boxes": boxes, "classes": classes, "track_ids": np.arange(objects)},
            {"boxes": found, "classes": labels, "scores": scores},
        )


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kB


if __name__ == "__main__":
    main()
