"""`lstd-train` in processes of its own, killed at random moments, against an undisturbed one."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.checkpoints.named_arrays import read_hdf5
from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.data_config import DataConfig
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import TrainConfig
from lstd.training.resume import last_checkpoint
from tests import tiny
from tests.data import records
from tests.training.test_replicas import tf_configs

pytestmark = pytest.mark.slow

KILLS = 3


def _config(folder: Path, model: ModelConfig, **train: Any) -> Path:
    """Writes a config with carried state, averages and augmentation."""
    config = Config(
        dataclasses.replace(model, num_classes=30),
        TrainConfig(
            deterministic=True,
            evaluate=False,
            min_anchor_share=0.0,  # a single box, which no anchor fits
            **train,
        ),
        DataConfig(records.drawn_data(folder, (31, 19, 8))),
    )
    config_io.save_config(config, folder / "config.yaml")
    return folder / "config.yaml"


class _Runs:
    """Processes that train in a folder; `text` is what each of them has said."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder, self.config = folder, config
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *, resume: bool = False, tf_configs: Sequence[str] = ("",)) -> None:
        arguments = ["--resume"] if resume else ["--config", str(self.config)]
        self.started = []
        for number, tf_config in enumerate(tf_configs):
            with self._output(number).open("ab") as output:
                command = [sys.executable, "-m", "lstd.cli.train", *arguments]
                environment = {"TF_CONFIG": tf_config, "CUDA_VISIBLE_DEVICES": "-1"}
                self.started.append(
                    subprocess.Popen(
                        [*command, "--output_directory", str(self.folder)],
                        stdout=output,
                        stderr=output,
                        env={**os.environ, **(environment if tf_config else {})},
                    )
                )

    def _output(self, number: int) -> Path:
        return self.folder.with_name(f"{self.folder.name}_{number}.txt")

    def text(self, number: int = 0) -> str:
        return self._output(number).read_text()

    def kill_after_a_checkpoint(self, number: int = 0, *, rest: float = 0.0) -> None:
        """Kills a process so many seconds after the run has saved its next checkpoint."""
        before = last_checkpoint(self.folder / "checkpoints")
        deadline = time.monotonic() + 300
        while last_checkpoint(self.folder / "checkpoints") == before:
            assert self.started[0].poll() is None, self.text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rest)
        self.started[number].send_signal(signal.SIGKILL)
        assert self.started[number].wait() == -signal.SIGKILL

    def finish(self) -> None:
        for number, process in enumerate(self.started):
            assert process.wait(600) == 0, self.text(number)

    def assert_same(self, other: _Runs, names: Sequence[str]) -> None:
        """Compares files of weights bit by bit."""
        for name in names:
            file = f"{name}.weights.h5"
            ours, wanted = (read_hdf5(run.folder / file, "file") for run in (self, other))
            assert wanted
            assert ours.keys() == wanted.keys()
            for place, array in wanted.items():
                np.testing.assert_array_equal(ours[place], array, err_msg=f"{name} {place}")


def test_killed_run_ends_with_the_bits_of_the_undisturbed_one(tmp_path: Path) -> None:
    settings = {"steps": 120, "steps_per_epoch": 10, "moving_average_decay": 0.99}
    config = _config(tmp_path, tiny.CONFIG, **settings)  # two backbones at random
    whole, killed = _Runs(tmp_path / "whole", config), _Runs(tmp_path / "killed", config)
    whole.start()
    whole.finish()
    moments = random.Random(0)
    for number in range(KILLS):
        killed.start(resume=number > 0)
        # An epoch takes some 0.5 s: anywhere in one, also while it is being saved.
        killed.kill_after_a_checkpoint(rest=moments.uniform(0, 1.0))
    killed.start(resume=True)
    killed.finish()

    assert (killed.folder / "run.json").read_text().count('"time"') == KILLS + 1
    killed.assert_same(whole, ("last", "average", "best"))
    # Weights, optimizer, averages, carried state and random generator.
    path, wanted = (str(last_checkpoint(run.folder / "checkpoints")) for run in (killed, whole))
    names = [name for name, _ in tf.train.list_variables(wanted)]
    assert any(name.startswith("carried/") for name in names)
    assert any(name.startswith("coins/") for name in names)
    for name in names:
        if "CHECKPOINTABLE_OBJECT_GRAPH" not in name and not name.startswith("save_counter"):
            ours, theirs = (tf.train.load_variable(place, name) for place in (path, wanted))
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_a_killed_worker_ends_the_job_and_a_resumed_one_ends_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    settings = {"steps": 30, "steps_per_epoch": 5, "moving_average_decay": 0.9}
    # One backbone, which is traced in less time.
    config = _config(tmp_path, tiny.FIRST_PAPER, distribution="multi_worker", **settings)
    whole, killed = _Runs(tmp_path / "whole", config), _Runs(tmp_path / "killed", config)
    whole.start(tf_configs=tf_configs(2))
    whole.finish()
    killed.start(tf_configs=tf_configs(2))
    killed.kill_after_a_checkpoint(1)

    # The chief says so, and where the run can go on; no traceback.
    assert killed.started[0].wait(300) == 2
    assert "worker 0 of 2 cannot go on, another one has gone" in killed.text()
    assert "start all of them again with --resume" in killed.text()
    assert "Traceback" not in killed.text()
    killed.start(resume=True, tf_configs=tf_configs(2))
    killed.finish()

    killed.assert_same(whole, ("last", "average"))
    assert "done: " in whole.text(0)  # Only the first one reports.
    assert "done: " not in whole.text(1)
