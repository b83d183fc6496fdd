"""Checks of a file that is already there."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from lstd.base import tflite_damage, tflite_metadata
from lstd.export import check_file
from lstd.export.check_file import Expected
from tests.export import exports
from tests.export.tiny_model import TinyModel
from tests.golden import reference as golden


@pytest.fixture
def lite(tmp_path: Path) -> Path:
    """Returns a copy of a good file, without the JSON beside it."""
    path = tmp_path / "model.tflite"
    path.write_bytes(exports.file().read_bytes())
    return path


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the first run in a process of its own; tests/fuzz/test_tflite.py has it."""
    monkeypatch.setattr(tflite_damage, "_try", lambda *_, **__: None)


def _verdicts(inspection: check_file.Inspection) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in inspection.findings}


def _with_facts(path: Path, **changes: Any) -> None:
    """Writes other metadata over those inside the file; without the indentation there is room."""
    text = tflite_metadata.read(path) or ""
    old = text.encode()
    new = json.dumps({**json.loads(text), **changes}).encode().ljust(len(old))
    path.write_bytes(path.read_bytes().replace(old, new))


def test_all_checks_of_a_good_file_pass_or_say_why_not(lite: Path) -> None:
    found = check_file.inspect(lite)
    assert found.num_bytes == lite.stat().st_size
    assert _verdicts(found) == {
        "metadata": "ok",
        "facts": "ok",
        "post-processing": "ok",
        "delegate": "ok",
        "state carried": "ok",
        "CompiledModel": "ok",
        "golden frame": "ok",
        "Keras": "not possible",
    }
    assert "none beside it" in found.findings[0].detail
    start = found.entry_points.index("entry point small:")
    assert found.entry_points[start + 1 : start + 5] == (
        "  in  image  float32 [1, 32, 64, 3]",
        "  in  lstm_c  float32 [1, 1, 2, 4]",
        "  in  lstm_h  float32 [1, 1, 2, 4]",
        "  out detection_boxes  float32 [1, 10, 4]",
    )


def test_another_model_is_found_out(lite: Path) -> None:
    (keras,) = (
        f for f in check_file.inspect(lite, expected=Expected(TinyModel(seed=1))).findings[-1:]
    )
    assert keras.verdict == "FAILED"
    assert "differs from the model by" in keras.detail
    other = check_file.inspect(lite, expected=Expected(TinyModel(("large",)))).findings[-1]
    assert other.verdict == "FAILED"
    assert "entry points large, small, expected step" in other.detail


def test_a_changed_weight_fails_checksum_and_golden_frame(lite: Path) -> None:
    content = bytearray(lite.read_bytes())
    kernel = TinyModel().memory.numpy().transpose([3, 0, 1, 2]).tobytes()
    place = content.find(kernel)
    content[place : place + 400] = bytes(400)
    lite.write_bytes(content)
    verdicts = _verdicts(check_file.inspect(lite))
    assert verdicts["metadata"] == verdicts["golden frame"] == "FAILED"
    assert verdicts["delegate"] == "ok"


def test_json_beside_of_another_file_is_found_out(lite: Path) -> None:
    beside = lite.with_suffix(".json")
    beside.write_text(exports.file().with_suffix(".json").read_text())
    assert check_file.inspect(lite).findings[0].detail.startswith("inside and beside")
    facts = json.loads(beside.read_text())
    facts["file"]["sha256"] = "0" * 64
    beside.write_text(json.dumps(facts))
    finding = check_file.inspect(lite).findings[0]
    assert finding.verdict == "FAILED"
    assert "is not that of the file" in finding.detail
    beside.write_text(json.dumps({**facts, "labels": ["cat", "dog"]}))
    finding = check_file.inspect(lite).findings[0]
    assert finding.verdict == "FAILED"
    assert finding.detail.startswith("labels in ")
    beside.write_text('{"images": []}')
    assert "none beside it" in check_file.inspect(lite).findings[0].detail


