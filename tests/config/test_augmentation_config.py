import dataclasses
import re
from pathlib import Path

import pytest

from lstd.config import augmentation_config, config_io
from lstd.config.augmentation_config import BY_NAME, CropOperation
from lstd.config.data_config import DatasetConfig
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


BAD = [
    ("horizontal_flip", "probability", 1.5, "less than or equal to 1"),
    ("ssd_random_crop", "operations", [], "at least 1 item"),
    ("scale_jitter", "min_scale", 2.0, "min_scale <= max_scale must hold, got [2.0, 1.25]"),
    ("scale_jitter", "fill", 256.0, "less than or equal to 255"),
    ("crop_and_shift", "min_size", 0.95, "min_size <= max_size must hold"),
    ("crop_and_shift", "max_zoom", 0.9, "greater than or equal to 1"),
    ("brightness", "max_delta", 2.0, "less than or equal to 1"),
    ("contrast", "min_factor", 0.0, "greater than 0"),
    ("noise", "max_stddev", 0.0, "greater than 0"),
    ("random_erasing", "max_count", 0, "greater than or equal to 1"),
    ("random_erasing", "fill", "pink", "'gray', 'black', 'mean' or 'noise', got \"pink\""),
    ("occlusion", "duration", 13, "duration <= period must hold, got [13, 12]"),
    ("motion_blur", "max_length_px", 64.0, "less than or equal to 63"),
    ("frame_dropping", "max_consecutive", 0, "greater than or equal to 1"),
]


@pytest.mark.parametrize(("name", "key", "value", "problem"), BAD)
def test_a_value_out_of_range_is_told_with_its_place(
    name: str, key: str, value: object, problem: str
) -> None:
    data = {"data": {"train": {"augmentation": [{"name": name, key: value}]}}}
    with pytest.raises(config_io.ConfigError) as error:
        config_io.from_dict(data)
    assert problem in str(error.value)
    place = "data.train.augmentation.0" + ("" if " <= " in problem else f".{key}")
    assert f"{place}: " in str(error.value)


def test_time_is_turned_and_dropped_at_most_once() -> None:
    twice = (augmentation_config.TimeReversal(), augmentation_config.TimeReversal())
    with pytest.raises(ValueError, match="time_reversal may stand once"):
        DatasetConfig(augmentation=twice)


# docs/augmentation.md says what there is.

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "augmentation.md").read_text("utf-8")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_row_gives_the_defaults_of_each_augmentation(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| ([\d.]+) \|(.*?)\| .* \|$", TEXT, re.MULTILINE)
    default = BY_NAME[name]()
    assert float(row[0]) == default.probability
    expected = {
        field.name: getattr(default, field.name)
        for field in dataclasses.fields(default)
        if field.name not in ("name", "probability", "operations")
    }
    found = dict(re.findall(r"`(\w+)` ([\w.]+)", row[1]))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == value if isinstance(value, str) else float(found[key]) == value


def test_every_field_of_a_crop_operation_is_explained() -> None:
    section = TEXT[TEXT.index("### ssd_random_crop") :]
    for field in dataclasses.fields(CropOperation):
        assert f"`{field.name}`" in section
