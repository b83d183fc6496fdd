from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.export import check, form
from lstd.export.saved_model import export_saved_model
from lstd.export.streams import ExportCheckError
from tests.export.tiny_model import TinyModel, images

ZEROS = tf.zeros([1, 1, 2, 4])


def test_signatures_are_the_entry_points_and_one_for_clips(tmp_path: Path) -> None:
    model = TinyModel()
    report = export_saved_model(model, tmp_path / "deep" / "model")
    assert report.path == tmp_path / "deep" / "model"
    assert max(report.differences["SavedModel"].values()) < 1e-6
    loaded = tf.saved_model.load(str(report.path))
    assert sorted(loaded.signatures) == ["large", "serving_default", "small"]
    found = loaded.signatures["large"](image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)
    assert found["detection_boxes"].shape == (1, 10, 4)
    expected = model.step(images(1), model.initial_state(1)).state
    np.testing.assert_allclose(found["lstm_h_out"], expected.h, atol=1e-5)
    served = loaded.signatures["serving_default"](frames=images(6).reshape(2, 3, 32, 64, 3))
    assert served["detection_boxes"].shape == (2, 3, 10, 4)
    assert served["num_detections"].shape == (2, 3)


def test_json_stands_in_the_folder(tmp_path: Path) -> None:
    export_saved_model(TinyModel(), tmp_path / "model", max_classes_per_detection=2)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["labels"] == ["cat", "dog", "owl"]
    assert facts["postprocessing"]["max_classes_per_detection"] == 2
    assert "sha256" not in facts["file"]


def test_a_failed_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExportCheckError("it differs")

    monkeypatch.setattr(check, "check_saved_model", fail)
    with pytest.raises(ExportCheckError, match="it differs"):
        export_saved_model(TinyModel(), tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []


def test_wrong_values_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_detections must be a whole number of at least 1"):
        export_saved_model(TinyModel(), tmp_path / "model", max_detections=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("schedule", ["SKIP3", "RANDOM", "SMALL"])
def test_one_backbone_runs_large_only(schedule: str) -> None:
    form.check_schedule(schedule, backbones=2)
    with pytest.raises(ValueError, match="one backbone runs LARGE on every frame"):
        form.check_schedule(schedule, backbones=1)
    form.check_schedule("LARGE", backbones=1)
