"""docs/augmentation.md says what there is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lstd.config.augmentation_config import BY_NAME, CropOperation

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
