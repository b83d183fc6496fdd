"""What the input looks like and which networks are in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.any_model.video_detector import VideoDetector
from lstd.export import form, interpreters
from lstd.export.form import Form
from lstd.export.saved_model import export_saved_model
from lstd.export.tflite import export_tflite
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

ZEROS = np.zeros([1, 1, 2, 4], np.float32)


def _step(path: Path) -> interpreters.Step:
    return interpreters.step_of(interpreters.make(path.read_bytes(), xnnpack=True))


def _valid(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs without the rows behind the last detection, which mean nothing."""
    count = int(outputs["num_detections"][0])
    return {
        name: value[:, :count] if name.startswith("detection") else value
        for name, value in outputs.items()
    }


def test_uint8_frames_give_the_numbers_of_float32_frames(tmp_path: Path) -> None:
    found = {}
    for dtype in ("float32", "uint8"):
        path = tmp_path / f"{dtype}.tflite"
        export_tflite(TinyModel(), path, input_type=dtype)
        facts = json.loads(path.with_suffix(".json").read_text())
        assert facts["input"]["dtype"] == dtype
        assert facts["input"]["range"] == [0, 255]
        assert facts["entry_points"]["small"]["inputs"]["image"]["dtype"] == dtype
        image = images(1).astype(dtype)
        found[dtype] = _valid(_step(path)("large", image=image, lstm_c=ZEROS, lstm_h=ZEROS))
    for name, value in found["float32"].items():
        np.testing.assert_allclose(found["uint8"][name], value, atol=1e-6, err_msg=name)


def test_a_uint8_file_takes_no_float32_frames(tmp_path: Path) -> None:
    export_tflite(TinyModel(), tmp_path / "a.tflite", input_type="uint8")
    with pytest.raises(ValueError, match="UINT8"):
        _step(tmp_path / "a.tflite")("large", image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)


def test_saved_model_takes_uint8_in_all_signatures(tmp_path: Path) -> None:
    export_saved_model(TinyModel(), tmp_path / "a", input_type="uint8", labels=("x", "y", "z"))
    loaded = tf.saved_model.load(str(tmp_path / "a"))
    for signature in loaded.signatures.values():
        specs = signature.structured_input_signature[1]
        assert (specs.get("image") or specs["frames"]).dtype == tf.uint8
    assert json.loads((tmp_path / "a" / "model.json").read_text())["labels"] == ["x", "y", "z"]


@pytest.mark.parametrize("network", ["large", "small"])
def test_one_network_alone_is_the_one_of_both(network: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    report = export_tflite(TinyModel(), path, network=network, schedule="SKIP9")
    assert report.entry_points == (network,)
    state = np.random.default_rng(0).uniform(0, 3, ZEROS.shape).astype(np.float32)
    found = _valid(_step(path)(network, image=images(1), lstm_c=state, lstm_h=state))
    expected = exports.module(max_detections=10).run(
        network, image=images(1), lstm_c=state, lstm_h=state
    )
    for name, value in _valid(expected).items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["schedule"]["default"] == "SKIP9"  # for the app that has both files
    assert facts["form"]["network"] == network


def test_one_network_alone_leaves_the_others_weights_out(tmp_path: Path) -> None:
    model = TinyModel()
    module = exports.module(model, form=Form(network="small"))
    assert len(module.model_variables) == len(model.variables) - 1
    assert all(variable is not model.inputs_of[0] for variable in module.model_variables)
    report = export_saved_model(model, tmp_path / "a", network="small")
    assert report.entry_points == ("small", "serving_default")


def test_the_check_of_the_small_network_alone_starts_from_a_state() -> None:
    """From zeros it would never see one, because nothing in the file writes it."""
    module = exports.module(form=Form(network="small"))
    assert form.checked(TinyModel(), network="small").network == "small"
    seen = []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(float(inputs["lstm_h"].max()))
        return module.run(entry_point, **inputs)

    from lstd.export import streams

    streams.compare_streams(module, step, where="the test", frames=3)
    assert len(seen) == 3
    assert min(seen) > 0.5


@pytest.mark.parametrize("signature", ["streaming", "clip"])
def test_small_of_one_backbone_is_refused(signature: str) -> None:
    with pytest.raises(ValueError, match="network: 'small' was asked for, but this model has one"):
        form.checked(TinyModel(("large",)), network="small", signature=signature)
    assert form.checked(TinyModel(("large",)), network="large").network == "large"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"config": tiny.CONFIG}, {"config": tiny.FIRST_PAPER}], ids=["two", "one"]
)
def test_a_grey_model_detects_in_rgb_frames(options: dict[str, Any], tmp_path: Path) -> None:
    model = tiny.model(options["config"], input_channels=1)
    path = tmp_path / "grey.tflite"
    export_tflite(model, path)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["input"]["shape"] == [1, 64, 64, 1]
    assert facts["input"]["color"] == "grey"
    frame = tiny.clip(1, batch=1)[0, 0]
    grey = (np.float32(frame) @ np.float32([0.2989, 0.587, 0.114]))[..., np.newaxis]
    zeros = model.initial_state(1).c.numpy()
    name = next(iter(facts["entry_points"]))
    found = _step(path)(name, image=grey[np.newaxis], lstm_c=zeros, lstm_h=zeros)
    detections = VideoDetector(path)(frame)
    assert detections.count == found["num_detections"][0]
    np.testing.assert_allclose(detections.scores, found["detection_scores"][0], atol=1e-5)
    np.testing.assert_allclose(VideoDetector(model)(frame).scores, detections.scores, atol=1e-4)
