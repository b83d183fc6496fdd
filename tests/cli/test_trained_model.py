"""Every command takes the same weights of a run or of a checkpoint, and all of them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.any_model.evaluate_model import _loaded
from lstd.checkpoints.tf1 import AVERAGE
from lstd.checkpoints.tf1_names import variables_by_tf1_name
from lstd.cli import benchmark, detect, detect_model, model_kind, trained_model
from lstd.cli import export as export_command
from lstd.config import config_io
from lstd.config.config import Config, EvaluationConfig
from lstd.config.train_config import TrainConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training import weights_file
from tests import tiny

MODEL = dataclasses.replace(tiny.FIRST_PAPER, num_classes=1)
AVERAGES = EvaluationConfig(use_moving_averages=True)


@pytest.fixture(scope="module")
def models() -> dict[str, LSTMSSD]:
    """Models of other weights, by the name of the file that will hold them."""
    names = ("best", "last", "average", "checkpoint")
    return {name: tiny.model(MODEL, seed=seed) for seed, name in enumerate(names)}


@pytest.fixture(scope="module")
def run(models: dict[str, LSTMSSD], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose config asks for the averages."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    folder.mkdir()
    train = TrainConfig(moving_average_decay=0.9)
    config = Config(model=MODEL, train=train, evaluation=AVERAGES)
    config_io.save_config(config, folder / "config.yaml")
    for name in ("best", "last", "average"):
        weights_file.save(models[name], folder / f"{name}.weights.h5")
    checkpoint = tf.train.Checkpoint(model=models["checkpoint"])
    tf.train.CheckpointManager(
        checkpoint, str(folder / "checkpoints"), 1, checkpoint_name="step"
    ).save(checkpoint_number=7)
    return folder


def _of(found: LSTMSSD, models: dict[str, LSTMSSD]) -> str:
    """Returns whose weights a model has."""
    kernel = found.trainable_weights[0].numpy()
    (name,) = (
        name
        for name, model in models.items()
        if np.array_equal(kernel, model.trainable_weights[0].numpy())
    )
    return name


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", "average"),
        ("best.weights.h5", "best"),
        ("checkpoints/step-7", "checkpoint"),
        ("checkpoints", "checkpoint"),
    ],
)
def test_detect_runs_the_weights_that_eval_measures(
    run: Path, models: dict[str, LSTMSSD], place: str, expected: str
) -> None:
    points, _ = detect_model.load(str(run / place), config="", threads=0)
    assert _of(points.model, models) == expected


def test_averages_that_a_run_does_not_keep_are_not_asked_for(
    run: Path, models: dict[str, LSTMSSD], tmp_path: Path
) -> None:
    config_io.save_config(Config(model=MODEL, evaluation=AVERAGES), tmp_path / "config.yaml")
    shutil.copy(run / "best.weights.h5", tmp_path)

    points, _ = detect_model.load(str(tmp_path), config="", threads=0)

    assert _of(points.model, models) == "best"


def test_lstd_evaluate_takes_a_checkpoint_of_ours(
    run: Path, models: dict[str, LSTMSSD], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _of(_loaded(run / "checkpoints" / "step-7"), models) == "checkpoint"
    monkeypatch.chdir(run)
    assert _of(_loaded(Path(".")), models) == "best"
    monkeypatch.chdir(run / "checkpoints")
    assert model_kind.kind_of(Path("step-7")) == "checkpoint"
    assert model_kind.config_of(Path("step-7")) == run / "config.yaml"


def test_averages_of_the_original_follow_the_config(tmp_path: Path) -> None:
    plain, averaged = tiny.model(MODEL, seed=0), tiny.model(MODEL, seed=1)
    arrays = {name: each.numpy() for name, each in variables_by_tf1_name(plain).items()}
    arrays |= {
        name + AVERAGE: each.numpy() for name, each in variables_by_tf1_name(averaged).items()
    }
    np.savez(tmp_path / "w.npz", **arrays)
    both = {"plain": plain, "averaged": averaged}
    for evaluation, expected in ((EvaluationConfig(), "plain"), (AVERAGES, "averaged")):
        config = tmp_path / f"{expected}.yaml"
        config_io.save_config(Config(model=MODEL, evaluation=evaluation), config)
        points, _ = detect_model.load(str(tmp_path / "w.npz"), config=str(config), threads=0)
        assert _of(points.model, both) == expected


def test_averages_that_a_checkpoint_does_not_hold_are_not_asked_for(tmp_path: Path) -> None:
    plain = tiny.model(MODEL)
    arrays = variables_by_tf1_name(plain).items()
    np.savez(tmp_path / "w.npz", **{name: each.numpy() for name, each in arrays})
    config_io.save_config(Config(model=MODEL, evaluation=AVERAGES), tmp_path / "config.yaml")

    model = str(tmp_path / "w.npz")
    points, _ = detect_model.load(model, config=str(tmp_path / "config.yaml"), threads=0)
    assert _of(points.model, {"plain": plain}) == "plain"
    with pytest.raises(ValueError, match=r"w\.npz: holds no moving averages, which --weights=aver"):
        trained_model.load(Path(model), Config(model=MODEL), weights="average")


def test_a_checkpoint_that_lacks_variables_is_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = variables_by_tf1_name(tiny.model(MODEL))
    lost, *kept = sorted(variables)
    np.savez(tmp_path / "part.npz", **{name: variables[name].numpy() for name in kept})
    config_io.save_config(Config(model=MODEL), tmp_path / "config.yaml")
    (tmp_path / "frames").mkdir()
    _picture(tmp_path / "frames" / "0.png")
    common = [f"--model={tmp_path / 'part.npz'}", f"--config={tmp_path / 'config.yaml'}"]
    output = f"--output_directory={tmp_path / 'out'}"
    commands = [
        (detect.main, [f"--input={tmp_path / 'frames'}", output]),
        (benchmark.main, ["--nopeak"]),
        (export_command.main, [output]),
    ]
    for main, more in commands:
        assert main([*common, *more]) == 2
        assert f"1 variables of the model are not in it, such as {lost}" in capsys.readouterr().err
    with pytest.raises(ValueError, match="variables of the model are not in it"):
        trained_model.load(tmp_path / "part.npz", Config(model=MODEL), weights="")


def _picture(path: Path) -> None:
    path.write_bytes(tf.io.encode_png(np.zeros((48, 64, 3), np.uint8)).numpy())
