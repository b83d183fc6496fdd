"""Two workers of `lstd-train` on this machine: who writes, and what a killed one leaves behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.data_config import DataConfig
from lstd.config.train_config import TrainConfig
from lstd.training.resume import last_checkpoint
from tests import tiny
from tests.data import records
from tests.end_to_end import same_weights
from tests.training.test_replicas import tf_configs

pytestmark = pytest.mark.slow

STEPS = 30


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One backbone, which is traced in less time, carried state and averages."""
    folder = tmp_path_factory.mktemp("data")
    data = records.drawn_data(folder, (31, 19, 8))
    train = TrainConfig(
        steps=STEPS,
        steps_per_epoch=5,
        moving_average_decay=0.9,
        deterministic=True,
        evaluate=False,
        distribution="multi_worker",
        min_anchor_share=0.0,  # a single box, which no anchor fits
    )
    model = dataclasses.replace(tiny.FIRST_PAPER, num_classes=30)
    config_io.save_config(Config(model, train, DataConfig(data)), folder / "config.yaml")
    return folder / "config.yaml"


def _start(config: Path, folder: Path, *, resume: bool = False) -> list[subprocess.Popen[bytes]]:
    """Starts two workers with the same command; the text of each goes to a file beside `folder`."""
    arguments = ["--output_directory", str(folder)]
    arguments += ["--resume"] if resume else ["--config", str(config)]
    started = []
    for number, tf_config in enumerate(tf_configs(2)):
        with _output(folder, number).open("ab") as output:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "lstd.cli.train", *arguments],
                    stdout=output,
                    stderr=output,
                    env={**os.environ, "TF_CONFIG": tf_config, "CUDA_VISIBLE_DEVICES": "-1"},
                )
            )
    return started


def _output(folder: Path, number: int) -> Path:
    return folder.parent / f"worker_{number}.txt"


def _finish(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    for number, process in enumerate(processes):
        assert process.wait(600) == 0, _output(folder, number).read_text()


def test_a_killed_worker_ends_the_job_and_a_resumed_one_ends_as_if_nothing_had_been(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    _finish(_start(config, whole), whole)
    chief, other = _start(config, killed)
    deadline = time.monotonic() + 300
    while last_checkpoint(killed / "checkpoints") is None and time.monotonic() < deadline:
        assert chief.poll() is None, _output(killed, 0).read_text()
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    other.wait()

    # The chief says so, and where the run can go on; no traceback.
    assert chief.wait(300) == 2
    said = _output(killed, 0).read_text()
    assert "worker 0 of 2 cannot go on, another one has gone" in said
    assert "start all of them again with --resume" in said
    assert "Traceback" not in said
    _finish(_start(config, killed, resume=True), killed)

    names = ("last.weights.h5", "average.weights.h5")
    same_weights.assert_same_weights(killed, whole, names)
    assert "done: " in _output(whole, 0).read_text()  # Only the first one reports.
    assert "done: " not in _output(whole, 1).read_text()
