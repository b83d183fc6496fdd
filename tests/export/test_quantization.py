"""Quantised files: what is refused, what is written, and that they are the model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base import tflite_metadata
from lstd.base.types import ClipBatch, GroundTruth
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.export import conversion, fidelity, file_format, interpreters, representative
from lstd.export.compare import ExportCheckError
from lstd.export.module import ExportModule
from lstd.export.tflite import export_tflite
from lstd.models.build import build_model
from lstd.tf1.load_config import load_config
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

CLIP = images(6).astype(np.uint8)
QUANTIZED = ("float16", "dynamic", "int8")


@pytest.mark.parametrize("quantization", QUANTIZED)
@pytest.mark.parametrize("postprocessing", [True, False])
def test_quantised_file_is_written_with_how_far_it_is_from_the_model(
    quantization: str, postprocessing: bool, tmp_path: Path
) -> None:
    lines: list[str] = []
    report = export_tflite(
        TinyModel(),
        tmp_path / "tiny.tflite",
        quantization=quantization,
        representative_data=[CLIP],
        representative_frames=5,
        postprocessing=postprocessing,
        notify=lines.append,
    )
    assert report.fidelity is not None
    assert report.fidelity.num_frames == 5
    assert 0 < report.fidelity.scores < 0.02
    assert report.fidelity.boxes < 0.02
    assert report.fidelity.state < 0.1
    facts = json.loads((tmp_path / "tiny.json").read_text())
    assert facts["quantization"] == quantization
    assert facts["fidelity"]["scores"] == report.fidelity.scores
    assert facts["fidelity"]["frames_are"] == "representative data"
    assert facts["golden_frame"]["tolerance"] == fidelity.LIMITS[quantization]
    assert any("5 frames" in line for line in lines)
    accumulation = tflite_metadata.read(tmp_path / "tiny.tflite", "reduced_precision_support")
    assert accumulation == ("fp16accfp16" if quantization == "float16" else None)


def test_int8_takes_its_ranges_from_the_data(tmp_path: Path) -> None:
    """Ranges of dark frames do not fit bright ones."""
    found = {}
    for name, clip in (("bright", CLIP), ("dark", CLIP // 16)):
        report = export_tflite(
            TinyModel(),
            tmp_path / f"{name}.tflite",
            quantization="int8",
            representative_data=[clip],
        )
        step = interpreters.step(report.path.read_bytes())
        zeros = np.zeros([1, 1, 2, 4], np.float32)
        found[name] = step("large", image=images(1), lstm_c=zeros, lstm_h=zeros)["lstm_c_out"]
    assert np.abs(found["bright"] - found["dark"]).max() > 0.05


@pytest.mark.parametrize("quantization", QUANTIZED)
def test_uint8_frames_go_into_a_quantised_file(quantization: str, tmp_path: Path) -> None:
    report = export_tflite(
        TinyModel(),
        tmp_path / "a.tflite",
        quantization=quantization,
        input_type="uint8",
        representative_data=[CLIP],
    )
    assert report.fidelity is not None
    assert 0 < report.fidelity.scores < 0.02
    interpreter = interpreters.make(report.path.read_bytes(), xnnpack=True)
    details = interpreter.get_signature_runner("large").get_input_details()
    assert details["image"]["dtype"] == np.uint8
    assert details["lstm_c"]["dtype"] == np.float32
    # Raw levels: a file that took them for other numbers would be far off.
    step, zeros = interpreters.step_of(interpreter), np.zeros([1, 1, 2, 4], np.float32)
    state = {"lstm_c": zeros, "lstm_h": zeros}
    found = step("large", image=CLIP[:1], **state)
    expected = exports.module().run("large", image=images(1), **state)
    np.testing.assert_allclose(found["lstm_c_out"], expected["lstm_c_out"], atol=0.1)


def test_the_small_network_alone_is_measured_with_the_state_that_large_writes(
    tmp_path: Path,
) -> None:
    """With zeros only, int8 would have no range for the state."""
    report = export_tflite(
        TinyModel(),
        tmp_path / "a.tflite",
        quantization="int8",
        network="small",
        representative_data=[CLIP],
    )
    assert report.fidelity is not None
    assert report.fidelity.num_frames == len(CLIP)
    step = interpreters.step(report.path.read_bytes())
    module, raw = exports.module(), []
    zeros = np.zeros([1, 1, 2, 4], np.float32)
    after = module.run("large", image=images(1), lstm_c=zeros, lstm_h=zeros)
    state = {"lstm_c": after["lstm_c_out"], "lstm_h": after["lstm_h_out"]}
    for run in (step, module.run):
        raw.append(run("small", image=images(2)[1:], **state)["detection_scores"][0, :4])
    np.testing.assert_allclose(raw[0], raw[1], atol=0.03)


def test_ground_truth_and_a_metric_give_both_sides_numbers(tmp_path: Path) -> None:
    boxes = np.tile(np.array([0.1, 0.1, 0.6, 0.6], np.float32), (1, 3, 1, 1))
    data = (
        ClipBatch(CLIP[np.newaxis, :3], np.array([[1, 0, 0]], bool), np.array([[0, 1, 2]]), "v"),
        GroundTruth(boxes, np.zeros([1, 3, 1], np.int32)),
    )
    report = export_tflite(
        TinyModel(),
        tmp_path / "a.tflite",
        quantization="float16",
        representative_data=[data],
        metric=CocoMetric,
    )
    assert report.fidelity is not None
    ours, theirs = report.fidelity.metrics["coco/ap50"]
    assert 0 <= ours <= 1
    assert ours == pytest.approx(theirs, abs=0.2)
    assert "coco/ap50" in report.fidelity.sentence()


@pytest.mark.parametrize("damage", ["noise", "constant"])
def test_garbage_is_refused_and_nothing_written(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of another model, and one whose scores are all the same."""
    other = TinyModel(seed=5)
    if damage == "constant":
        other.classes.assign(other.classes * 0)
    real = conversion.content_of

    def content_of(exported: ExportModule, **arguments: Any) -> bytes:
        return real(ExportModule(other, options=exported.options), **arguments)

    monkeypatch.setattr(conversion, "content_of", content_of)
    with pytest.raises(ExportCheckError, match="the scores differ from the model's by"):
        export_tflite(TinyModel(), tmp_path / "a.tflite", quantization="float16")
    assert list(tmp_path.iterdir()) == []


