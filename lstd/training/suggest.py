"""Settings for a run that fits the machine and the data, from two real steps."""

import io
import os
import re
import sys
import time
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.base import processor
from lstd.config import config_io
from lstd.config.config import Config
from lstd.data.pipeline import open_split
from lstd.training import advice
from lstd.training.callbacks import RunCallback
from lstd.training.train import train

_CPU_HOURS, _GPU_HOURS = 1, 10
_PASSES = 100
"""Over the data, beyond which more steps are not suggested."""
_LEAST_STEPS = 1000
"""Suggested for little data, however often they see it."""
_MEMORY_SHARE = 0.5
"""Of the memory; draws of a random schedule may need more than the steps that were measured."""


class Measured(NamedTuple):
    """What the suggestion rests on."""

    seconds: float  # of a step, for each clip of a batch
    gigabytes: float  # of a step, for each clip of a batch
    memory: float  # gigabytes that a device has; infinite where nothing tells
    gpus: int  # 0: the CPU trains
    frames: int  # of all videos
    clips: int  # that they make


def suggest(config: Config, run_folder: str | os.PathLike[str]) -> list[str]:
    """Returns settings, as `--set` takes them, after two steps that leave nothing behind.

    The batch size times the accumulated batches is kept, if the data has so many clips. What was
    measured, and why, is printed. Errors as in `lstd.training.train.train`.
    """
    found = _measured(config, run_folder)
    settings = settings_for(config, found)
    run = config_io.override(config, settings)
    clips = run.data.train.batch_size * run.train.accumulate_steps
    passes = run.train.steps * clips * run.data.train.unroll_length / found.frames
    devices = f"{found.gpus} GPU(s)" if found.gpus else "CPU"
    print(
        f"measured on this {devices}: {found.seconds:.2g} s and {found.gigabytes:.2g} GB for a "
        f"clip of {run.data.train.unroll_length} frames; {found.memory:.1f} GB of memory"
    )
    hours = run.train.steps * clips * found.seconds / max(1, found.gpus) / 3600
    print(
        f"{found.frames} frames make {found.clips} clips: {run.train.steps} steps of {clips} see "
        f"the data {passes:.0f} times in about {hours:.1g} h, evaluation not counted"
    )
    for line in advice.on_settings(run):
        print(line)
        settings += re.findall(r"--set (\S+)", line)
    return settings


def settings_for(config: Config, found: Measured) -> list[str]:
    """Returns batch size, accumulation, steps and, for several GPUs, the distribution.

    The steps are those of an hour on a CPU, of a night on GPUs, but no more than 100 passes over
    the data where these are 1,000 steps or more.
    """
    train, data = config.train, config.data.train
    wanted = min(data.batch_size * train.accumulate_steps, found.clips)
    devices = max(1, min(found.gpus, wanted))
    fit = _MEMORY_SHARE * found.memory / max(found.gigabytes, 1e-9)  # on each
    most = max(1, int(min(fit, wanted)))
    accumulate = -(-wanted // (most * devices))
    batch = wanted // (accumulate * devices) * devices
    together = batch * accumulate
    hours = _GPU_HOURS if found.gpus else _CPU_HOURS
    in_time = 3600 * hours * devices / (together * found.seconds)
    in_passes = max(_LEAST_STEPS, _PASSES * found.frames / (together * data.unroll_length))
    steps = _rounded(min(in_time, in_passes))
    return [
        f"data.train.batch_size={batch}",
        f"train.accumulate_steps={accumulate}",
        f"train.steps={steps}",
        f"train.steps_per_epoch={max(1, steps // 10)}",
        *(["train.distribution=mirrored"] if devices > 1 else []),
    ]


def _rounded(number: float) -> int:
    """Returns a number, rounded down to two digits; at least 1."""
    whole = max(1, int(number))
    unit = 10 ** max(0, len(str(whole)) - 2)
    return whole // unit * unit


class _Meter(RunCallback):
    """Measures the last step of a run, and the memory that all steps have taken."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._bytes = _peak_bytes()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds = time.perf_counter() - self._began
        self.gigabytes = (_peak_bytes() - self._bytes) / 1e9


def _measured(config: Config, run_folder: str | os.PathLike[str]) -> Measured:
    data, model = config.data.train, config.model
    videos = open_split(
        config.data, "train", num_classes=model.num_classes, labels=model.labels
    ).videos
    lengths = [video.num_frames for video in videos]
    clips = sum(-(-length // data.unroll_length) for length in lengths)
    tried = max(1, min(2, data.batch_size, clips))
    settings = ["train.accumulate_steps=1", f"data.train.batch_size={tried}"]
    random = len(model.depth_multipliers) == 2 and model.train_schedule.startswith("RANDOM")
    if random and data.unroll_length > 1:  # Not a matter of luck: the expected number.
        large = round(model.large_probability * data.unroll_length)
        large = model.large_frames or max(1, min(large, data.unroll_length - 1))
        settings += [f"model.large_frames={large}", "model.large_probability=0.5"]
    meter = _Meter()
    train(
        config_io.override(config, settings),
        run_folder,
        dry_run=True,
        callbacks=[meter],
        say=lambda _: None,
        stream=io.StringIO(),
        strategy=tf.distribute.get_strategy(),
    )
    return Measured(
        seconds=meter.seconds / tried,
        gigabytes=meter.gigabytes / tried,
        memory=_memory() / 1e9,
        gpus=len(tf.config.list_physical_devices("GPU")),
        frames=sum(lengths),
        clips=clips,
    )


def _memory() -> float:
    if not tf.config.list_physical_devices("GPU"):
        return processor.memory()
    from tensorflow.python.client import device_lib

    devices = device_lib.list_local_devices()
    return float(min(each.memory_limit for each in devices if each.device_type == "GPU"))


def _peak_bytes() -> float:
    """Returns the most memory that this process has had, on a GPU if there is one."""
    if tf.config.list_physical_devices("GPU"):
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
