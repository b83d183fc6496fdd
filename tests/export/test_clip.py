"""The form of a clip: frames and state in, an output for each frame and the state out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_OUTPUTS
from lstd.checkpoints import tf1
from lstd.export import file_format, interpreters, metadata, postprocessing_op
from lstd.export.form import Form
from lstd.export.module import ExportModule
from lstd.export.tflite import export_tflite
from lstd.models.build import build_model
from lstd.ops import boxes
from lstd.ops.images import resize
from lstd.tf1.load_config import load_config
from tests import tiny
from tests.export import exports
from tests.export.tiny_model import TinyModel, images
from tests.golden import reference as golden

STATE = np.random.default_rng(0).uniform(0, 3, [1, 1, 2, 4]).astype(np.float32)


def _clip_module(*, length: int = 5, **options: Any) -> ExportModule:
    return exports.module(form=Form("clip", unroll_length=length), **options)


@pytest.mark.parametrize("options", [{}, {"use_regular_nms": True}, {"postprocessing": False}])
def test_a_clip_file_is_the_loop_of_frames_from_any_state(options: dict[str, Any]) -> None:
    content = exports.converted(_clip_module(**options))
    step = interpreters.step(content)
    found = step("clip", input_video_tensor=images(5), lstm_c=STATE, lstm_h=STATE + 1)
    names = ["large", "small", "small", "large", "small"]  # SKIP2
    frames = exports.stream(exports.module(**options), names, images(5), c=STATE, h=STATE + 1)
    for name in STATE_OUTPUTS:
        np.testing.assert_allclose(found[name], frames[-1][name], atol=1e-5)
    names = RAW_OUTPUTS[:2] if "postprocessing" in options else DETECTION_OUTPUTS
    for name in names:
        expected = np.concatenate([frame[name] for frame in frames])
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)
    assert set(found) == set(frames[0])


def test_shapes_have_a_row_for_each_frame_and_the_op_stands_once_for_each() -> None:
    content = exports.converted(_clip_module(length=3, max_classes_per_detection=2))
    runner = interpreters.make(content, xnnpack=True).get_signature_runner("clip")
    shapes = {name: tuple(d["shape"]) for name, d in runner.get_input_details().items()}
    assert shapes == {
        "input_video_tensor": (3, 32, 64, 3),
        "lstm_c": (1, 1, 2, 4),
        "lstm_h": (1, 1, 2, 4),
    }
    zeros = np.zeros_like(STATE)
    found = runner(input_video_tensor=images(3), lstm_c=zeros, lstm_h=zeros)
    assert found["detection_boxes"].shape == (3, 8, 4)
    assert found["detection_scores"].shape == found["detection_classes"].shape == (3, 8)
    assert found["num_detections"].shape == (3,)
    operators = file_format.entry_points(content)["clip"].operators
    assert [op.name for op in operators].count(postprocessing_op.NAME) == 3


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"schedule": "SKIP1"}, ["large", "small", "large"]),
        ({"schedule": "SMALL"}, ["small"] * 3),
        ({"network": "small"}, ["small"] * 3),
        ({"network": "large"}, ["large"] * 3),
    ],
)
def test_schedule_and_network_decide_who_runs(options: dict[str, Any], names: list[str]) -> None:
    form = Form("clip", network=options.get("network", "both"), unroll_length=3)
    module = exports.module(form=form, schedule=options.get("schedule"))
    facts = metadata.facts_of(module, labels=())["entry_points"]["clip"]
    assert (facts["networks"], facts["writes_state"]) == (names, "large" in names)
    found = module.run("clip", input_video_tensor=images(3), lstm_c=STATE, lstm_h=STATE + 1)
    frames = exports.stream(exports.module(), names, images(3), c=STATE, h=STATE + 1)
    np.testing.assert_allclose(found["lstm_h_out"], frames[-1]["lstm_h_out"], atol=1e-5)
    np.testing.assert_allclose(
        found["detection_scores"][2], frames[2]["detection_scores"][0], atol=1e-5
    )


def test_default_is_four_frames_and_the_schedule_of_the_model() -> None:
    facts = json.loads(exports.file(signature="clip").with_suffix(".json").read_text())
    assert facts["input"]["name"] == "input_video_tensor"
    assert facts["input"]["shape"] == [4, 32, 64, 3]
    assert facts["form"] == {"signature": "clip", "network": "both", "unroll_length": 4}
    assert facts["entry_points"]["clip"]["networks"] == ["large", "small", "small", "large"]
    golden = facts["golden_frame"]["expected"]["clip"]
    assert len(golden["detection_scores"]) == len(golden["num_detections"]) == 4
    assert "frame t" in facts["golden_frame"]["image"]
    one = exports.module(TinyModel(("large",)), form=Form("clip", unroll_length=3))
    assert one.networks_of("clip") == ("large",) * 3


@pytest.mark.slow
@pytest.mark.parametrize("postprocessing", [True, False])
def test_real_models_clip_is_the_models_clip(postprocessing: bool, tmp_path: Path) -> None:
    model = tiny.model(eval_schedule="SKIP2")
    path = tmp_path / "clip.tflite"
    report = export_tflite(
        model, path, signature="clip", postprocessing=postprocessing, input_type="uint8"
    )
    assert max(max(found.values()) for found in report.differences.values()) < 1e-3
    clip = tiny.clip(4, batch=1)
    step = interpreters.step(path.read_bytes())
    zeros = model.initial_state(1).c.numpy()
    found = step("clip", input_video_tensor=clip[0], lstm_c=zeros, lstm_h=zeros)
    expected = model(clip)
    np.testing.assert_allclose(found["lstm_h_out"], expected.state.h, atol=1e-3)
    if not postprocessing:
        np.testing.assert_allclose(
            found["raw_outputs/box_encodings"], expected.predictions.box_encodings[0], atol=1e-3
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lstd.tf1.pipeline_config.PipelineConfigWarning")
def test_a_clip_from_zeros_is_what_the_original_computes(tmp_path: Path) -> None:
    """Encodings and scores of the original's own graph, SKIP3 over its clips, from a zero state.

    In the order of the graph's packing, time-major: clip b has the frames b, b + 2, b + 4, b + 6.
    """
    config = load_config(golden.reference("iv2_small.config"))
    model = build_model(config.model)
    tf1.load_tf1_checkpoint(model, golden.reference("iv2_small_weights.npz"))
    path = tmp_path / "clip.tflite"
    export_tflite(model, path, signature="clip", postprocessing=False, schedule="SKIP3")
    step = interpreters.step(path.read_bytes())
    zeros = model.initial_state(1).c.numpy()
    common = golden.arrays(golden.reference("iv2_small_eval_common.npz"), "video", "anchors")
    expected = golden.arrays(golden.reference("iv2_small_eval_skip3_zero.npz"))
    frames = resize(tf.constant(common["video"]), 128, 128).numpy()
    anchors = boxes.to_center_size(tf.constant(common["anchors"])).numpy()
    for lane in range(2):
        found = step("clip", input_video_tensor=frames[lane::2], lstm_c=zeros, lstm_h=zeros)
        scores = 1.0 / (1.0 + np.exp(-expected["class_predictions_with_background"][lane::2]))
        # Another library's convolutions.
        for name, value in (
            ("raw_outputs/box_encodings", expected["box_encodings"][lane::2]),
            ("raw_outputs/class_predictions", scores),
            ("anchors", anchors),
            ("lstm_c_out", expected["state_c"][-1, lane : lane + 1]),
            ("lstm_h_out", expected["state_h"][-1, lane : lane + 1]),
        ):
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(found[name], value, atol=2e-4 * scale, err_msg=name)
