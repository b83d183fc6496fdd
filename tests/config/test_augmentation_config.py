from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lstd.config import augmentation_config, config_io
from lstd.config.augmentation_config import BY_NAME
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.tf1.load_config import load_config


@pytest.mark.parametrize("name", BY_NAME)
def test_every_augmentation_is_made_by_its_name_and_survives_a_file(
    tmp_path: Path, name: str
) -> None:
    data = {"data": {"train": {"augmentation": [{"name": name}]}}}
    config = config_io.from_dict(data)
    assert config.data.train.augmentation == (BY_NAME[name](),)
    config_io.save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


def test_a_python_config_of_several_saves_and_loads(tmp_path: Path) -> None:
    steps = (
        augmentation_config.SsdRandomCrop(
            operations=(augmentation_config.CropOperation(random_coef=0.0),)
        ),
        augmentation_config.Occlusion(duration=3, fill="noise"),
    )
    config = Config(data=DataConfig(train=DatasetConfig(augmentation=steps)))
    config_io.save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


BAD = [
    ("horizontal_flip", "probability", 1.5, "probability must be in [0, 1]"),
    ("ssd_random_crop", "operations", [], "operations needs at least one"),
    ("scale_jitter", "min_scale", 2.0, "min_scale, max_scale: 0 < first <= second"),
    ("scale_jitter", "min_visible", 2.0, "min_visible must be in [0, 1]"),
    ("scale_jitter", "fill", 256.0, "fill must be in [0, 255]"),
    ("crop_and_shift", "max_size", 1.5, "min_size, max_size: 0 < first <= second <= 1"),
    ("crop_and_shift", "max_shift", -0.1, "max_shift must not be negative"),
    ("crop_and_shift", "max_zoom", 0.9, "max_zoom must be at least 1"),
    ("crop_and_shift", "min_visible", -1, "min_visible must be in [0, 1]"),
    ("brightness", "max_delta", 2.0, "max_delta must be in [0, 1]"),
    ("contrast", "min_factor", 0.0, "min_factor, max_factor: 0 < first <= second"),
    ("saturation", "max_factor", 0.1, "min_factor, max_factor: 0 < first <= second"),
    ("gamma", "max_factor", 0.1, "min_factor, max_factor: 0 < first <= second"),
    ("hue", "max_delta", -0.1, "max_delta must be in [0, 1]"),
    ("noise", "max_stddev", 0.0, "max_stddev must be in (0, 255]"),
    ("random_erasing", "max_count", 0, "max_count must be at least 1"),
    ("random_erasing", "max_area", 1.1, "min_area, max_area: 0 < first <= second <= 1"),
    ("random_erasing", "min_aspect_ratio", 5.0, "min_aspect_ratio, max_aspect_ratio"),
    ("random_erasing", "fill", "pink", "fill: input should be 'gray', 'black', 'mean' or 'noise'"),
    ("random_erasing", "min_visible", 2.0, "min_visible must be in [0, 1]"),
    ("occlusion", "object_probability", 2.0, "object_probability must be in [0, 1]"),
    ("occlusion", "min_share", 0.9, "min_share, max_share: 0 < first <= second <= 1"),
    ("occlusion", "duration", 13, "1 <= duration <= period must hold"),
    ("motion_blur", "max_length_px", 64.0, "max_length_px must be at most 63"),
    ("motion_blur", "min_length_px", 12.0, "min_length_px, max_length_px: 0 < first <= second"),
    ("frame_dropping", "rate", 2.0, "rate must be in [0, 1]"),
    ("frame_dropping", "max_consecutive", 0, "max_consecutive must be at least 1"),
]


@pytest.mark.parametrize(("name", "key", "value", "problem"), BAD)
def test_a_value_out_of_range_is_told_with_its_place(
    name: str, key: str, value: object, problem: str
) -> None:
    data = {"data": {"train": {"augmentation": [{"name": name, key: value}]}}}
    with pytest.raises(config_io.ConfigError) as error:
        config_io.from_dict(data)
    assert problem in str(error.value)
    assert "data.train.augmentation.0" in str(error.value)


def test_every_parameter_is_a_plain_value() -> None:
    for name, kind in BY_NAME.items():
        assert kind.name == name
        json.dumps(dataclasses.asdict(kind()))


def test_time_is_turned_and_dropped_at_most_once() -> None:
    twice = (augmentation_config.TimeReversal(), augmentation_config.TimeReversal())
    with pytest.raises(ValueError, match="time_reversal may stand once"):
        DatasetConfig(augmentation=twice)
