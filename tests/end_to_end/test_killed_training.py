"""`lstd-train` in processes of its own, killed at random moments, against an undisturbed one."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.data_config import DataConfig
from lstd.config.train_config import TrainConfig
from lstd.training.resume import last_checkpoint
from tests import tiny
from tests.data import records
from tests.end_to_end import same_weights

pytestmark = pytest.mark.slow

STEPS = 120
KILLS = 3


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two backbones at random, carried state, averages, augmentation; an epoch of ten steps."""
    folder = tmp_path_factory.mktemp("data")
    data = records.drawn_data(folder, (31, 19, 8))
    train = TrainConfig(
        steps=STEPS,
        steps_per_epoch=10,
        moving_average_decay=0.99,
        deterministic=True,
        evaluate=False,
        min_anchor_share=0.0,  # a single box, which no anchor fits
    )
    model = dataclasses.replace(tiny.CONFIG, num_classes=30)
    config_io.save_config(Config(model, train, DataConfig(data)), folder / "config.yaml")
    return folder / "config.yaml"


def _start(config: Path, folder: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    arguments = ["--output_directory", str(folder)]
    arguments += ["--resume"] if resume else ["--config", str(config)]
    with (folder.parent / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "lstd.cli.train", *arguments],
            stdout=output,
            stderr=output,
            env=dict(os.environ),
        )


def _finished(config: Path, folder: Path, *, resume: bool = False) -> Path:
    assert _start(config, folder, resume=resume).wait(600) == 0, (
        folder.parent / "output"
    ).read_text()
    return folder


def _killed_after_a_checkpoint(config: Path, folder: Path, *, resume: bool, rest: float) -> None:
    """Kills a run so many seconds after it has saved its first checkpoint."""
    before = last_checkpoint(folder / "checkpoints")
    process = _start(config, folder, resume=resume)
    deadline = time.monotonic() + 300
    while last_checkpoint(folder / "checkpoints") == before and time.monotonic() < deadline:
        assert process.poll() is None, (folder.parent / "output").read_text()
        time.sleep(0.02)
    time.sleep(rest)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_run_ends_with_the_bits_of_the_undisturbed_one(config: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = _finished(config, tmp_path / "whole" / "run")
    killed = tmp_path / "killed" / "run"
    moments = random.Random(0)
    for number in range(KILLS):
        # An epoch takes some 0.5 s: anywhere in one, also while it is being saved.
        _killed_after_a_checkpoint(config, killed, resume=number > 0, rest=moments.uniform(0, 1.0))
    _finished(config, killed, resume=True)

    starts = (killed / "run.json").read_text().count('"time"')
    assert starts == KILLS + 1
    names = ("last.weights.h5", "average.weights.h5", "best.weights.h5")
    same_weights.assert_same_weights(killed, whole, names)
    _assert_same_checkpoint(killed, whole)


def _assert_same_checkpoint(folder: Path, other: Path) -> None:
    """Compares weights, optimizer, averages, carried state and random generator."""
    path, wanted = (str(last_checkpoint(run / "checkpoints")) for run in (folder, other))
    names = [name for name, _ in tf.train.list_variables(wanted)]
    assert any(name.startswith("carried/") for name in names)
    assert any(name.startswith("coins/") for name in names)
    for name in names:
        if "CHECKPOINTABLE_OBJECT_GRAPH" in name or name.startswith("save_counter"):
            continue
        ours, theirs = tf.train.load_variable(path, name), tf.train.load_variable(wanted, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
