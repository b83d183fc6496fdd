"""A SavedModel of ours as it is read back: what it computes, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstd.base.types import LSTMState
from lstd.export.loaded import LoadedExport, with_schedule
from lstd.export.names import RAW_OUTPUTS
from lstd.export.saved_model import export_saved_model
from tests.export.tiny_model import TinyModel, images

STATE = np.random.default_rng(1).normal(size=(1, 1, 2, 4)).astype(np.float32)
TOLERANCE = 1e-5  # Graph against eager, float32; a tenth of what the project promises.


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "model"
    export_saved_model(TinyModel(), folder, max_detections=4)
    return folder


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
    assert anchors.shape == model.anchors.shape
    assert found["detection_scores"].shape == (1, 4)
    assert loaded.image_shape == images(1).shape[1:]
    assert loaded.state_shape == STATE.shape


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
        (lambda folder: (folder / "model.json").write_text("[]"), "a JSON object, got list"),
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


def test_a_clip_keeps_its_schedule() -> None:
    default = {"default": "SKIP3"}
    facts = {"entry_points": {"large": {}, "small": {}}, "schedule": {"default": "SKIP2"}}

    assert with_schedule(facts, default)["schedule"] == default
    with pytest.raises(ValueError, match="a clip, unrolled by SKIP2; export it again"):
        with_schedule({**facts, "entry_points": {"clip": {}}}, default)