def test_detections_must_be_those_of_the_files_own_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "consistent", lambda *arguments: False)
    with pytest.raises(ExportCheckError, match="what suppression makes of the file's own boxes"):
        export_tflite(TinyModel(), tmp_path / "a.tflite", quantization="float16")


def test_weights_of_depthwise_convolutions_become_float_again() -> None:
    """The file runs as before, and its other weights stay int8."""
    content, converted = _dynamic_file()
    changed = file_format.with_float_weights(content, "DEPTHWISE_CONV_2D")
    assert len(changed) > len(content)
    assert file_format.with_float_weights(changed, "DEPTHWISE_CONV_2D") == changed
    image = np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 128)).astype(np.float32)
    expected = converted(image)
    for xnnpack in (True, False):
        runner = interpreters.make(changed, xnnpack=xnnpack).get_signature_runner("step")
        # int8 weights and activations of the dense convolution: a hundredth of the largest value.
        np.testing.assert_allclose(
            runner(image=image)["output"], expected, atol=0.02 * np.abs(expected).max()
        )
    assert interpreters.outside_delegate(changed) == {"step": ()}


def _dynamic_file() -> tuple[bytes, Any]:
    rng = np.random.default_rng(0)
    depthwise = tf.constant(rng.normal(0, 0.3, (3, 3, 128, 1)), tf.float32)
    dense = tf.constant(rng.normal(0, 0.1, (1, 1, 128, 128)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 128], tf.float32, name="image")])
    def step(image: tf.Tensor) -> dict[str, tf.Tensor]:
        filtered = tf.nn.depthwise_conv2d(image, depthwise, [1, 1, 1, 1], "SAME")
        return {"output": tf.nn.conv2d(filtered, dense, 1, "SAME")}

    module = tf.Module()
    module.step = step
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"step": step})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert(), lambda image: step(tf.constant(image))["output"].numpy()


def _operators(content: bytes, name: str) -> set[str]:
    return {operator.name for operator in file_format.entry_points(content)[name].operators}


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["none", *QUANTIZED])
@pytest.mark.parametrize("size", [64, 320])
def test_every_operator_but_post_processing_is_in_the_delegate(
    size: int, quantization: str
) -> None:
    """Of the real network in small and of the full-size one, in the form that is the default."""
    model = tiny.model() if size == 64 else _full_size()
    assert model.input_shape_hwc == (size, size, 3)
    frames = representative.read(tiny.clip(2, batch=1, size=size), limit=9)
    module = exports.module(model, max_detections=10)
    content = conversion.content_of(module, quantization=quantization, frames=frames)
    assert interpreters.outside_delegate(content) == {"large": (), "small": ()}


def _full_size() -> Any:
    path = Path(__file__).parents[2] / "configs" / "interleaved_mobilenet_v2_imagenet_vid.yaml"
    return build_model(load_config(path).model)


@pytest.mark.slow
def test_forms_of_the_cell_are_the_model_and_differ_in_their_operators(tmp_path: Path) -> None:
    model = tiny.model()
    numbers = {}
    for cell in ("fused", "separate"):
        report = export_tflite(model, tmp_path / f"{cell}.tflite", cell=cell)  # it checks itself
        points = file_format.entry_points(report.path.read_bytes())
        numbers[cell] = len(points["large"].operators)
        assert json.loads((tmp_path / f"{cell}.json").read_text())["cell"] == cell
    assert numbers["fused"] < numbers["separate"] - 20
