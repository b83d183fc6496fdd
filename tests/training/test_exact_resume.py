"""An interrupted run, and `model.fit` by hand, end with the bits of an undisturbed run."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.framework import config as tensorflow_config

import lstd
from lstd.config.config import Config
from lstd.config.data_config import DataConfig
from lstd.config.train_config import TrainConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training.history import read_history
from lstd.training.run_folder import RunFolder
from lstd.training.train import train
from tests import tiny
from tests.data import records

STEPS = 5


@pytest.fixture(scope="module", autouse=True)
def _determinism() -> Iterator[None]:
    """Takes back at the end what `train.deterministic` switches on in this process."""
    yield
    tensorflow_config.disable_op_determinism()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Random lanes, strides, resets and augmentation.

    One backbone, which is traced in less time; tests/end_to_end kills runs with two.
    """
    data = records.drawn_data(tmp_path_factory.mktemp("data"), (11, 9, 8))
    return Config(
        model=dataclasses.replace(tiny.FIRST_PAPER, num_classes=30),
        train=TrainConfig(
            steps=STEPS,
            steps_per_epoch=2,
            moving_average_decay=0.9,
            deterministic=True,
            seed=4,
            evaluate=False,
            min_anchor_share=0.0,  # a single box, which no anchor fits
        ),
        data=DataConfig(train=data),
    )


class _CtrlC(keras.callbacks.Callback):
    """Presses it after so many steps."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after -= 1
        if not self.after:
            signal.raise_signal(signal.SIGINT)


class _Runs(NamedTuple):
    whole: LSTMSSD
    interrupted: LSTMSSD
    folder: Path
    said: list[str]


@pytest.fixture(scope="module")
def runs(config: Config, tmp_path_factory: pytest.TempPathFactory) -> _Runs:
    """An undisturbed run, and one stopped in the midst of its second epoch and resumed."""
    folder, said = tmp_path_factory.mktemp("runs"), []
    whole = train(config, folder / "whole", say=lambda text: None)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background
    with pytest.raises(KeyboardInterrupt):
        train(config, folder / "cut", callbacks=[_CtrlC(after=3)], say=said.append)
    signal.signal(signal.SIGINT, usual)
    resumed = train(config, folder / "cut", resume=True, say=said.append)
    return _Runs(whole, resumed, folder, said)


def test_ctrl_c_keeps_all_steps_and_says_so(runs: _Runs) -> None:
    checkpoint = runs.folder / "cut" / "checkpoints" / "step-3"
    assert (
        f"stopped after step 3; the last checkpoint is {checkpoint}; --resume (resume=True) goes "
        "on from there"
    ) in runs.said
    assert f"going on after step 3, from {checkpoint}" in runs.said


def test_interrupted_run_has_the_weights_of_the_whole_one(runs: _Runs) -> None:
    assert int(runs.interrupted.optimizer.iterations) == STEPS
    for ours, wanted in zip(runs.interrupted.weights, runs.whole.weights, strict=True):
        np.testing.assert_array_equal(ours, wanted, err_msg=wanted.name)


def test_interrupted_run_has_the_epochs_of_the_whole_one(runs: _Runs) -> None:
    folders = [RunFolder(runs.folder / name) for name in ("cut", "whole")]
    ours, wanted = (read_history(folder.history) for folder in folders)
    for row in (*ours, *wanted):
        del row["seconds"]
    assert ours == wanted
    assert folders[0].read_record()["best"] == folders[1].read_record()["best"]


def test_interrupted_run_has_the_optimizer_and_the_state_of_the_whole_one(runs: _Runs) -> None:
    whole, interrupted = runs.whole, runs.interrupted
    pairs = [*zip(interrupted.optimizer.variables, whole.optimizer.variables, strict=True)]
    ours, wanted = (model.training_state for model in (interrupted, whole))
    pairs += [*zip(ours["carried"].variables, wanted["carried"].variables, strict=True)]
    assert np.abs(wanted["carried"].c).max() > 0
    for our, want in pairs:
        np.testing.assert_array_equal(our, want, err_msg=want.name)


def test_fit_by_hand_has_the_weights_of_the_run(config: Config, runs: _Runs) -> None:
    keras.utils.set_random_seed(config.train.seed)
    model = lstd.build_model(config.model, stateful=True, batch_size=config.data.train.batch_size)
    model.compile(
        optimizer=lstd.build_optimizer(config.train),
        loss=lstd.DetectionLoss.from_config(config.model),
    )
    dataset = lstd.make_dataset(config.data, "train", seed=config.train.seed)

    model.fit(dataset, steps_per_epoch=STEPS, verbose=0)

    for ours, wanted in zip(model.weights, runs.whole.weights, strict=True):
        np.testing.assert_array_equal(ours, wanted, err_msg=wanted.name)


def test_random_schedule_goes_on_where_it_was(tmp_path: Path) -> None:
    model, again = tiny.model(seed=1), tiny.model(seed=2)
    clip, _ = tiny.batch(32)

    def drawn(model: LSTMSSD) -> np.ndarray:
        return np.asarray(model._choose(clip.frames, clip, None, 0, None, True).networks)

    drawn(model)
    path = tf.train.Checkpoint(**model.training_state).save(str(tmp_path / "one"))
    wanted = drawn(model)
    assert (drawn(again) != wanted).any()

    tf.train.Checkpoint(**again.training_state).restore(path).assert_consumed()

    np.testing.assert_array_equal(drawn(again), wanted)
    assert (drawn(again) != wanted).any()
