"""A SavedModel of ours, written and read back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import RAW_OUTPUTS
from lstd.base.types import LSTMState
from lstd.export.compare import ExportCheckError
from lstd.export.form import Form
from lstd.export.saved_model import LoadedExport, export_saved_model
from lstd.export.tflite import convert_saved_model
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

STATE = np.random.default_rng(1).normal(size=(1, 1, 2, 4)).astype(np.float32)
TOLERANCE = 1e-5  # Graph against eager, float32; a tenth of what the project promises.


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "deep" / "model"
    report = export_saved_model(TinyModel(), folder, max_detections=4)
    assert report.path == folder
    assert max(report.differences["SavedModel"].values()) < 1e-6
    return folder


def test_signatures_are_the_entry_points_and_one_for_clips(exported: Path) -> None:
    loaded = tf.saved_model.load(str(exported))
    assert sorted(loaded.signatures) == ["large", "serving_default", "small"]
    served = loaded.signatures["serving_default"](frames=images(6).reshape(2, 3, 32, 64, 3))
    assert served["detection_boxes"].shape == (2, 3, 4, 4)
    assert served["num_detections"].shape == (2, 3)
    facts = json.loads((exported / "model.json").read_text())
    assert facts["labels"] == ["cat", "dog", "owl"]
    assert facts["postprocessing"]["max_detections"] == 4
    assert "sha256" not in facts["file"]


@pytest.mark.parametrize("network", ["large", "small"])
def test_entry_points_give_what_the_model_gives(exported: Path, network: str) -> None:
    model, loaded = TinyModel(), LoadedExport(exported)
    inputs = {"image": images(1), "lstm_c": STATE, "lstm_h": STATE + 1}
    found = loaded.run(network, **inputs)
    raw = loaded.raw_outputs(network, **inputs)
    expected = model.step(images(1), LSTMState(STATE, STATE + 1), network)
    for outputs in (found, raw):
        np.testing.assert_allclose(outputs["lstm_c_out"], expected.state.c, atol=TOLERANCE)
        np.testing.assert_allclose(outputs["lstm_h_out"], expected.state.h, atol=TOLERANCE)
    encodings, scores, anchors = (raw[name] for name in RAW_OUTPUTS)
    np.testing.assert_allclose(encodings, expected.predictions.box_encodings, atol=TOLERANCE)
    logits = expected.predictions.class_logits.numpy()
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=TOLERANCE)
    ymin, xmin, ymax, xmax = model.anchors.T
    centers = (ymin + ymax) / 2, (xmin + xmax) / 2, ymax - ymin, xmax - xmin
    np.testing.assert_allclose(anchors, np.stack(centers, axis=1), atol=TOLERANCE)
    assert found["detection_scores"].shape == (1, 4)
    assert (loaded.image_shape, loaded.state_shape) == (images(1).shape[1:], STATE.shape)


def test_one_network_alone_leaves_the_others_weights_out_and_takes_uint8(tmp_path: Path) -> None:
    model = TinyModel()
    module = exports.module(model, form=Form(network="small"))
    assert len(module.model_variables) == len(model.variables) - 1
    assert all(variable is not model.inputs_of[0] for variable in module.model_variables)
    report = export_saved_model(
        model, tmp_path / "a", network="small", input_type="uint8", labels=("x", "y", "z")
    )
    assert report.entry_points == ("small", "serving_default")
    for signature in tf.saved_model.load(str(tmp_path / "a")).signatures.values():
        specs = signature.structured_input_signature[1]
        assert (specs.get("image") or specs["frames"]).dtype == tf.uint8
    assert json.loads((tmp_path / "a" / "model.json").read_text())["labels"] == ["x", "y", "z"]


def test_a_saved_model_that_differs_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, save = TinyModel(), tf.saved_model.save

    def spoilt(*given: Any, **more: Any) -> None:
        right = model.boxes.numpy()
        model.boxes.assign(1.1 * right)
        save(*given, **more)
        model.boxes.assign(right)

    monkeypatch.setattr(tf.saved_model, "save", spoilt)
    with pytest.raises(ExportCheckError, match="the SavedModel: detection_boxes of entry point"):
        export_saved_model(model, tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []


def _facts(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def changed(folder: Path) -> None:
        facts = json.loads((folder / "model.json").read_text())
        change(facts)
        (folder / "model.json").write_text(json.dumps(facts))

    return changed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: (folder / "saved_model.pb").unlink(), "it has no saved_model.pb"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"?"), "TensorFlow cannot load it"),
        (lambda folder: (folder / "model.json").unlink(), "not one that lstd-export wrote"),
        (lambda folder: (folder / "model.json").write_text("{"), "not valid JSON"),
        (_facts(lambda facts: facts.pop("state")), "of this version of lstd .KeyError: 'state'."),
        (
            _facts(lambda facts: facts["entry_points"].update(huge={"network": "huge"})),
            "it has no huge, raw_huge, which its model.json promises",
        ),
    ],
)
def test_what_is_no_export_of_ours_is_refused_by_name(
    exported: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = shutil.copytree(exported, tmp_path / "spoiled")
    spoil(folder)
    with pytest.raises(ValueError, match=message) as error:
        LoadedExport(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)


def test_a_clip_has_its_own_frames_and_keeps_its_schedule(tmp_path: Path) -> None:
    export_saved_model(TinyModel(), tmp_path / "clip", signature="clip", unroll_length=2)
    loaded = tf.saved_model.load(str(tmp_path / "clip"))
    assert sorted(loaded.signatures) == ["clip", "serving_default"]
    found = loaded.signatures["clip"](input_video_tensor=images(2), lstm_c=STATE, lstm_h=STATE)
    assert found["detection_boxes"].shape == (2, 10, 4)
    with pytest.raises(ValueError, match="a clip, unrolled by SKIP2; export it again"):
        convert_saved_model(tmp_path / "clip", tmp_path / "a.tflite", schedule="SKIP3")
