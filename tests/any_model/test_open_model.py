"""What a path given as a model is, and that Python and every command open the same in it."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.any_model import evaluate_model, open_model
from lstd.checkpoints.tf1 import AVERAGE
from lstd.checkpoints.tf1_names import variables_by_tf1_name
from lstd.cli import benchmark, detect
from lstd.cli import eval as eval_command
from lstd.cli import export as export_command
from lstd.config import config_io
from lstd.config.config import Config, EvaluationConfig
from lstd.config.train_config import TrainConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training import weights_file
from lstd.training.run_folder import RunFolder
from tests import tiny

FILES = (
    "run/config.yaml",
    "run/saved_model/saved_model.pb",  # exported into the run's folder
    "run/model.tflite",
    "run/best.weights.h5",
    "run/checkpoints/step-7.index",
    "run/checkpoints/step-7.data-00000-of-00001",
    "fresh/config.yaml",
    "fresh/checkpoints/checkpoint",
    "old/model.ckpt-9.index",
    "old/model.ckpt-9.meta",
    "old/weights.npz",
    "old/alone.weights.h5",
    "out/model.tflite",
    "out/saved_model/saved_model.pb",
    "other/picture.png",
)
MODEL = dataclasses.replace(tiny.FIRST_PAPER, num_classes=1)
AVERAGES = EvaluationConfig(use_moving_averages=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "path", "config"),
    [
        ("run", "run", "run", "run"),
        ("run/best.weights.h5", "weights", "run/best.weights.h5", "run"),
        ("run/none.weights.h5", "weights", "run/none.weights.h5", "run"),
        ("run/checkpoints/step-7", "checkpoint", "run/checkpoints/step-7", "run"),
        ("run/checkpoints", "checkpoint", "run/checkpoints/step-7", "run"),
        ("old/alone.weights.h5", "weights", "old/alone.weights.h5", None),
        ("old/model.ckpt-9", "original", "old/model.ckpt-9", None),
        ("old/weights.npz", "original", "old/weights.npz", None),
        ("out", "tflite", "out/model.tflite", None),
        ("out/model.tflite", "tflite", "out/model.tflite", None),
        ("out/saved_model", "saved_model", "out/saved_model", None),
    ],
)
def test_a_path_is_of_one_kind(
    folder: Path, name: str, kind: str, path: str, config: str | None
) -> None:
    expected = None if config is None else folder / config / "config.yaml"

    found = open_model.find(folder / name)

    assert (found.kind, found.path, found.config) == (kind, folder / path, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.weights.h5", "^--against: no file or folder "),
        ("old/model.ckpt-8", r"did you mean .*old/model\.ckpt-9\?$"),
        ("old/model.ckpt-9.index", r"one file of a checkpoint; give their prefix, .*ckpt-9$"),
        ("run/checkpoints/step-7.data-00000-of-00001", r"give their prefix, .*step-7$"),
        ("old/model.ckpt-9", "is a checkpoint, which needs its --config$"),
        ("old/alone.weights.h5", "is a weights file, which needs its --config$"),
        ("fresh/checkpoints", "there is no checkpoint in "),
        ("other", "is no model: a folder of one holds config.yaml"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(folder: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_model.open_model(open_model.find(folder / name, name="--against", exported=True))


def test_what_has_no_use_for_a_setting_refuses_it(folder: Path) -> None:
    for name in ("run", "out"):
        with pytest.raises(ValueError, match=r"^config says how to .* needs none.*; leave it out$"):
            open_model.open_model(folder / name, config=Config())
    with pytest.raises(ValueError, match=r"exported file .* not a run folder"):
        lstd.load_model(folder / "out")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        lstd.VideoDetector("nowhere.tflite")


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


def test_commands_and_load_model_take_these_weights(
    run: Path, models: dict[str, LSTMSSD], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run / "checkpoints")
    for place, expected, of_python in (
        (run, "average", "best"),
        (run / "best.weights.h5", "best", "best"),
        ("step-7", "checkpoint", "checkpoint"),
        (run / "checkpoints", "checkpoint", "checkpoint"),
    ):
        assert _of(open_model.open_model(place)[0], models) == expected
        assert _of(lstd.load_model(place), models) == of_python


def test_score_from_which_detections_are_shown_is_the_configs_else_that_of_the_training(
    run: Path, models: dict[str, LSTMSSD], tmp_path: Path
) -> None:
    assert lstd.load_model(run).min_score is None  # a run of before it was found
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    folder.update_record(best={"epoch": 0, "min_score": 0.25})

    model = lstd.load_model(folder.path)

    assert model.min_score == 0.25
    assert lstd.VideoDetector(model).min_score == 0.25
    assert lstd.VideoDetector(model, min_score=0.0).min_score == 0.0
    assert evaluate_model.detector_of(model).min_score == 0.25
    assert type(model).from_config(model.get_config()).min_score == 0.25
    told = dataclasses.replace(AVERAGES, min_score_threshold=0.125)
    config_io.save_config(Config(model=MODEL, evaluation=told), folder.config)
    assert lstd.load_model(folder.path).min_score == 0.125


def test_weights_alone_are_built_by_a_config(
    run: Path, models: dict[str, LSTMSSD], tmp_path: Path
) -> None:
    shutil.copy(run / "last.weights.h5", tmp_path)
    alone = tmp_path / "last.weights.h5"

    assert _of(lstd.load_model(alone, config=run / "config.yaml"), models) == "last"

    # A run that asks for averages and does not keep them has its best weights.
    shutil.copy(run / "config.yaml", tmp_path)
    shutil.copy(run / "best.weights.h5", tmp_path)
    assert _of(open_model.open_model(tmp_path)[0], models) == "best"


def test_python_detects_and_evaluates_what_the_commands_open(
    run: Path, models: dict[str, LSTMSSD], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        evaluate_model.evaluation, "evaluate", lambda model, *_: seen.append(model._model) or {}
    )

    lstd.evaluate(run, [])
    lstd.evaluate(str(run / "checkpoints"), [])
    detector = lstd.VideoDetector(run)

    assert [_of(model, models) for model in seen] == ["best", "checkpoint"]
    detections = detector(np.zeros((48, 64, 3), np.uint8))
    expected = lstd.VideoDetector(models["average"])(np.zeros((48, 64, 3), np.uint8))
    np.testing.assert_array_equal(detections.scores, expected.scores)


def test_a_detector_on_a_model_carries_the_state_and_follows_the_schedule() -> None:
    detector = lstd.VideoDetector(tiny.model(labels=("cat", "dog")), schedule="SKIP1")
    frames, order = tiny.clip(3, batch=1)[0], []
    scores = []
    for frame in (*frames, None, *frames, None, frames[2]):
        if frame is None:
            detector.reset()
            continue
        scores.append(detector(frame).scores)
        order.append(detector.last_network)

    assert order[:3] == ["large", "small", "large"]
    assert detector.labels == ("cat", "dog")
    np.testing.assert_array_equal(scores[:3], scores[3:6])
    assert np.abs(scores[6] - scores[2]).max() > 1e-4  # it remembered


def test_averages_of_the_original_follow_the_config(tmp_path: Path) -> None:
    plain, averaged = tiny.model(MODEL, seed=0), tiny.model(MODEL, seed=1)
    arrays = {name: each.numpy() for name, each in variables_by_tf1_name(plain).items()}
    np.savez(tmp_path / "plain.npz", **arrays)
    arrays |= {
        name + AVERAGE: each.numpy() for name, each in variables_by_tf1_name(averaged).items()
    }
    np.savez(tmp_path / "both.npz", **arrays)
    models = {"plain": plain, "averaged": averaged}
    wanting = Config(model=MODEL, evaluation=AVERAGES)
    for name, config, expected in (
        ("both", Config(model=MODEL), "plain"),
        ("both", wanting, "averaged"),
        ("plain", wanting, "plain"),
    ):
        model, _ = open_model.open_model(tmp_path / f"{name}.npz", config=config)
        assert _of(model, models) == expected
    with pytest.raises(ValueError, match=r"plain\.npz: holds no moving averages, which weights=av"):
        open_model.open_model(tmp_path / "plain.npz", config=wanting, weights="average")
    with pytest.raises(ValueError, match="weights=last chooses among the files of a run folder"):
        open_model.open_model(tmp_path / "plain.npz", config=wanting, weights="last")


def test_a_checkpoint_that_lacks_variables_is_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = variables_by_tf1_name(tiny.model(MODEL))
    lost, *kept = sorted(variables)
    np.savez(tmp_path / "part.npz", **{name: variables[name].numpy() for name in kept})
    config_io.save_config(Config(model=MODEL), tmp_path / "config.yaml")
    (tmp_path / "frames").mkdir()
    picture = tf.io.encode_png(np.zeros((48, 64, 3), np.uint8)).numpy()
    (tmp_path / "frames" / "0.png").write_bytes(picture)
    checkpoint, config = str(tmp_path / "part.npz"), str(tmp_path / "config.yaml")
    output = f"--output_directory={tmp_path / 'out'}"
    commands = [
        (detect.main, [f"--input={tmp_path / 'frames'}", output]),
        (benchmark.main, ["--nopeak"]),
        (export_command.main, [output]),
    ]
    for main, more in commands:
        assert main([f"--model={checkpoint}", f"--config={config}", *more]) == 2
        assert f"1 variables of the model are not in it, such as {lost}" in capsys.readouterr().err
    with pytest.raises(ValueError, match="variables of the model are not in it"):
        lstd.load_model(checkpoint, config=config)


def test_every_command_says_the_same_of_a_path(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, path = "--output_directory=out", f"{folder}/old/model.ckpt"
    for main, more in (
        (detect.main, ["--input=.", output]),
        (benchmark.main, []),
        (eval_command.main, []),
        (export_command.main, [output]),
    ):
        assert main([f"--model={path}-8", *more]) == 2
        told = f"--model: no file or folder {path}-8; did you mean {path}-9?"
        assert told in capsys.readouterr().err
