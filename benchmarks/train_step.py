"""Milliseconds and memory of a training step: one backbone a frame against both on every frame.

    python benchmarks/train_step.py [--size 320] [--turns 7] [--steps 6] [--threads 2] [--profile]

The full-size interleaved model, 2 clips of 4 frames that stay in memory: forward, loss, mining,
gradients and update, as `model.fit` does them. Each variant lives in a process of its own, so that
its peak memory is its own; they take turns, one runs while the others wait. `coin` draws the large
network for half of the frames, `quarter` for one in four; `all` runs both backbones on all frames,
as the original does; `no pool` is `coin` without TensorFlow's memory pool, which lstd asks for;
`bfloat16` is `coin` with `train.precision: mixed_bfloat16`; `fixed` is two large frames in each
clip, and `checkpointing` the same with `train.gradient_checkpointing`; `fixed quarter` is one in
each clip of four. A turn's time is the mean of its steps, because the draws differ; the table has
the median of the turns and their spread, and the ratio to `all` turn by turn.

`--profile` prints where the time of `coin` goes instead, by kind of operation.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "interleaved_mobilenet_v2_imagenet_vid.yaml"
VARIANTS = {
    "all": ["model.train_backbone_frames=all"],
    "coin": ["model.large_probability=0.5"],
    "quarter": ["model.large_probability=0.25"],
    "no pool": ["model.large_probability=0.5"],
    "bfloat16": ["model.large_probability=0.5", "train.precision=mixed_bfloat16"],
    "fixed": ["model.large_frames=2"],
    "fixed quarter": ["model.large_frames=1"],
    "checkpointing": ["model.large_frames=2", "train.gradient_checkpointing=true"],
}
LIMITS = {
    "coin": (0.65, 0.85),
    "quarter": (0.45, 0.7),
    "fixed quarter": (0.45, 0.7),
}  # time, memory


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=320, help="of the model's input, pixels")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4, help="of a clip")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="in a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="beside all"
    )
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile(arguments)
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{arguments.clips} clips of {arguments.frames} frames at {arguments.size}, "
        f"{arguments.threads} threads, {arguments.turns} turns of {arguments.steps} steps",
        flush=True,
    )
    times, memory = in_turns(arguments)
    for name, values in times.items():
        line = (
            f"{name:14} {1000 * statistics.median(values):7.0f} ms a step "
            f"({1000 * min(values):.0f} to {1000 * max(values):.0f}), peak {memory[name]:.2f} GB"
        )
        if name != "all":
            ratios = [a / b for a, b in zip(values, times["all"], strict=True)]
            line += (
                f"; {statistics.median(ratios):.2f} of the time of all "
                f"({min(ratios):.2f} to {max(ratios):.2f}), "
                f"{memory[name] / memory['all']:.2f} of its memory"
            )
        if name in LIMITS:
            line += "; asked: at most {} and {}".format(*LIMITS[name])
        print(line)


def in_turns(arguments: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Returns seconds a step, turn by turn, and the peak memory in GB, of each variant."""
    context = multiprocessing.get_context("spawn")
    workers: dict[str, tuple[Any, Connection]] = {}
    names = dict.fromkeys(["all", *arguments.variants])
    for name in names:
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, name, arguments), daemon=True)
        process.start()
        here.recv()  # It has warmed up.
        workers[name] = process, here
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(arguments.turns):
        for name, (_, pipe) in workers.items():
            pipe.send(arguments.steps)
            times[name].append(pipe.recv())
    memory = {}
    for name, (process, pipe) in workers.items():
        pipe.send(0)
        memory[name] = pipe.recv()
        process.join()
    return times, memory


def work(pipe: Connection, name: str, arguments: argparse.Namespace) -> None:
    """Trains so many steps as the pipe asks for, again and again; 0 asks for the peak memory."""
    if name == "no pool":
        os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "false"
    step = step_function(name, arguments)
    for _ in range(3):
        step()
    pipe.send("ready")
    while steps := pipe.recv():
        started = time.perf_counter()
        for _ in range(steps):
            step()
        pipe.send((time.perf_counter() - started) / steps)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def step_function(name: str, arguments: argparse.Namespace) -> Any:
    """Returns a function without arguments that does one training step of a variant."""
    import tensorflow as tf
    import tf_keras as keras

    import lstd
    from lstd.config import config_io

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(0)
    config = config_io.override(
        lstd.load_config(CONFIG),
        [
            f"model.input_height={arguments.size}",
            f"model.input_width={arguments.size}",
            "model.train_schedule=RANDOM",
            *VARIANTS[name],
        ],
    )
    model = lstd.build_model(config.model, precision=config.train.precision)
    model.compile(
        optimizer=lstd.build_optimizer(config.train),
        loss=lstd.DetectionLoss.from_config(config.model),
        gradient_checkpointing=config.train.gradient_checkpointing,
    )
    train = model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch(arguments)).cache().repeat())

    def step() -> None:
        logs = train(batches)
        float(logs["loss"])

    return step


def batch(arguments: argparse.Namespace) -> Any:
    """Returns noise with three boxes a frame."""
    import lstd

    generator = np.random.default_rng(0)
    clips, frames, size = arguments.clips, arguments.frames, arguments.size
    corners = generator.uniform(0, 0.5, [clips, frames, 3, 2])
    return (
        lstd.ClipBatch(
            generator.integers(0, 256, [clips, frames, size, size, 3]).astype(np.uint8),
            np.zeros([clips, frames], bool),
            np.tile(np.arange(frames, dtype=np.int32), [clips, 1]),
            np.array(["noise"] * clips),
        ),
        lstd.GroundTruth(
            np.concatenate([corners, corners + 0.3], axis=-1).astype(np.float32),
            generator.integers(0, 30, [clips, frames, 3]).astype(np.int32),
        ),
    )


def profile(arguments: argparse.Namespace) -> None:
    """Prints the share of each kind of operation in the processor time of `coin`."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    step = step_function("coin", arguments)
    for _ in range(4):
        step()
    spent: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(arguments.steps):
            step()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if ":" in name and "/" in name:  # "layer/operation:Kind"
                    kind = name.rpartition(":")[2]
                    spent[kind] += event.duration_ps
                    calls[kind] += 1
    total = sum(spent.values())
    print(f"{total / 1e9 / arguments.steps:.0f} ms of operations a step")
    for kind, duration in spent.most_common(25):
        print(
            f"{kind:36} {duration / 1e9 / arguments.steps:8.1f} ms  {duration / total:6.1%}  "
            f"{calls[kind] / arguments.steps:7.0f} calls"
        )


if __name__ == "__main__":
    main()
