import json
import shutil
from pathlib import Path

import pytest

from lstd.base import tflite_metadata
from lstd.runtime import exported_file
from lstd.runtime.detector import VideoDetector
from lstd.runtime.exported_file import Metadata
from tests.runtime import fake_exports

OURS = Metadata(fake_exports.LABELS, "SKIP1", 1)


@pytest.fixture
def beside(exported: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Returns a `.tflite` and a SavedModel with their metadata beside them, to be changed."""
    folder = shutil.copytree(exported[0].parent, tmp_path / "copy")
    return folder / exported[0].name, folder / exported[1].name


def test_metadata_inside_are_enough_and_count_before_those_beside(
    beside: tuple[Path, Path],
) -> None:
    lite, json_beside = beside[0], beside[0].with_suffix(".json")
    text = json.dumps(fake_exports.METADATA)
    lite.write_bytes(tflite_metadata.embed(lite.read_bytes(), text))
    json_beside.write_text(json.dumps({"format": "lstd", "labels": ["of", "another", "file"]}))
    assert exported_file.metadata_of(lite) == OURS
    json_beside.unlink()
    detector = VideoDetector(lite)
    assert (detector.labels, detector.schedule) == (fake_exports.LABELS, "SKIP1")
    lite.write_bytes(lite.read_bytes().replace(b'{"labels"', b'["labels"', 1))
    with pytest.raises(ValueError, match=r"model\.tflite: not valid JSON"):
        exported_file.metadata_of(lite)


@pytest.mark.parametrize(
    "text", ['{"labels": ["a"]}', '{"format": "coco"}', "[1]", "not JSON", "\udcff"]
)
def test_any_other_json_beside_is_not_looked_at(beside: tuple[Path, Path], text: str) -> None:
    for model in beside:
        assert exported_file.metadata_of(model) == OURS
    beside[0].with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    for model in beside:
        assert exported_file.metadata_of(model) == Metadata()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "lstd", "labels": ["a"]', r"\.json: not valid JSON"),
        ('{"format": "lstd", "labels": "cat"}', "labels must be a list"),
        ('{"format": "lstd", "labels": [1]}', "labels must be a list of names"),
        ('{"format": "lstd", "min_score": "0.5"}', "min_score must be a number, got '0.5'"),
        ('{"format": "lstd", "schedule": {"default": "SKIPPY"}}', "unknown schedule 'SKIPPY'"),
    ],
)
def test_damaged_metadata_of_ours_are_not_passed_over(
    beside: tuple[Path, Path], text: str, message: str
) -> None:
    beside[0].with_suffix(".json").write_text(text)
    for model in beside:
        with pytest.raises(ValueError, match=message):
            VideoDetector(model)


def test_no_file_has_no_metadata(tmp_path: Path) -> None:
    assert exported_file.metadata_of(tmp_path / "model.tflite") == Metadata()
    assert exported_file.metadata_of(tmp_path) == Metadata()
