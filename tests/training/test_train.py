"""Whole runs of a tiny real model: started, interrupted, resumed, with the same bits at the end."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.framework import config as tensorflow_config

import lstd
from lstd.checkpoints.tf1_names import variables_by_tf1_name
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.train_config import (
    EarlyStoppingConfig,
    FineTuneConfig,
    QuantizationConfig,
    TrainConfig,
)
from lstd.fit.divergence import DivergedError
from lstd.models.lstm_ssd import LSTMSSD
from lstd.tf1.load_config import load_config
from lstd.training import weights_file
from lstd.training.history import read_history
from lstd.training.resume import last_checkpoint
from lstd.training.run_folder import RunFolder
from lstd.training.train import train
from tests import tiny
from tests.data import records
from tests.training import doubles

STEPS = 5  # Epochs of 2, 2 and 1.
B, T = 2, 2


def _config(steps: int = 3, **changes: Any) -> Config:
    return Config(
        model=tiny.FIRST_PAPER,
        train=TrainConfig(steps=steps, steps_per_epoch=2, moving_average_decay=0.9, **changes),
        data=DataConfig(train=DatasetConfig(batch_size=B, unroll_length=T)),
    )


def _dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(tiny.batch(T, batch_size=B)).repeat()


class _CtrlC(keras.callbacks.Callback):
    """Presses it after so many steps."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after -= 1
        if not self.after:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """Random lanes, strides, resets and augmentation; one backbone, which is traced in less time.

    tests/end_to_end kills runs with two backbones.
    """
    config = _config(STEPS, deterministic=True, seed=4, min_anchor_share=0.0)
    yield dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, num_classes=30),
        data=DataConfig(records.drawn_data(tmp_path_factory.mktemp("data"), (11, 9, 8))),
    )
    tensorflow_config.disable_op_determinism()  # which these runs switch on in this process


class _Run(NamedTuple):
    model: LSTMSSD
    folder: RunFolder
    measure: doubles.Measure
    said: list[str]
    printed: str


def _run(path: Path, config: Config, said: list[str], **options: Any) -> _Run:
    measure, stream = doubles.Measure([0.1, 0.3, 0.2]), io.StringIO()
    options = {"evaluations": [measure], "command": ["lstd-train", "--config", "x.yaml"], **options}
    model = train(config, path, say=said.append, stream=stream, **options)
    return _Run(model, RunFolder(path), measure, said, stream.getvalue())


@pytest.fixture(scope="module")
def whole(config: Config, tmp_path_factory: pytest.TempPathFactory) -> _Run:
    return _run(tmp_path_factory.mktemp("whole") / "run", config, [])


@pytest.fixture(scope="module")
def resumed(config: Config, tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """The same run, stopped in the midst of its second epoch, and taken up again."""
    path, said = tmp_path_factory.mktemp("resumed") / "run", []
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background
    with pytest.raises(KeyboardInterrupt):
        _run(path, config, said, callbacks=[_CtrlC(after=3)])
    signal.signal(signal.SIGINT, usual)
    return _run(path, config, said, resume=True)


def test_run_folder_and_history_hold_everything(whole: _Run, config: Config) -> None:
    weights = {f"{name}.weights.h5" for name in ("best", "last", "average")}
    assert {path.name for path in whole.folder.path.iterdir()} == weights | {
        *("config.yaml", "run.json", "history.csv", "checkpoints", "tensorboard"),
    }
    assert load_config(whole.folder.config) == config
    kept = {path.stem for path in whole.folder.checkpoints.glob("*.index")}
    assert kept == {"step-4", "step-5"}
    start = json.loads(whole.folder.record.read_text())["starts"][0]
    assert start["command"] == ["lstd-train", "--config", "x.yaml"]
    rows = read_history(whole.folder.history)
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "2"), ("1", "4"), ("2", "5")]
    assert int(whole.model.optimizer.iterations) == STEPS
    assert whole.printed.splitlines()[-1].startswith("epoch 3, 5/5 steps, ")
    (summary,) = [text for text in whole.said if text.startswith("model: ")]
    assert f"{whole.model.count_params():,} parameters, 30 classes\n" in summary
    assert summary.endswith(f"\nsteps 1 to 5 on 1 CPU; results go to {whole.folder.path}")
    for row in rows:
        parts = [float(row[name]) for name in ("localization", "classification", "regularization")]
        assert sum(parts) == pytest.approx(float(row["loss"]), rel=1e-5)
        assert min(parts[1:]) > 0


