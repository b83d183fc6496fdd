from __future__ import annotations

import json
from pathlib import Path

import pytest

from lstd.base import tflite_metadata
from lstd.runtime import exported_file
from lstd.runtime.detector import VideoDetector
from lstd.runtime.exported_file import Metadata
from tests.runtime import fake_exports


@pytest.fixture
def lite(tmp_path: Path) -> Path:
    """Returns a file with metadata inside and none beside it."""
    path, _ = fake_exports.write(tmp_path)
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
    beside = {"format": "lstd", "labels": ["of", "another", "file"]}
    lite.with_suffix(".json").write_text(json.dumps(beside))
    assert exported_file.metadata_of(lite).labels == fake_exports.LABELS


@pytest.mark.parametrize(
    "text", ['{"labels": ["a"]}', '{"format": "coco"}', "[1]", "not JSON", "\udcff"]
)
def test_any_other_json_beside_is_not_looked_at(tmp_path: Path, text: str) -> None:
    lite, saved = fake_exports.write(tmp_path)
    assert exported_file.metadata_of(lite) == exported_file.metadata_of(saved)
    assert exported_file.metadata_of(lite).labels == fake_exports.LABELS
    lite.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    assert exported_file.metadata_of(lite) == exported_file.metadata_of(saved) == Metadata()


def test_damaged_metadata_of_ours_are_not_passed_over(tmp_path: Path) -> None:
    lite, saved = fake_exports.write(tmp_path)
    beside = lite.with_suffix(".json")
    beside.write_bytes(beside.read_bytes()[:-1])
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
