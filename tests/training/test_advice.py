"""What is said to train badly, and the settings that cure it."""

from typing import Any

import numpy as np
import pytest

import lstd
from lstd.config import config_io
from lstd.config.config import Config
from lstd.training import advice

_SMALL = np.array([[0.1, 0.1, 0.15, 0.15], [0.1, 0.1, 0.6, 0.6], [0.5, 0.5, 0.55, 0.55]])


def _config(*settings: str) -> Config:
    return config_io.override(Config(), list(settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["train.steps=1000"], ["holds 74% of", "with epsilon 1 makes", "after 200000 steps"]),
        (["train.steps=1"], ["holds 100% of", "with epsilon 1 makes", "after 200000 steps"]),
        (["train.steps=1000", "train.fine_tune.large_backbone=a.h5"], []),
        (["train.steps=1000", "train.fine_tune.run=runs/old"], []),
        (["train.steps=400000"], []),
        ([], []),  # the defaults are those of long runs
    ],
)
def test_settings_of_far_longer_runs_are_told_with_their_cure(
    settings: list[str], words: list[str]
) -> None:
    lines = list(advice.on_settings(_config(*settings)))
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))
    cures = [each.strip() for line in lines for each in line.partition("--set ")[2].split("--set ")]
    assert list(advice.on_settings(_config(*settings, *cures))) == []


def test_small_boxes_get_a_finer_map_and_then_a_larger_input() -> None:
    (line,) = advice.on_sizes(_SMALL, Config())  # sides of 16, 160 and 16 pixels of 320
    assert "less than 16 pixels" in line
    cures = ["model.fine_map=64", "model.anchors.num_layers=6"]
    assert line.endswith(" ".join(f"--set {cure}" for cure in cures))
    parts = ("data.train", "data.evaluation")
    sized = [f"{part}.{side}=320" for part in parts for side in ("height", "width")]
    larger = ["model.input_height=640", "model.input_width=640"]
    for given in ([], sized[:2], sized):  # frames of their own size stay so
        (line,) = advice.on_sizes(_SMALL, _config(*cures, *given))
        expected = [*larger, *(each.replace("320", "640") for each in given)]
        assert line.endswith("has it: " + " ".join(f"--set {each}" for each in expected))
    assert list(advice.on_sizes(_SMALL * 2, _config(*cures))) == []
    assert list(advice.on_sizes(_SMALL * 4, Config())) == []
    numbers = ["model.anchors.scales=[0.1,0.2,0.3,0.4,0.5]"]
    (line,) = advice.on_sizes(_SMALL, _config(*numbers))  # of which there is one too few then
    found = [part.strip() for part in line.partition("--set ")[2].split("--set ")]
    assert _config(*numbers, *found).model.fine_map == 64


def test_frames_smaller_than_the_models_input_are_told() -> None:
    assert list(advice.on_frames(_config("model.input_height=640"))) == []  # of their own size
    for name in lstd.list_configs():
        assert list(advice.on_frames(lstd.load_config(name))) == []
    config = lstd.load_config("interleaved_s")
    config = config_io.override(config, ["model.input_height=512", "model.input_width=256"])
    lines = list(advice.on_frames(config))
    assert "data.train gives frames of 320 x 320 (height x width)" in lines[0]
    assert "enlarges to 512 x 256" in lines[1]
    cures = [each.strip() for line in lines for each in line.partition("--set ")[2].split("--set ")]
    assert list(advice.on_frames(config_io.override(config, cures))) == []


def test_few_anchors_are_told_unless_they_were_made_for_the_data() -> None:
    (line,) = advice.on_anchors(np.array([0.2, 0.4, 0.7]), Config())
    assert line.endswith("made for them: --set model.anchors.auto=true")
    assert list(advice.on_anchors(np.array([0.2, 0.6, 0.7]), Config())) == []
    for kept in (
        "model.anchors.scales=[0.1,0.2,0.3,0.4,0.5]",
        "train.fine_tune.run=runs/old",  # whose heads are for these anchors
        "train.fine_tune.checkpoints=[old.ckpt]",
    ):
        assert list(advice.on_anchors(np.array([0.2, 0.4, 0.7]), _config(kept))) == []


def test_rare_classes_are_named() -> None:
    config = _config("model.num_classes=3", "model.labels=[ant, bee, cat]")
    (line,) = advice.on_classes(np.array([0] * 200 + [2]), config)
    assert "of the 201 boxes looked at, fewer than 1 % have the class bee (0), cat (1)" in line


@pytest.mark.parametrize(
    ("lengths", "settings", "word"),
    [
        ([1, 1], {}, "single frames"),
        ([1, None], {}, ""),
        ([9], {"data.train.unroll_length": 1}, ""),
        ([9], {"data.train.unroll_length": 1, "train.carry_state": "false"}, "an empty memory"),
    ],
)
def test_a_memory_with_nothing_to_learn_is_told(
    lengths: list[int | None], settings: dict[str, Any], word: str
) -> None:
    config = _config(*(f"{key}={value}" for key, value in settings.items()))
    assert [word in line for line in advice.on_memory(lengths, config)] == [True] * bool(word)
