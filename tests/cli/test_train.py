"""`lstd-train` on a tiny model and records made here."""

import dataclasses
import json
import re
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lstd
from lstd.base.types import GroundTruth
from lstd.cli import app
from lstd.cli import data as data_command
from lstd.cli import train as train_command
from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.model_config import AnchorConfig
from lstd.config.train_config import TrainConfig
from lstd.tf1.load_config import load_config
from lstd.training.history import read_history
from tests import tiny
from tests.data import records


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config file whose records are two videos, 8 frames that are not square."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    truth = GroundTruth(np.array([[0.1, 0.2, 0.6, 0.5]], np.float32), np.array([1], np.int32))
    videos = (records.noise_of("a", 5, truth, rng), records.noise_of("b", 3, truth, rng))
    path = records.write(folder / "videos.tfrecord", *videos, labels=("cat", "dog"))
    data = DatasetConfig(input_path=(path,), batch_size=2, unroll_length=2)
    config = Config(
        model=dataclasses.replace(tiny.FIRST_PAPER, anchors=AnchorConfig(auto=True)),
        train=TrainConfig(steps=2, steps_per_epoch=2, min_anchor_share=0.0),
        # The trained model carries the state of two clips; evaluation has one.
        data=DataConfig(train=data, evaluation=dataclasses.replace(data, batch_size=1)),
    )
    config_io.save_config(config, folder / "config.yaml")
    return folder / "config.yaml"


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "one"
    arguments = ["--config", str(config), "--output_directory", str(folder)]
    assert train_command.main(arguments) == 0
    return folder


def test_run_is_trained_and_evaluated(run: Path, config: Path) -> None:
    (row,) = read_history(run / "history.csv")
    assert row["step"] == "2"
    assert -1 <= float(row["val_coco/ap"]) <= 1
    record = json.loads((run / "run.json").read_text())
    assert record["starts"][0]["command"][:3] == ["lstd-train", "--config", str(config)]
    assert record["best"]["name"] == "val_coco/ap"
    assert lstd.load_model(run).num_classes == 2