def test_attributes_other_than_the_metadata_say_are_found(lite: Path) -> None:
    facts = json.loads(tflite_metadata.read(lite) or "")
    _with_facts(lite, postprocessing={**facts["postprocessing"], "nms_iou_threshold": 0.3})
    verdicts = {f.check: f for f in check_file.inspect(lite).findings}
    assert verdicts["post-processing"].verdict == "FAILED"
    assert "lacks the right nms_iou_threshold" in verdicts["post-processing"].detail


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("labels", ["cat", "dog"], "labels are 2, the file has 3 classes"),
        ("class_offset", 1, "class_offset is 1, expected 0"),
        ("input.color", "BGR", 'input.color is "BGR", expected "RGB"'),
        ("input.range", [0, 1], "input.range is [0, 1], expected [0, 255]"),
        ("state.outputs", ["lstm_h_out", "lstm_c_out"], 'expected ["lstm_c_out", "lstm_h_out"]'),
        ("entry_points.small.inputs.image.shape", [1, 64, 32, 3], "expected [1, 32, 64, 3]"),
        ("entry_points.large.outputs.lstm_c_out.position", 9, "position is 9, expected"),
        ("schedule.default", "SKIP7", 'schedule.default is "SKIP7", expected "SKIP2"'),
        ("postprocessing.nms_iou_threshold", 0.1, "is 0.1, expected 0.5"),
        ("box_scale_factors.y", 1.0, "box_scale_factors.y is 1.0, expected 10"),
        ("box_scale_factors.y", 10**400, "0, expected 10"),
        ("labels", ["dog", "cat", "owl"], 'expected ["cat", "dog", "owl"]'),
    ],
)
def test_metadata_that_are_not_true_are_found(
    path: str, value: Any, message: str, lite: Path
) -> None:
    facts = json.loads(tflite_metadata.read(lite) or "")
    place, *keys = reversed(path.split("."))
    inner = facts
    for key in reversed(keys):
        inner = inner[key]
    inner[place] = value
    _with_facts(lite, **facts)
    found = check_file.inspect(lite, expected=Expected(TinyModel())).findings
    (finding,) = (finding for finding in found if finding.check == "facts")
    assert finding.verdict == "FAILED"
    assert message in finding.detail


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("entry_points", {}),
        ("input.height", 10**9),
        ("state.shape", [1, 2, 2, 4]),
        ("input.dtype", "uint8"),
        ("form.unroll_length", 10**9),
    ],
)
def test_shapes_that_are_not_those_of_the_file_are_found(path: str, value: Any, lite: Path) -> None:
    facts = json.loads(tflite_metadata.read(lite) or "")
    section, _, key = path.partition(".")
    _with_facts(lite, **{section: {**facts[section], key: value} if key else value})
    verdicts = _verdicts(check_file.inspect(lite))
    assert verdicts["facts"] == verdicts["state carried"] == "FAILED"


@pytest.mark.parametrize("expected", [5, {"large": 5, "small": 5}, {"large": {}, "small": []}])
def test_a_golden_frame_of_something_else_fails(expected: Any, lite: Path) -> None:
    _with_facts(lite, golden_frame={"expected": expected})
    assert _verdicts(check_file.inspect(lite))["golden frame"] == "FAILED"


def test_what_was_asked_for_instead_is_expected(lite: Path) -> None:
    facts = json.loads(tflite_metadata.read(lite) or "")
    _with_facts(lite, labels=["a", "b", "c"], schedule={**facts["schedule"], "default": "SKIP7"})
    expected = Expected(TinyModel(), ("a", "b", "c"), "SKIP7")
    assert _verdicts(check_file.inspect(lite, expected=expected))["facts"] == "ok"


def test_metadata_of_another_kind_are_named(lite: Path) -> None:
    _with_facts(lite, form=None)
    with pytest.raises(ValueError, match="these are not the metadata of an export of this version"):
        check_file.inspect(lite)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"signature": "clip", "unroll_length": 2}, "2 calls"),
        ({"postprocessing": False}, "4 calls"),
        ({"quantization": "dynamic", "input_type": "uint8"}, "4 calls"),
        ({"quantization": "float16", "signature": "clip", "unroll_length": 3}, "2 calls"),
        ({"quantization": "int8", "signature": "clip", "unroll_length": 3}, "2 calls"),
        ({"network": "small", "input_type": "uint8"}, "4 calls"),
    ],
)
def test_other_forms_are_checked_too(options: dict[str, Any], calls: str) -> None:
    found = check_file.inspect(exports.file(**options), expected=Expected(TinyModel()))
    assert set(_verdicts(found).values()) == {"ok"}
    assert found.findings[4].detail.startswith(calls)


def _foreign(path: Path, *, nan: bool = False) -> Path:
    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32, name="picture")])
    def look(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        kernel = tf.ones([3, 3, 3, 4]) * (float("nan") if nan else 1.0)
        hidden = tf.nn.relu(tf.nn.conv2d(picture, kernel, 1, "SAME"))
        return {"answer": tf.nn.conv2d(hidden, tf.ones([3, 3, 4, 4]), 1, "SAME")}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [look.get_concrete_function()], tf.Module()
    )
    path.write_bytes(converter.convert())
    return path


def test_a_foreign_file_is_run(tmp_path: Path) -> None:
    path = _foreign(tmp_path / "a.tflite")
    path.with_suffix(".json").write_text('{"labels": ["a"]}')
    found = check_file.inspect(path, frames=3)
    assert _verdicts(found) == {"random frames": "ok"}
    assert any("picture" in line for line in found.entry_points)
    with pytest.raises(ValueError, match="cannot be compared with a model"):
        check_file.inspect(path, expected=Expected(TinyModel()))
    (finding,) = check_file.inspect(_foreign(tmp_path / "b.tflite", nan=True)).findings
    assert finding.verdict == "FAILED"
    assert finding.detail.endswith("is not finite")


@pytest.mark.slow
def test_a_file_without_signatures_is_run() -> None:
    path = golden.SHARED / "data" / "peers" / "ssdlite_mobilenet_v2_coco.tflite"
    if not path.exists():
        pytest.skip(f"needs {path}")
    found = check_file.inspect(path, frames=3)
    assert found.entry_points[0] == "no entry points (signatures); the graph itself:"
    assert "  in  input  float32 [1, 300, 300, 3]" in found.entry_points
    assert _verdicts(found)["random frames"] == "ok"


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_file_cut_short_is_refused(part: float, lite: Path) -> None:
    content = lite.read_bytes()
    lite.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match="damaged"):
        check_file.inspect(lite)
