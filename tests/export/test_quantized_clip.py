"""Clips in a quantised file: measured on whole clips, the state carried from one to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.export import interpreters, postprocessing_op, representative
from lstd.export.form import RAW_OUTPUTS, STATE_OUTPUTS, Form
from lstd.export.representative import Frame
from lstd.export.tflite import export_tflite
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

LENGTH = 3
FRAMES = images(12).astype(np.uint8)
# Largest difference of a score from the float model: rounding of weights to 11 bits; of weights to
# 8 bits; of weights and values to 8 bits, a few steps of 1/256.
TOLERANCES = {"float16": 1e-3, "dynamic": 0.01, "int8": 0.02}


def _int8_clip(folder: Path, **options: Any) -> bytes:
    """Returns the file of the tiny model, with ranges from all frames."""
    path = folder / "a.tflite"
    export_tflite(
        TinyModel(),
        path,
        quantization="int8",
        signature="clip",
        representative_data=[FRAMES],
        **options,
    )
    return path.read_bytes()


def _clip_form(network: str = "both") -> Form:
    return Form("clip", unroll_length=LENGTH, network=network)


@pytest.mark.parametrize("postprocessing", [True, False])
@pytest.mark.parametrize("quantization", TOLERANCES)
def test_a_quantised_clip_is_the_float_one_over_clips_with_the_state_carried(
    quantization: str, postprocessing: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.tflite"
    report = export_tflite(
        TinyModel(),
        path,
        quantization=quantization,
        signature="clip",
        unroll_length=LENGTH,
        postprocessing=postprocessing,
        representative_data=[FRAMES],
    )
    assert report.fidelity is not None
    assert report.fidelity.num_frames == len(FRAMES)
    module = exports.module(form=_clip_form(), postprocessing=postprocessing)
    step = interpreters.step(path.read_bytes())
    scores = "detection_scores" if postprocessing else "raw_outputs/class_predictions"
    ours = theirs = dict.fromkeys(("lstm_c", "lstm_h"), np.zeros([1, 1, 2, 4], np.float32))
    for start in range(0, len(FRAMES), LENGTH):
        clip = FRAMES[start : start + LENGTH].astype(np.float32)
        expected = module.run("clip", input_video_tensor=clip, **ours)
        found = step("clip", input_video_tensor=clip, **theirs)
        rows = slice(None, 4)  # of the detections the best ones; the file has ten rows
        np.testing.assert_allclose(
            found[scores][:, rows], expected[scores][:, rows], atol=TOLERANCES[quantization]
        )
        ours, theirs = (
            {name.removesuffix("_out"): outputs[name] for name in STATE_OUTPUTS}
            for outputs in (expected, found)
        )
    facts = json.loads((tmp_path / "a.json").read_text())
    assert (facts["quantization"], facts["cell"]) == (quantization, "separate")
    assert facts["fidelity"]["num_frames"] == len(FRAMES)


def test_state_and_detections_of_an_int8_clip_stay_float(tmp_path: Path) -> None:
    content = _int8_clip(tmp_path, input_type="uint8")
    runner = interpreters.make(content, xnnpack=True).get_signature_runner("clip")
    inputs = {name: detail["dtype"] for name, detail in runner.get_input_details().items()}
    assert inputs == {
        "input_video_tensor": np.uint8,
        "lstm_c": np.float32,
        "lstm_h": np.float32,
    }
    outputs = runner.get_output_details().values()
    assert {detail["dtype"] for detail in outputs} == {np.float32}


def test_ranges_are_measured_on_clips_with_the_state_of_the_clip_before() -> None:
    module = exports.module(form=_clip_form())
    frames = representative.whole_clips(representative.read([FRAMES], limit=99), LENGTH)
    state = np.zeros([1, 1, 2, 4], np.float32)
    given = representative.samples(module, frames)
    for number, (entry_point, inputs) in enumerate(given):
        assert entry_point == "clip"
        clip = FRAMES[number * LENGTH : (number + 1) * LENGTH]
        np.testing.assert_array_equal(inputs["input_video_tensor"], clip)
        np.testing.assert_allclose(inputs["lstm_c"], state, atol=1e-6)
        state = module.run("clip", **inputs)["lstm_c_out"]
    assert number == 3
    assert state.max() > 0.1


@pytest.mark.parametrize("options", [{"network": "small"}, {"schedule": "SMALL"}])
def test_a_clip_of_the_small_network_is_measured_with_a_state_that_large_wrote(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """With zeros only, int8 would have no range for the state."""
    content = _int8_clip(tmp_path, unroll_length=LENGTH, **options)
    streaming = exports.module()
    zeros = np.zeros([1, 1, 2, 4], np.float32)
    after = streaming.run("large", image=images(1), lstm_c=zeros, lstm_h=zeros)
    state = {"lstm_c": after["lstm_c_out"], "lstm_h": after["lstm_h_out"]}
    assert state["lstm_c"].max() > 0.1
    step = interpreters.step(content)
    clip = images(LENGTH)
    found = step("clip", input_video_tensor=clip, **state)["detection_scores"]
    for number in range(LENGTH):
        expected = streaming.run("small", image=clip[number : number + 1], **state)
        np.testing.assert_allclose(
            found[number, :4],
            expected["detection_scores"][0],
            atol=TOLERANCES["int8"],
        )


def test_raw_output_is_read_out_of_a_file_frame_by_frame() -> None:
    """Of all frames, in order, also where later operators write over it."""
    module = exports.module(form=_clip_form())
    step = interpreters.raw_step(exports.converted(module), postprocessing_op.NAME, RAW_OUTPUTS)
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


@pytest.mark.slow
@pytest.mark.parametrize("quantization", TOLERANCES)
def test_a_quantised_clip_of_the_real_network_is_near_the_model(
    quantization: str, tmp_path: Path
) -> None:
    """On average over the best anchors; 0.0000, 0.0004 and 0.0017 were measured."""
    report = export_tflite(
        tiny.model(eval_schedule="SKIP2"),
        tmp_path / "a.tflite",
        quantization=quantization,
        signature="clip",
        representative_data=tiny.clip(8, batch=1),
    )
    assert report.fidelity is not None
    assert report.fidelity.num_frames == 8
    assert report.fidelity.scores < TOLERANCES[quantization]
