import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.export import interpreters
from lstd.export.tflite import export_tflite
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

ZEROS = np.zeros([1, 1, 2, 4], np.float32)
STATE = {"lstm_c": ZEROS, "lstm_h": ZEROS}


@pytest.mark.parametrize(
    "options",
    [
        {"max_classes_per_detection": 3, "max_detections": 2},
        {"use_regular_nms": True, "detections_per_class": 1},
        {"postprocessing": False},
    ],
)
def test_file_and_json_are_written_and_checked_and_the_steps_told(
    options: dict[str, Any], tmp_path: Path
) -> None:
    lines: list[str] = []
    path = tmp_path / "tiny.tflite"
    report = export_tflite(TinyModel(), str(path), notify=lines.append, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.tflite"]
    assert (report.path, report.entry_points) == (path, ("large", "small"))
    content = report.path.read_bytes()
    assert report.num_bytes == len(content)
    facts = json.loads((tmp_path / "tiny.json").read_text())
    assert facts["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    for differences in report.differences.values():
        assert max(differences.values()) < 1e-5
    words = [line.split()[0] for line in lines]
    assert words == ["tracing", "checking", "CompiledModel", "writing"]


def test_rows_behind_the_last_detection_hold_what_was_there_before() -> None:
    """Why everything that reads the file has to count; should the op change, the words can."""
    model = TinyModel()
    model.boxes.assign(model.boxes * 0.0)
    model.anchors[6:] = model.anchors[:6]  # six pairs that suppress each other
    module = exports.module(model, max_detections=12)
    found = interpreters.step(exports.converted(module))("large", image=images(1), **STATE)
    expected = module.run("large", image=images(1), **STATE)
    count = int(found["num_detections"][0])
    assert count == int(expected["num_detections"][0]) <= 6
    np.testing.assert_allclose(
        found["detection_scores"][0, :count], expected["detection_scores"][0, :count], atol=1e-6
    )
    assert not expected["detection_scores"][0, count:].any()


def _valid(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs without the rows behind the last detection, which mean nothing."""
    count = int(outputs["num_detections"][0])
    return {
        name: value[:, :count] if name.startswith("detection") else value
        for name, value in outputs.items()
    }


def test_uint8_frames_give_the_numbers_of_float32_frames() -> None:
    path = exports.file(input_type="uint8")
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["input"]["dtype"], facts["input"]["range"]) == ("uint8", [0, 255])
    assert facts["entry_points"]["small"]["inputs"]["image"]["dtype"] == "uint8"
    step = interpreters.step(path.read_bytes())
    found = _valid(step("large", image=images(1).astype(np.uint8), **STATE))
    expected = interpreters.step(exports.file().read_bytes())("large", image=images(1), **STATE)
    for name, value in _valid(expected).items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
    with pytest.raises(ValueError, match="UINT8"):
        step("large", image=images(1), **STATE)


@pytest.mark.parametrize("network", ["large", "small"])
def test_one_network_alone_is_the_one_of_both(network: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    report = export_tflite(TinyModel(), path, network=network, schedule="SKIP9")
    assert report.entry_points == (network,)
    state = np.random.default_rng(0).uniform(0, 3, ZEROS.shape).astype(np.float32)
    inputs = {"image": images(1), "lstm_c": state, "lstm_h": state}
    found = _valid(interpreters.step(path.read_bytes())(network, **inputs))
    expected = exports.module(max_detections=10).run(network, **inputs)
    for name, value in _valid(expected).items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["schedule"]["default"] == "SKIP9"  # for the app that has both files
    assert facts["form"]["network"] == network
