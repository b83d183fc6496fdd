import hashlib
import json
from typing import Any

import numpy as np
import pytest

import lstd
from lstd.export import compare, interpreters, metadata
from lstd.export.tflite import export_tflite
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

STATE = np.full([1, 1, 2, 4], 0.5, np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Any]]:
    """Returns a file and its JSON."""
    path = tmp_path_factory.mktemp("exported") / "tiny.tflite"
    model = TinyModel()
    model.min_score = 0.25
    export_tflite(model, path, labels=("a", "b", "c"), schedule="SKIP9", max_detections=3)
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text())


def test_everything_an_app_needs_is_there(exported: tuple[bytes, dict[str, Any]]) -> None:
    content, facts = exported
    whole = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert facts["file"].items() >= {"name": "tiny.tflite", **whole}.items()
    assert facts["labels"] == ["a", "b", "c"]
    assert facts["class_offset"] == 0
    assert facts["min_score"] == 0.25
    image = {"name": "image", "height": 32, "width": 64, "channels": 3, "color": "RGB"}
    assert facts["input"].items() >= {**image, "dtype": "float32"}.items()
    assert facts["input"]["range"] == [0, 255]
    assert facts["state"]["shape"] == [1, 1, 2, 4]
    assert facts["schedule"]["default"] == "SKIP9"
    assert "every 10 frames" in facts["schedule"]["rule"]
    assert facts["postprocessing"]["included"] is True
    assert facts["postprocessing"]["nms_iou_threshold"] == 0.5
    assert facts["postprocessing"]["nms_score_threshold"] == -20.0
    assert facts["postprocessing"]["max_detections"] == 3
    assert facts["box_scale_factors"] == {"y": 10.0, "x": 10.0, "height": 5.0, "width": 5.0}
    assert facts["versions"]["lstd"] == lstd.__version__
    assert {"tensorflow", "tf_keras", "python"} <= facts["versions"].keys()
    assert facts["self_check"]["tolerance"] == 1e-4


def test_entry_points_are_those_of_the_file(exported: tuple[bytes, dict[str, Any]]) -> None:
    content, facts = exported
    interpreter = interpreters.make(content, xnnpack=False)
    assert facts["entry_points"].keys() == interpreter.get_signature_list().keys()
    for name, entry_point in facts["entry_points"].items():
        assert entry_point["network"] == name
        assert entry_point["writes_state"] is (name == "large")
        runner = interpreter.get_signature_runner(name)
        for kind, details in (
            ("inputs", runner.get_input_details()),
            ("outputs", runner.get_output_details()),
        ):
            told = {key: dict(value) for key, value in entry_point[kind].items()}
            positions = sorted(value.pop("position") for value in told.values())
            assert positions == list(range(len(details)))
            assert told == {
                key: {"shape": detail["shape"].tolist(), "dtype": np.dtype(detail["dtype"]).name}
                for key, detail in details.items()
            }


def test_positions_are_those_that_a_runtime_without_signatures_counts(
    exported: tuple[bytes, dict[str, Any]],
) -> None:
    content, facts = exported
    interpreter = interpreters.make(content, xnnpack=False)  # its own lists are of the first graph
    interpreter.allocate_tensors()
    (name,) = (key for key, point in facts["entry_points"].items() if point["subgraph"] == 0)
    inputs = {"image": images(1), "lstm_c": STATE, "lstm_h": 2 * STATE}
    for key, told in facts["entry_points"][name]["inputs"].items():
        number = interpreter.get_input_details()[told["position"]]["index"]
        interpreter.set_tensor(number, inputs[key])
    interpreter.invoke()
    expected = interpreters.step(content, xnnpack=False)(name, **inputs)
    for key, told in facts["entry_points"][name]["outputs"].items():
        number = interpreter.get_output_details()[told["position"]]["index"]
        np.testing.assert_allclose(interpreter.get_tensor(number), expected[key], atol=1e-6)


def test_golden_frame_can_be_run_again(exported: tuple[bytes, dict[str, Any]]) -> None:
    """The image is made from its description alone, in plain Python."""
    content, facts = exported
    golden = facts["golden_frame"]
    values = [(n * 2654435761 % 2**32) // 2**24 for n in range(32 * 64 * 3)]
    assert golden["first_values"] == values[:8]
    image = np.float32(values).reshape(1, 32, 64, 3)
    zeros = np.zeros([1, 1, 2, 4], np.float32)
    step = interpreters.step(content)
    for name, expected in golden["expected"].items():
        found = step(name, image=image, lstm_c=zeros, lstm_h=zeros)
        count = expected["num_detections"]
        assert found["num_detections"][0] == count == len(expected["detection_scores"])
        for key in ("detection_boxes", "detection_scores", "detection_classes"):
            np.testing.assert_allclose(found[key][0, :count], expected[key], atol=1e-5)
        assert found["lstm_c_out"].mean() == pytest.approx(expected["lstm_c_out_mean"], abs=1e-6)
        assert found["lstm_h_out"].max() == pytest.approx(expected["lstm_h_out_max"], abs=1e-6)
    assert golden["tolerance"] == compare.TOLERANCE


EVERY_4 = "large on frame 0 of a video and every 4 frames after it, else small"


@pytest.mark.parametrize(
    ("schedule", "networks", "rule"),
    [
        ("LARGE", "large small", "large on every frame"),
        ("SKIP0", "large small", "large on every frame"),
        ("SMALL", "large small", "small on every frame"),
        ("RANDOM", "large small", "large or small by a fair coin on every frame"),
        ("SKIP3", "large small", EVERY_4),
        (
            "SKIP3",
            "small",
            "this file alone: small on every frame, with a state that stays zero; with the large "
            "network of the same model in a second file, and the state handed from one to the "
            f"other: {EVERY_4}",
        ),
        (
            "SKIP3",
            "large",
            "this file alone: large on every frame; with the small network of the same model in a "
            f"second file, and the state handed from one to the other: {EVERY_4}",
        ),
    ],
)
def test_schedule_is_told_in_words(schedule: str, networks: str, rule: str) -> None:
    found = metadata.schedule_facts(schedule, entry_points=tuple(networks.split()))
    assert found == {"default": schedule, "rule": rule}


def test_raw_output_is_explained() -> None:
    facts = _facts(exports.module(postprocessing=False))
    assert facts["postprocessing"]["included"] is False
    assert facts["postprocessing"]["anchors"] == "ycenter, xcenter, height, width"
    assert "raw_outputs/class_predictions_mean" in facts["golden_frame"]["expected"]["large"]


def _facts(module: Any) -> dict[str, Any]:
    facts = metadata.facts_of(module, labels=("a", "b", "c"))
    found = metadata.completed(facts, module, name="x", step=module.run, differences={})
    return json.loads(json.dumps(found))
