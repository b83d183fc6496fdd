"""Whole runs of a tiny real model: started, interrupted, resumed."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.train_config import FineTuneConfig, TrainConfig
from lstd.fit.divergence import DivergedError
from lstd.models.lstm_ssd import LSTMSSD
from lstd.tf1.load_config import load_config
from lstd.training.history import read_history
from lstd.training.run_folder import RunFolder
from lstd.training.train import train
from tests import tiny
from tests.training import doubles

B, T = 2, 2


def _config(steps: int = 3, **changes: Any) -> Config:
    """Returns a run in epochs of two steps, so that the last epoch of three steps has one."""
    return Config(
        model=tiny.FIRST_PAPER,
        train=TrainConfig(
            steps=steps, steps_per_epoch=2, moving_average_decay=0.9, carry_state=True, **changes
        ),
        data=DataConfig(train=DatasetConfig(batch_size=B, unroll_length=T)),
    )


def _dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(tiny.batch(T, batch_size=B)).repeat()


class _Run(NamedTuple):
    model: LSTMSSD
    folder: RunFolder
    measure: doubles.Measure
    said: list[str]
    printed: str


def _run(path: Path, config: Config, **options: Any) -> _Run:
    measure, said, stream = doubles.Measure([0.1, 0.3, 0.2]), [], io.StringIO()
    model = train(
        config,
        path,
        dataset=_dataset(),
        evaluations=[measure],
        command=["lstd-train", "--config", "x.yaml"],
        say=said.append,
        stream=stream,
        **options,
    )
    return _Run(model, RunFolder(path), measure, said, stream.getvalue())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """A run of five steps: epochs of 2, 2 and 1."""
    return _run(tmp_path_factory.mktemp("whole") / "run", _config(5))


@pytest.fixture(scope="module")
def resumed(whole: _Run, tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """The same run, killed before the checkpoint of its last epoch, and taken up again."""
    path = tmp_path_factory.mktemp("resumed") / "run"
    shutil.copytree(whole.folder.path, path)
    folder = RunFolder(path)
    for file in folder.checkpoints.glob("step-5*"):
        file.unlink()
    step_4 = str(folder.checkpoints / "step-4")
    tf.compat.v1.train.update_checkpoint_state(str(folder.checkpoints), step_4, [step_4])
    return _run(path, _config(5), resume=True)


@pytest.fixture(scope="module")
def last(whole: _Run) -> LSTMSSD:
    return lstd.load_model(whole.folder.path, "last")


def test_run_folder_holds_everything(whole: _Run) -> None:
    names = {path.name for path in whole.folder.path.iterdir()}

    assert names == {
        "config.yaml",
        "run.json",
        "history.csv",
        "best.weights.h5",
        "last.weights.h5",
        "average.weights.h5",
        "checkpoints",
        "tensorboard",
    }
    assert load_config(whole.folder.config) == _config(5)
    start = json.loads(whole.folder.record.read_text())["starts"][0]
    assert start["command"] == ["lstd-train", "--config", "x.yaml"]


def test_last_epoch_ends_with_the_last_step(whole: _Run) -> None:
    rows = read_history(whole.folder.history)

    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "2"), ("1", "4"), ("2", "5")]
    assert int(whole.model.optimizer.iterations) == 5
    assert whole.printed.splitlines()[-1].startswith("epoch 3: step 5/5, ")


def test_history_has_every_part_of_the_loss(whole: _Run) -> None:
    for row in read_history(whole.folder.history):
        parts = [float(row[name]) for name in ("localization", "classification", "regularization")]
        assert sum(parts) == pytest.approx(float(row["loss"]), rel=1e-5)
        assert min(parts) > 0


def test_training_lowers_the_loss(whole: _Run) -> None:
    losses = [float(row["loss"]) for row in read_history(whole.folder.history)]

    assert losses == sorted(losses, reverse=True)


def test_last_weights_are_the_trained_ones(whole: _Run, last: LSTMSSD) -> None:
    for ours, trained in zip(last.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), trained.numpy(), err_msg=trained.name)


def test_best_weights_are_those_of_the_best_evaluation(whole: _Run) -> None:
    best = json.loads(whole.folder.record.read_text())["best"]

    assert (best["epoch"], best["step"], best["value"]) == (1, 4, 0.3)
    loaded = lstd.load_model(whole.folder.path, "best")
    for ours, seen in zip(loaded.get_weights(), whole.measure.seen[1], strict=True):
        np.testing.assert_array_equal(ours, seen)


def test_evaluation_sees_a_model_that_carries_no_state(whole: _Run) -> None:
    # A stateful model takes batches of one size only; evaluation has another.
    assert whole.measure.model.carried_batch_size is None
    assert whole.model.carried_batch_size == B


def test_averages_hold_the_statistics_of_batch_norm_too(whole: _Run, last: LSTMSSD) -> None:
    average = lstd.load_model(whole.folder.path, "average")

    moved = {
        variable.name
        for variable, other in zip(average.weights, last.weights, strict=True)
        if not np.array_equal(variable.numpy(), other.numpy())
    }
    assert any("moving_mean" in name for name in moved)
    assert any("kernel" in name for name in moved)


def test_resumed_run_equals_the_one_without_interruption(whole: _Run, resumed: _Run) -> None:
    # Each batch is the same, and the state is zero before it: so everything has to be equal, but
    # for the order in which threads add up float32 numbers.
    ours = [*resumed.model.weights, *resumed.model.optimizer.variables]
    wanted = [*whole.model.weights, *whole.model.optimizer.variables]
    for variable, other in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(
            variable.numpy(), other.numpy(), rtol=1e-4, atol=1e-5, err_msg=variable.name
        )
    average, wanted_average = (
        lstd.load_model(run.folder.path, "average") for run in (resumed, whole)
    )
    for variable, other in zip(average.weights, wanted_average.weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


def test_resumed_run_goes_on_with_step_and_epoch(whole: _Run, resumed: _Run) -> None:
    assert int(resumed.model.optimizer.iterations) == 5
    assert resumed.said[0].startswith("going on after step 4, from ")
    assert resumed.printed.splitlines()[-1].startswith("epoch 3: step 5/5")
    starts = json.loads(resumed.folder.record.read_text())["starts"]
    assert [start["step"] for start in starts] == [0, 4]
    rows = [read_history(run.folder.history) for run in (resumed, whole)]
    for name in ("epoch", "step"):
        assert [row[name] for row in rows[0]] == [row[name] for row in rows[1]]


def test_finished_run_has_nothing_to_resume(resumed: _Run) -> None:
    again = _run(resumed.folder.path, _config(5), resume=True)

    assert again.said[-1].endswith("already has 5 of 5 steps; nothing to do")
    assert again.printed == ""


def test_folder_with_a_run_is_refused(whole: _Run) -> None:
    with pytest.raises(ValueError, match="already holds a run; use --resume"):
        train(_config(), whole.folder.path, dataset=_dataset())


@pytest.mark.parametrize("resume", [False, True])
def test_folder_in_which_no_checkpoint_would_be_found_is_refused(
    tmp_path: Path, *, resume: bool
) -> None:
    with pytest.raises(ValueError, match=r"run\[1\]: .* not find its checkpoints"):
        train(_config(), tmp_path / "run[1]", dataset=_dataset(), resume=resume)
    assert list(tmp_path.iterdir()) == []


def test_other_model_is_not_resumed(whole: _Run) -> None:
    config = dataclasses.replace(
        _config(9), model=dataclasses.replace(tiny.FIRST_PAPER, min_depth=16)
    )

    with pytest.raises(ValueError, match=r"model\.min_depth was 8, is 16"):
        train(config, whole.folder.path, dataset=_dataset(), resume=True)


def test_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing to resume: there is no config\.yaml"):
        train(_config(), tmp_path, dataset=_dataset(), resume=True)


def test_initial_weights_that_are_missing_stop_the_run_before_it_writes(tmp_path: Path) -> None:
    config = _config(fine_tune=FineTuneConfig(checkpoints=(str(tmp_path / "none.ckpt"),)))

    with pytest.raises((ValueError, OSError), match=r"none\.ckpt"):
        train(config, tmp_path / "run", dataset=_dataset())
    assert not (tmp_path / "run").exists()


def test_diverging_run_keeps_what_was_good(tmp_path: Path) -> None:
    clip, truth = tiny.batch(T, batch_size=B)
    broken = truth._replace(boxes=truth.boxes * np.nan)
    good = tf.data.Dataset.from_tensors((clip, truth)).repeat(2)
    dataset = good.concatenate(tf.data.Dataset.from_tensors((clip, broken)).repeat())

    with pytest.raises(DivergedError, match=r"at step 3 .*'video 0'.*checkpoints.step-2$"):
        train(_config(5), tmp_path / "run", dataset=dataset, say=lambda text: None)

    folder = RunFolder(tmp_path / "run")
    assert [row["step"] for row in read_history(folder.history)] == ["2"]
    for name in ("best", "last", "average"):
        for variable in lstd.load_model(folder.path, name).weights:
            assert np.isfinite(variable.numpy()).all(), f"{name}: {variable.name}"


def test_dataset_without_a_batch_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the training dataset gave no batch; expected batches of"):
        train(_config(), tmp_path, dataset=_dataset().take(0), say=lambda _: None)


def test_run_starts_from_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    from lstd.checkpoints.tf1_names import variables_by_tf1_name

    donor = tiny.model(tiny.FIRST_PAPER, seed=5)
    arrays = {name: v.numpy() for name, v in variables_by_tf1_name(donor).items()}
    np.savez(tmp_path / "donor.npz", **arrays)
    config = _config(fine_tune=FineTuneConfig(checkpoints=(str(tmp_path / "donor.npz"),)))
    first: list[np.ndarray] = []

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            first.extend(self.model.get_weights())
            raise KeyboardInterrupt

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", dataset=_dataset(), callbacks=[Note()], say=said.append)

    for ours, wanted in zip(first, donor.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, wanted)
    assert f"{len(arrays)} variables restored, 0 keep their initial values, 0 of" in said[0]