def test_saved_weights_are_the_last_the_best_and_averages_of_all(whole: _Run) -> None:
    best = json.loads(whole.folder.record.read_text())["best"]
    assert (best["epoch"], best["step"], best["value"]) == (1, 4, 0.3)
    loaded = {name: lstd.load_model(whole.folder.path, name) for name in ("last", "best")}
    _assert_same(loaded["last"].weights, whole.model.weights)
    _assert_same(loaded["best"].weights, whole.measure.seen[1])
    average = lstd.load_model(whole.folder.path, "average")
    moved = {
        variable.name
        for variable, other in zip(average.weights, whole.model.weights, strict=True)
        if not np.array_equal(variable, other)
    }
    assert any("moving_mean" in name for name in moved)
    assert any("kernel" in name for name in moved)


def _assert_same(ours: Sequence[Any], wanted: Sequence[Any]) -> None:
    for number, (our, want) in enumerate(zip(ours, wanted, strict=True)):
        np.testing.assert_array_equal(our, want, err_msg=getattr(our, "name", str(number)))


def test_evaluation_sees_a_model_that_carries_no_state(whole: _Run) -> None:
    # A stateful model takes batches of one size only; evaluation has another.
    assert whole.measure.model.carried_batch_size is None
    assert whole.model.carried_batch_size == B


def test_ctrl_c_keeps_all_steps_and_says_so(resumed: _Run) -> None:
    checkpoint = resumed.folder.checkpoints / "step-3"
    assert (
        f"stopped after step 3; the last checkpoint is {checkpoint}; --resume (resume=True) goes "
        "on from there"
    ) in resumed.said
    assert f"going on after step 3, from {checkpoint}" in resumed.said
    starts = json.loads(resumed.folder.record.read_text())["starts"]
    assert [start["step"] for start in starts] == [0, 3]


def test_resumed_run_has_every_bit_and_row_of_the_one_without_interruption(
    whole: _Run, resumed: _Run
) -> None:
    carried = [run.model.training_state["carried"].variables for run in (resumed, whole)]
    assert np.abs(whole.model.training_state["carried"].c).max() > 0
    _assert_same(*carried)
    _assert_same(resumed.model.weights, whole.model.weights)
    _assert_same(resumed.model.optimizer.variables, whole.model.optimizer.variables)
    _assert_same(*(lstd.load_model(run.folder.path, "average").weights for run in (resumed, whole)))
    ours, wanted = (read_history(run.folder.history) for run in (resumed, whole))
    for row in (*ours, *wanted):
        del row["seconds"]
    assert ours == wanted
    assert resumed.folder.read_record()["best"] == whole.folder.read_record()["best"]


@pytest.mark.slow  # It is traced once more.
def test_fit_by_hand_has_the_weights_of_the_run(config: Config, whole: _Run) -> None:
    keras.utils.set_random_seed(config.train.seed)
    model = lstd.build_model(config.model, stateful=True, batch_size=config.data.train.batch_size)
    model.compile(
        optimizer=lstd.build_optimizer(config.train),
        loss=lstd.DetectionLoss.from_config(config.model),
    )
    dataset = lstd.make_dataset(config.data, "train", seed=config.train.seed)

    model.fit(dataset, steps_per_epoch=STEPS, verbose=0)

    _assert_same(model.weights, whole.model.weights)


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


def test_misspelt_run_to_start_from_is_told_before_data_is_read(tmp_path: Path) -> None:
    config = _config(fine_tune=FineTuneConfig(run="freedoom_x"))

    with pytest.raises(ValueError, match="no run folder or weights file freedoom_x; did you mean"):
        train(config, tmp_path / "run", dataset=None)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_started_or_resumed_is_told_and_leaves_nothing(
    whole: _Run, config: Config, tmp_path: Path
) -> None:
    run, new = whole.folder.path, tmp_path / "new"
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, min_depth=16))
    stopping = EarlyStoppingConfig(metric="val_coco/app")
    unknown = dataclasses.replace(
        config, train=dataclasses.replace(config.train, early_stopping=stopping)
    )
    tuned = _config(fine_tune=FineTuneConfig(checkpoints=(str(tmp_path / "none.ckpt"),)))
    int8 = dataclasses.replace(config, model=dataclasses.replace(tiny.CONFIG, int8=True))
    measures = {"evaluations": [doubles.Measure([])]}
    for path, given, options, told in (
        (run, _config(), {}, "already holds a run; use --resume"),
        (tmp_path / "run[1]", _config(), {}, r"run\[1\]: .* not find its checkpoints"),
        (tmp_path / "run[1]", _config(), {"resume": True}, r"run\[1\]: .* not find its check"),
        (run, other, {"resume": True}, r"model\.min_depth was 8, is 16"),
        (new, _config(), {"resume": True}, r"nothing to resume: there is no config\.yaml"),
        (new, tuned, {}, r"none\.ckpt"),
        (new, int8, {}, "in 8 bits, a run needs --set train.quantization={}, in float32 --set "),
        (new, unknown, {}, "where train.evaluate is set, what is evaluated"),
        (run, unknown, {"resume": True, **measures}, "there is no 'val_coco/app' in an e"),
    ):
        with pytest.raises(ValueError, match=told):
            train(given, path, dataset=_dataset(), say=lambda _: None, **options)
    assert list(tmp_path.iterdir()) == []


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
    assert last_checkpoint(folder.checkpoints) == str(folder.checkpoints / "step-2")


