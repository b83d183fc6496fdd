from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lstd.base import tflite_metadata
from lstd.runtime import exported_file
from lstd.runtime.detector import VideoDetector
from lstd.runtime.exported_file import Metadata
from tests.runtime import fake_exports


@pytest.fixture
def beside(exported: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Returns a `.tflite` and a SavedModel with their metadata beside them, to be changed."""
    folder = shutil.copytree(exported[0].parent, tmp_path / "copy")
    return folder / exported[0].name, folder / exported[1].name


@pytest.fixture
def lite(beside: tuple[Path, Path]) -> Path:
    """Returns a file with metadata inside and none beside it."""
    path, _ = beside
    path.with_suffix(".json").unlink()
    text = json.dumps(fake_exports.METADATA)
    path.write_bytes(tflite_metadata.embed(path.read_bytes(), text))
    return path


def test_file_alone_is_enough(lite: Path) -> None:
    assert exported_file.metadata_of(lite) == Metadata(fake_exports.LABELS, "SKIP1", 1)
    detector = VideoDetector(lite)
    assert detector.labels == fake_exports.LABELS
    assert detector.schedule == "SKIP1"


def test_metadata_inside_count_before_those_beside(lite: Path) -> None:
    facts = {"format": "lstd", "labels": ["of", "another", "file"]}
    lite.with_suffix(".json").write_text(json.dumps(facts))
    assert exported_file.metadata_of(lite).labels == fake_exports.LABELS


@pytest.mark.parametrize(
    "text", ['{"labels": ["a"]}', '{"format": "coco"}', "[1]", "not JSON", "\udcff"]
)
def test_any_other_json_beside_is_not_looked_at(beside: tuple[Path, Path], text: str) -> None:
    lite, saved = beside
    assert exported_file.metadata_of(lite) == exported_file.metadata_of(saved)
    assert exported_file.metadata_of(lite).labels == fake_exports.LABELS
    lite.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    assert exported_file.metadata_of(lite) == exported_file.metadata_of(saved) == Metadata()


def test_damaged_metadata_of_ours_are_not_passed_over(beside: tuple[Path, Path]) -> None:
    lite, saved = beside
    text = lite.with_suffix(".json")
    text.write_bytes(text.read_bytes()[:-1])
    for model in (lite, saved):
        with pytest.raises(ValueError, match=r"\.json: not valid JSON"):
            exported_file.metadata_of(model)


def test_bad_metadata_inside_are_named(lite: Path) -> None:
    other = lite.with_name("other.tflite")
    other.write_bytes(lite.read_bytes().replace(b'{"labels"', b'["labels"', 1))
    with pytest.raises(ValueError, match=r"other\.tflite: not valid JSON"):
        exported_file.metadata_of(other)


def test_no_file_has_no_metadata(tmp_path: Path) -> None:
    assert exported_file.metadata_of(tmp_path / "model.tflite") == Metadata()
    assert exported_file.metadata_of(tmp_path) == Metadata()
