"""What a value of `--model` is, and what every command says where it cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstd.cli import model_kind

FILES = (
    "run/config.yaml",
    "run/saved_model/saved_model.pb",  # exported into the run's folder
    "run/model.tflite",
    "run/checkpoints/ckpt-7.index",
    "run/checkpoints/ckpt-7.data-00000-of-00001",
    "old/checkpoint",
    "old/model.ckpt-9.index",
    "old/model.ckpt-9.meta",
    "old/weights.npz",
    "out/model.tflite",
    "out/saved_model/saved_model.pb",
    "other/picture.png",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run", "run"),
        ("run/best.weights.h5", "weights"),
        ("run/checkpoints/ckpt-7", "checkpoint"),
        ("run/checkpoints", "checkpoints"),
        ("run/checkpoints/ckpt-7.index", "part"),
        ("run/checkpoints/ckpt-7.data-00000-of-00001", "part"),
        ("run/checkpoints/ckpt-8", "absent"),
        ("old", "checkpoints"),
        ("old/model.ckpt-9", "original"),
        ("old/model.ckpt-9.meta", "part"),
        ("old/weights.npz", "original"),
        ("out", "export"),
        ("out/model.tflite", "tflite"),
        ("out/saved_model", "saved_model"),
        ("other", "folder"),
        ("other/picture.png", "file"),
        ("none.tflite", "absent"),
        ("none.npz", "absent"),
    ],
)
def test_a_path_is_of_one_kind(folder: Path, name: str, kind: str) -> None:
    assert model_kind.kind_of(folder / name) == kind


def test_what_is_of_a_run_knows_its_folder(folder: Path) -> None:
    for name in ("run", "run/best.weights.h5", "run/checkpoints/ckpt-7"):
        assert model_kind.run_of(folder / name) == folder / "run"
        assert model_kind.config_of(folder / name) == folder / "run" / "config.yaml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "--against: no file or folder "),
        ("old/model.ckpt-8", "did you mean "),
        ("old/model.ckpt-9.index", r"one file of a checkpoint; give their prefix, .*ckpt-9$"),
        ("old/model.ckpt-9", "is a checkpoint, which needs its --config"),
        ("old/weights.npz", "is a checkpoint, which needs its --config"),
        ("run/checkpoints", "there is no checkpoint in "),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(folder: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_kind.existing(str(folder / name), flag="--against", config="")


def test_only_a_checkpoint_of_the_original_needs_a_config(folder: Path) -> None:
    for name in ("run/checkpoints/ckpt-7", "out", "other", "run/absent.weights.h5"):
        found = model_kind.existing(str(folder / name), flag="--model", config="")
        assert found == folder / name
    original = str(folder / "old" / "model.ckpt-9")
    assert model_kind.existing(original, flag="--model", config="a.config") == Path(original)
