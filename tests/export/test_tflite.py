from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.export import interpreters, lite_file
from lstd.export.tflite import export_tflite
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

ZEROS = np.zeros([1, 1, 2, 4], np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_classes_per_detection": 3, "max_detections": 2},
        {"use_regular_nms": True, "detections_per_class": 1},
        {"postprocessing": False},
    ],
)
def test_file_and_json_are_written_and_checked(options: dict[str, Any], tmp_path: Path) -> None:
    report = export_tflite(TinyModel(), tmp_path / "tiny.tflite", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.tflite"]
    assert report.entry_points == ("large", "small")
    content = report.path.read_bytes()
    assert report.num_bytes == len(content)
    facts = json.loads((tmp_path / "tiny.json").read_text())
    assert facts["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    for differences in report.differences.values():
        assert max(differences.values()) < 1e-5


def test_one_backbone_has_the_entry_point_step(tmp_path: Path) -> None:
    report = export_tflite(TinyModel(("large",)), str(tmp_path / "tiny.tflite"))
    assert report.entry_points == ("step",)


def test_steps_are_told(tmp_path: Path) -> None:
    lines: list[str] = []
    export_tflite(TinyModel(), tmp_path / "tiny.tflite", notify=lines.append)
    assert [line.split()[0] for line in lines] == [
        *("tracing", "converting", "checking", "CompiledModel", "writing")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"signature": "frame"}, "signature must be one of streaming, clip, got 'frame'"),
        ({"input_type": "int8"}, "input_type must be one of float32, uint8, got 'int8'"),
        ({"network": "step"}, "network must be one of both, large, small, got 'step'"),
        ({"unroll_length": 4}, "unroll_length is the length of a clip, but signature 'streaming'"),
        ({"signature": "clip", "unroll_length": 0}, "unroll_length must be a whole number of at"),
        ({"signature": "clip", "schedule": "RANDOM"}, "'RANDOM' cannot draw anew"),
        (
            {"signature": "clip", "network": "small", "schedule": "SKIP3"},
            "schedule 'SKIP3' and network 'small' contradict each other",
        ),
        ({"check_frames": 2}, "check_frames must be a whole number of at least 3, got 2"),
        ({"signature": "clip", "cell": "fused"}, "cell 'fused' and signature 'clip' contradict"),
        ({"max_detections": 0}, "max_detections must be a whole number"),
        ({"schedule": "SKIP"}, "unknown schedule 'SKIP'"),
        ({"labels": ("cat",)}, "1 names given, the model has 3 classes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        export_tflite(TinyModel(), tmp_path / "tiny.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_json_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.json"):
        export_tflite(TinyModel(), tmp_path / "tiny.json")


def test_an_op_without_its_attributes_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter drops detections_per_class, so this file would ignore what was asked."""
    monkeypatch.setattr(
        lite_file.file_format, "with_options", lambda content, name, options: content
    )
    with pytest.raises(ValueError, match="lacks the right detections_per_class"):
        export_tflite(TinyModel(), tmp_path / "tiny.tflite")
    assert list(tmp_path.iterdir()) == []


def test_rows_behind_the_last_detection_hold_what_was_there_before() -> None:
    """Why everything that reads the file has to count; should the op change, the words can."""
    model = TinyModel()
    model.boxes.assign(model.boxes * 0.0)
    model.anchors[6:] = model.anchors[:6]  # six pairs that suppress each other
    module = exports.module(model, max_detections=12)
    step = interpreters.step_of(interpreters.make(exports.converted(module), xnnpack=True))
    found = step("large", image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)
    expected = module.run("large", image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)
    count = int(found["num_detections"][0])
    assert count == int(expected["num_detections"][0]) <= 6
    np.testing.assert_allclose(
        found["detection_scores"][0, :count], expected["detection_scores"][0, :count], atol=1e-6
    )
    assert not expected["detection_scores"][0, count:].any()