def test_run_starts_from_a_run_and_a_checkpoint_and_own_callbacks_see_no_broken_weights(
    tmp_path: Path,
) -> None:
    donor = tiny.model(tiny.FIRST_PAPER, seed=5)
    backbone = {
        name: variable.numpy()
        for name, variable in variables_by_tf1_name(donor).items()
        if name.startswith("FeatureExtractor/MobilenetV1/")
    }
    np.savez(tmp_path / "donor.npz", **backbone)
    old = tmp_path / "old.weights.h5"
    other = tiny.model(tiny.FIRST_PAPER, num_classes=3, seed=6)
    weights_file.save(other, old)
    checkpoints = (str(tmp_path / "donor.npz"),)
    config = _config(fine_tune=FineTuneConfig(run=str(old), checkpoints=checkpoints))
    first: dict[str, np.ndarray] = {}
    said: list[str] = []

    class Break(keras.callbacks.Callback):
        """Has steps that do nothing, of which one breaks a weight."""

        def on_train_begin(self, logs: Any = None) -> None:
            first.update({n: v.numpy() for n, v in variables_by_tf1_name(self.model).items()})
            self.model.train_function = lambda iterator: {"loss": tf.constant(1.0)}

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            weight = self.model.weights[0]
            weight.assign(tf.fill(weight.shape, np.nan))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pytest.fail("a ModelCheckpoint would save broken weights")

    run = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"not finite in .*; no checkpoint had been written"):
        train(config, run, dataset=_dataset(), callbacks=[Break()], say=said.append)

    rest = variables_by_tf1_name(other).keys() - backbone.keys()
    of_run = {name for name in rest if "/ClassPredictor/" not in name}
    assert len(rest - of_run) == 10
    for name, filled in first.items():
        if name in backbone:
            np.testing.assert_array_equal(filled, backbone[name], err_msg=name)
        elif name in of_run:
            wanted = variables_by_tf1_name(other)[name].numpy()
            np.testing.assert_array_equal(filled, wanted, err_msg=name)
    assert f"{len(first) - 10} variables restored, 10 (such as layers/box_" in said[0]
    assert said[1] == "the class heads start anew, since the classes are others"
    assert f"{len(backbone)} variables restored, {len(rest)} (such as " in said[2]
    assert not list(run.glob("*.h5"))


def test_small_network_of_another_width_starts_anew_and_that_is_told(tmp_path: Path) -> None:
    old = tmp_path / "old.weights.h5"
    weights_file.save(tiny.model(seed=5), old)
    narrow = dataclasses.replace(tiny.CONFIG, depth_multipliers=(0.5, 0.2))
    config = dataclasses.replace(_config(fine_tune=FineTuneConfig(run=str(old))), model=narrow)
    said: list[str] = []
    with pytest.raises(ValueError, match="the training dataset gave no batch; expected batches of"):
        train(config, tmp_path / "run", dataset=_dataset().take(0), say=said.append)
    assert "(such as small" in said[0]
    assert said[1] == "the small network starts anew, since that run has none of its width"


@pytest.mark.slow  # The model in 8 bits takes a minute to build.
def test_of_a_float_run_only_the_ranges_of_8_bits_start_anew(tmp_path: Path) -> None:
    old = tmp_path / "old.weights.h5"
    weights_file.save(tiny.model(seed=5), old)
    config = _config(fine_tune=FineTuneConfig(run=str(old)))
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(tiny.CONFIG, int8=True),
        train=dataclasses.replace(config.train, quantization=QuantizationConfig()),
    )
    said: list[str] = []
    with pytest.raises(ValueError, match="the training dataset gave no batch; expected batches of"):
        train(config, tmp_path / "int8", dataset=_dataset().take(0), say=said.append)
    assert "keep their initial values" in said[0]  # the ranges
    assert not any("anew" in line for line in said)
