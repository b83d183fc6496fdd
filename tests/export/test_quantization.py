"""Quantised files, of frames and of clips: what is written, and that they are the model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base import tflite_metadata
from lstd.base.export_names import RAW_OUTPUTS
from lstd.base.types import ClipBatch, GroundTruth
from lstd.config.model_config import ModelConfig
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.export import (
    compare,
    conversion,
    fidelity,
    file_format,
    form,
    interpreters,
    representative,
)
from lstd.export.compare import ExportCheckError
from lstd.export.form import Form
from lstd.export.module import ExportModule
from lstd.export.representative import Frame
from lstd.export.tflite import export_tflite
from lstd.models.build import build_model
from lstd.tf1.load_config import load_config
from tests import tiny
from tests.export import exports
from tests.export.exports import DATA
from tests.export.tiny_model import TinyModel, images

LENGTH = 3
# Largest difference of a score from the float model: rounding of weights to 11 bits; of weights to
# 8 bits; of weights and values to 8 bits, a few steps of 1/256.
TOLERANCES = {"float16": 1e-3, "dynamic": 0.01, "int8": 0.02}
ZEROS = dict.fromkeys(("lstm_c", "lstm_h"), np.zeros([1, 1, 2, 4], np.float32))
FORMS: dict[str, dict[str, Any]] = {
    "frame": {},
    "raw": {"postprocessing": False},
    "uint8": {"input_type": "uint8"},
    "clip": {"signature": "clip", "unroll_length": LENGTH},
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("quantization", TOLERANCES)
def test_a_quantised_file_is_near_the_float_one_over_a_stream_and_says_how_far(
    quantization: str, kind: str
) -> None:
    options = FORMS[kind]
    path = exports.file(quantization, **options)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["quantization"], facts["cell"]) == (
        quantization,
        "separate" if kind == "clip" else "fused",
    )
    found = facts["fidelity"]
    assert (found["num_frames"], found["frames_are"]) == (len(DATA), "representative data")
    assert 0 < found["scores"] < 0.02
    assert found["boxes"] < 0.02
    assert found["state"] < 0.1
    assert facts["golden_frame"]["tolerance"] == fidelity.LIMITS[quantization]
    accumulation = tflite_metadata.read(path, "reduced_precision_support")
    assert accumulation == ("fp16accfp16" if quantization == "float16" else None)

    is_clip = kind == "clip"
    module = exports.module(
        form=Form("clip", unroll_length=LENGTH) if is_clip else Form(),
        postprocessing=kind != "raw",
        schedule="SKIP2",
    )
    interpreter = interpreters.make(path.read_bytes(), xnnpack=True)
    for name in module.entry_points:  # int8 inside, float outside, but for the frames
        runner = interpreter.get_signature_runner(name)
        details = {**runner.get_input_details(), **runner.get_output_details()}
        images_in = details.pop(module.form.image_input)
        assert images_in["dtype"] == (np.uint8 if kind == "uint8" else np.float32)
        assert {detail["dtype"] for detail in details.values()} == {np.float32}
    step = interpreters.step_of(interpreter)
    scores = "raw_outputs/class_predictions" if kind == "raw" else "detection_scores"
    length, rows = module.form.unroll_length, slice(None, 4)  # of the detections the best ones
    ours = theirs = ZEROS
    for start in range(0, len(DATA), length):
        name = "clip" if is_clip else ("small" if start % 3 else "large")
        frames = DATA[start : start + length].astype(np.float32)
        given = {module.form.image_input: frames.astype(images_in["dtype"])}
        expected = module.run(name, **{module.form.image_input: frames, **ours})
        actual = step(name, **given, **theirs)
        np.testing.assert_allclose(
            actual[scores][:, rows], expected[scores][:, rows], atol=TOLERANCES[quantization]
        )
        ours, theirs = form.carried(expected), form.carried(actual)


def test_int8_takes_its_ranges_from_the_data(tmp_path: Path) -> None:
    """Ranges of dark frames do not fit bright ones; without a limit the first frames count."""
    report = export_tflite(
        TinyModel(),
        tmp_path / "dark.tflite",
        quantization="int8",
        representative_data=[DATA // 16],
        representative_frames=5,
    )
    assert report.fidelity is not None
    assert report.fidelity.num_frames == 5
    dark, bright = (
        interpreters.step(path.read_bytes())("large", image=images(1), **ZEROS)["lstm_c_out"]
        for path in (report.path, exports.file("int8"))
    )
    assert np.abs(bright - dark).max() > 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"network": "small"},
        {"network": "small", "signature": "clip", "unroll_length": LENGTH},
        {"schedule": "SMALL", "signature": "clip", "unroll_length": LENGTH},
    ],
)
def test_the_small_network_alone_is_measured_with_the_state_that_large_writes(
    options: dict[str, Any],
) -> None:
    """With zeros only, int8 would have no range for the state."""
    step = interpreters.step(exports.file("int8", **options).read_bytes())
    streaming = exports.module()
    state = form.carried(streaming.run("large", image=images(1), **ZEROS))
    assert state["lstm_c"].max() > 0.1
    clip = images(LENGTH)
    if "signature" in options:
        found = step("clip", input_video_tensor=clip, **state)["detection_scores"]
    for number in range(LENGTH):
        image = clip[number : number + 1]
        expected = streaming.run("small", image=image, **state)["detection_scores"]
        if "signature" not in options:
            found = {number: step("small", image=image, **state)["detection_scores"][0]}
        np.testing.assert_allclose(found[number][:4], expected[0], atol=0.03)


def test_ground_truth_and_a_metric_give_both_sides_numbers(tmp_path: Path) -> None:
    boxes = np.tile(np.array([0.1, 0.1, 0.6, 0.6], np.float32), (1, 3, 1, 1))
    data = (
        ClipBatch(DATA[np.newaxis, :3], np.array([[1, 0, 0]], bool), np.array([[0, 1, 2]]), "v"),
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


def test_ranges_are_measured_on_clips_with_the_state_of_the_clip_before() -> None:
    module = exports.module(form=Form("clip", unroll_length=LENGTH))
    frames = representative.whole_clips(representative.read([DATA], limit=99), LENGTH)
    state = np.zeros([1, 1, 2, 4], np.float32)
    given = representative.samples(module, frames)
    for number, (entry_point, inputs) in enumerate(given):
        assert entry_point == "clip"
        clip = DATA[number * LENGTH : (number + 1) * LENGTH]
        np.testing.assert_array_equal(inputs["input_video_tensor"], clip)
        np.testing.assert_allclose(inputs["lstm_c"], state, atol=1e-6)
        state = module.run("clip", **inputs)["lstm_c_out"]
    assert number == 3
    assert state.max() > 0.1


def test_raw_output_is_read_out_of_a_file_frame_by_frame() -> None:
    """Of all frames, in order, also where later operators write over it."""
    module = exports.module(form=Form("clip", unroll_length=LENGTH))
    step = interpreters.raw_step(exports.converted(module))
    state = dict.fromkeys(("lstm_c", "lstm_h"), np.ones([1, 1, 2, 4], np.float32))
    found = step("clip", input_video_tensor=images(LENGTH), **state)
    expected = module.raw_outputs("clip", input_video_tensor=images(LENGTH), **state)
    for name in RAW_OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


def _frame(stream: int, number: int) -> Frame:
    return Frame(np.zeros([2, 2, 3], np.uint8), stream, number == 0, number, None)


def test_clips_are_consecutive_frames_of_a_video_and_what_is_left_is_dropped() -> None:
    first = [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (0, 2), (0, 3)]  # two streams, in turns
    second = [(0, 0), (0, 1), (0, 2)]  # the next video of stream 0
    frames = [_frame(*place) for place in (*first, *second)]
    found = [(each.stream, each.number) for each in representative.whole_clips(frames, 3)]
    assert found == [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1), (0, 2), (0, 0), (0, 1), (0, 2)]


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
    monkeypatch.setattr(compare, "is_consistent", lambda *arguments: False)
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


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["none", *TOLERANCES])
@pytest.mark.parametrize("config", [tiny.CONFIG, tiny.FINE, None], ids=["tiny", "fine", "full"])
def test_every_operator_but_post_processing_is_in_the_delegate(
    config: ModelConfig | None, quantization: str
) -> None:
    """Of the real network in small and of the full-size one, in the form that is the default."""
    model = tiny.model(config) if config else _full_size()
    size = model.input_shape_hwc[0]
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