def test_suggestion_is_taken_by_a_dry_run_and_both_leave_nothing(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    arguments = ["--config", str(config), "--output_directory", str(tmp_path / "a" / "run")]

    assert train_command.main([*arguments, "--suggest"]) == 0
    measured, data, *cures, settings = capsys.readouterr().out.splitlines()
    assert re.match(r"measured on this CPU: \S+ s and \S+ GB for a clip of 2 frames; ", measured)
    assert data.startswith("8 frames make 5 clips: 1000 steps of 2 see the data 500 times in about")
    assert settings.startswith(
        "--set data.train.batch_size=2 --set train.accumulate_steps=1 --set train.steps=1000 "
    )
    assert all(cure.rpartition("--set ")[2] in settings for cure in cures)
    assert len(cures) == 3

    assert train_command.main([*arguments, "--dry_run", *shlex.split(settings)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith(
        "dry run: 2 steps, 1 evaluation(s), checkpoint, weights written and read back ("
    )
    assert " 2/2 steps" in printed.err
    assert list(tmp_path.iterdir()) == [temporary]
    # What AutoGraph writes, if no test before has made it do so, stays until the process ends.
    assert [path for path in temporary.iterdir() if not path.match("__autograph_*")] == []


def test_anchors_found_in_the_data_stay_those_of_the_run(
    run: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = load_config(run / "config.yaml").model.anchors
    assert (anchors.auto, len(anchors.scales)) == (False, 5)
    assert load_config(config).model.anchors.auto

    arguments = ["--config", config, "--output_directory", run, "--resume"]
    for given in (arguments, arguments[2:]):  # resuming needs no config
        assert train_command.main([*map(str, given)]) == 0
        assert "already has 2 of 2 steps; nothing to do" in capsys.readouterr().out
    assert load_config(run / "config.yaml").model.anchors == anchors
    arguments += ["--set=model.anchors.num_layers=2", "--set=model.feature_map_depths=[8]"]
    assert train_command.main([*map(str, arguments)]) == 2
    assert "cannot resume with another config" in capsys.readouterr().err


def test_what_data_and_a_folder_are_enough_for(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def config_of(*more: str) -> Config:
        flags = [f"--output_directory={tmp_path / 'run'}", *more]
        values = app.parse(train_command.FLAGS, flags, program="lstd-train")
        return train_command._config(tmp_path / "run", values)

    scene = ["--videos=1", "--frames=40", "--height=32", "--width=32", "--shapes=circle,square"]
    raw, parts = tmp_path / "raw", tmp_path / "parts"
    made = ["synthesize", *scene, "--output_format=frames", f"--output_directory={raw}"]
    assert data_command.main(made) == 0
    assert data_command.main(["split", f"--input={raw}", f"--output_directory={parts}"]) == 0
    assert "~val: frames 33 to 39 of synthetic_0_00000" in capsys.readouterr().out

    config = config_of(f"--input={parts}", "--set=train.steps=7")
    assert config.model.labels == ("circle", "square")
    assert (config.model.num_classes, config.model.anchors.auto, config.train.steps) == (2, True, 7)
    assert config.data.train.input_path == (str(parts / "train"),)
    assert config.data.evaluation.input_path == (str(parts / "val"),)
    assert config.data.train.augmentation[0].name == "horizontal_flip"
    assert config.train.evaluate
    of_a_config = config_of(f"--input={parts}", "--config=interleaved_m", "--set=train.steps=7")
    assert of_a_config.model.labels == ("circle", "square")
    told = config_of(f"--input={parts}", "--set=model.num_classes=3", "--set=model.labels=[a,b,c]")
    assert told.model.labels == ("a", "b", "c")

    config = config_of(f"--input={raw}", "--set=model.labels=[square, circle]")
    assert config.model.labels == ("square", "circle")
    assert (config.data.train.input_path, config.train.evaluate) == ((str(raw),), False)
    assert f"lstd-data split --input {raw}" in capsys.readouterr().out
    config = config_of(f"--input={raw}", f"--set=data.evaluation.input_path=[{parts / 'val'}]")
    assert config.train.evaluate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--config={config} --output_directory={run}", "{run}: already holds a run; use --re"),
        (
            "--output_directory={run} --resume --set=model.state_depth=32",
            "model.state_depth was 16, is 32",
        ),
        ("--output_directory={new} --resume", "--resume: {new} holds no run"),
        ("--output_directory={run} --resume --suggest", "leave out --resume"),
        ("--output_directory={new}", "--config or --input must be given"),
        ("--output_directory={new} --input=none", "none: there is no such file or folder"),
        ("--config={config}", "--output_directory must be given"),
        ("--config=none.yaml --output_directory={new}", "none.yaml: cannot read the config"),
        ("{usual} --set=train.stpes=3", "unknown key 'train.stpes'; did you mean 'steps'?"),
        (
            "{usual} --set=data.train.input_path=[a*]",
            "data.train.input_path: no file matches 'a*'",
        ),
        (
            "{usual} --set=data.evaluation.input_path=[a*]",
            "data.evaluation.input_path: no file matches 'a*'",
        ),
        ("{usual} --input=a,b", "data.train.input_path: no file matches 'a'"),
        ("{usual} --set=data.evaluation.input_path=[]", "--set train.evaluate=false"),
        (
            "{usual} --set=train.fine_tune.checkpoints=[{other}]",
            "Conv2d_0/weights is [3, 3, 3, 8] here and [3, 3, 3, 32] there",
        ),
        (
            "--config={config} --output_directory={config}/run",
            "--output_directory: {config} is a file, expected a folder",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    arguments: str,
    message: str,
    run: Path,
    config: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    other, new = config.parent / "other.npz", tmp_path / "new"
    name = "FeatureExtractor/MobilenetV1/Conv2d_0/weights"
    np.savez(other, **{name: np.zeros([3, 3, 3, 32], np.float32)})
    places = {"run": run, "config": config, "new": new, "other": other}
    arguments = arguments.replace("{usual}", "--config={config} --output_directory={new}")
    told = refused(train_command.main, *arguments.format(**places).split())
    assert message.format(**places) in told
    assert not list(tmp_path.iterdir())
