"""What is asked of an export: what cannot be is refused, whoever asks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lstd.export import options
from lstd.export.form import Form
from lstd.export.options import ExportOptions
from lstd.export.saved_model import export_saved_model
from lstd.export.tflite import export_tflite
from tests.export.tiny_model import TinyModel, images

CLIP = images(3).astype(np.uint8)
INT8 = {"quantization": "int8", "representative_data": [CLIP]}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"signature": "frame"}, "signature must be one of streaming, clip, got 'frame'"),
        ({"input_type": "int8"}, "input_type must be one of float32, uint8, got 'int8'"),
        ({"network": "step"}, "network must be one of both, large, small, got 'step'"),
        ({"quantization": "int4"}, "quantization must be one of none, dynamic, float16, int8, got"),
        ({"cell": "round"}, "cell must be one of fused, separate, got 'round'"),
        ({"max_detections": 0}, "max_detections must be a whole number of at least 1, got 0"),
        ({"check_frames": 2}, "check_frames must be a whole number of at least 3, got 2"),
        ({**INT8, "representative_frames": True}, "representative_frames must be a whole number"),
        ({"signature": "clip", "unroll_length": 0}, "unroll_length must be a whole number of at"),
        ({"unroll_length": 4}, "unroll_length is the length of a clip, but signature 'streaming'"),
        ({"signature": "clip", "cell": "fused"}, "cell 'fused' and signature 'clip' contradict"),
        ({"schedule": "SKIP"}, "unknown schedule 'SKIP'"),
        ({"detections_per_class": 5}, "has an effect only with use_regular_nms"),
        (
            {"postprocessing": False, "use_regular_nms": True, "max_detections": 3},
            "max_detections, use_regular_nms: raw output is not suppressed",
        ),
        ({"representative_data": [CLIP]}, "belongs to a quantization, and quantization is 'none'"),
        ({"representative_frames": 3}, "counts those of representative_data, which is missing"),
        # Of a model.
        ({"quantization": "int8"}, "quantization 'int8' needs representative_data"),
        ({"state_type": "int8"}, "state_type 'int8' is for a model trained in 8 bits"),
        ({"max_detections": 13}, "max_detections must be at most 12"),
        ({"max_classes_per_detection": 4}, "max_classes_per_detection must be at most 3"),
        (
            {"use_regular_nms": True, "max_classes_per_detection": 2},
            "max_classes_per_detection must be 1, got 2",
        ),
        ({"labels": ("cat",)}, "1 names given, the model has 3 classes"),
        ({"signature": "clip", "schedule": "RANDOM"}, "'RANDOM' cannot draw anew"),
        (
            {"signature": "clip", "network": "small", "schedule": "SKIP3"},
            "schedule 'SKIP3' and network 'small' contradict each other",
        ),
        # Of data.
        ({**INT8, "representative_data": []}, "representative_data is empty"),
        ({**INT8, "representative_data": [CLIP[..., :2]]}, r"must have 1 \(grey\) or 3 \(RGB\)"),
        (
            {**INT8, "signature": "clip", "representative_data": [CLIP, CLIP[:2]]},
            "a clip has 4 frames, but no video has more than 3 of the 5",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    asked: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        export_tflite(TinyModel(), tmp_path / "tiny.tflite", **asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"quantization": "dynamic"}, "quantization 'dynamic': a model trained in 8 bits"),
        (INT8, "representative_data: a model trained in 8 bits .* has ranges of its own"),
        ({"signature": "clip"}, "signature 'clip': a model trained in 8 bits"),
        ({"cell": "separate"}, "cell 'separate': a model trained in 8 bits"),
    ],
)
def test_a_model_trained_in_8_bits_becomes_int8(asked: dict[str, Any], message: str) -> None:
    model = SimpleNamespace(config=SimpleNamespace(int8=True))
    with pytest.raises(ValueError, match=message):
        ExportOptions(**asked).for_model(model)
    found = ExportOptions().for_model(model)
    assert (found.quantization, found.state_type) == ("int8", "int8")
    assert ExportOptions(state_type="float32").for_model(model).state_type == "float32"


def test_a_saved_model_is_not_quantised_and_a_name_that_the_json_needs_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="quantization: a SavedModel is in float32"):
        export_saved_model(TinyModel(), tmp_path / "a", quantization="float16")
    with pytest.raises(ValueError, match=r"ends in \.json"):
        export_tflite(TinyModel(), tmp_path / "tiny.json")


def test_a_model_with_one_backbone_has_the_large_network_and_schedule_only() -> None:
    one = TinyModel(("large",))
    for signature in ("streaming", "clip"):
        with pytest.raises(ValueError, match="network: 'small' was asked for, but this model has"):
            ExportOptions(network="small", signature=signature).form_for(one)
    for schedule in ("SKIP3", "RANDOM", "SMALL"):
        ExportOptions(schedule=schedule).form_for(TinyModel())
        with pytest.raises(ValueError, match="needs a large and a small network"):
            ExportOptions(schedule=schedule).form_for(one)
    assert ExportOptions(network="large", schedule="LARGE").form_for(one).network == "large"


def test_what_nobody_asked_for_is_the_default() -> None:
    asked = ExportOptions()
    assert asked.form_for(TinyModel()) == Form()
    assert ExportOptions(signature="clip").form_for(TinyModel()) == Form("clip", unroll_length=4)
    assert (asked.cell_form, ExportOptions(signature="clip").cell_form) == ("fused", "separate")
    found = options.suppression_for(TinyModel(), asked)
    assert (found.max_detections, found.max_classes_per_detection) == (10, 1)
    assert (found.detections_per_class, found.use_regular_nms) == (100, False)


def test_labels_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    file, mapped = tmp_path / "labels.txt", tmp_path / "label_map"
    file.write_text("cat\nsea horse\n\n", encoding="utf-8-sig")
    mapped.write_text("item { id: 2 name: 'dog' }\nitem { id: 1 name: 'cat' }\n")
    assert options.read_labels(str(file)) == options.read_labels("cat, sea horse")
    assert options.read_labels(str(file)) == ("cat", "sea horse")
    assert options.read_labels(str(mapped)) == ("cat", "dog")
    assert options.read_labels("bicycle") == ("bicycle",)
    assert options.read_labels("") == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cat,,dog", "class 2 of 3 has an empty name"),
        ("cat,dog,cat", "cat stands in .* more than once"),
        ("no/labels.txt", "there is no file no/labels.txt"),
        ("tests/export", "is a folder, expected a file or names"),
        ("{empty}", "is empty; expected at least one class"),
        ("{binary}", "not a text file"),
    ],
)
def test_labels_that_cannot_be_are_refused(given: str, message: str, tmp_path: Path) -> None:
    files = {"empty": tmp_path / "empty.txt", "binary": tmp_path / "binary.txt"}
    files["empty"].touch()
    files["binary"].write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=message):
        options.read_labels(given.format(**files))
