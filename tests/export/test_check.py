from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.config.model_config import PostprocessingConfig
from lstd.export import (
    check,
    comparison,
    file_format,
    interpreters,
    postprocessing_op,
    streams,
)
from lstd.export.module import ExportModule
from lstd.export.streams import ExportCheckError
from tests.export import exports
from tests.export.tiny_model import TinyModel


@pytest.fixture(scope="module")
def module() -> ExportModule:
    return exports.module()


@pytest.fixture(scope="module")
def content(module: ExportModule) -> bytes:
    return exports.converted(module)


def test_a_good_file_passes_with_and_without_the_delegate(
    module: ExportModule, content: bytes
) -> None:
    found = check.check_tflite(content, module)
    assert sorted(found) == ["with XNNPACK", "without XNNPACK"]
    for differences in found.values():
        assert max(differences.values()) < 1e-5
        assert sorted(differences) == [
            "detection_boxes",
            "detection_scores",
            "lstm_c_out",
            "lstm_h_out",
        ]


def test_stream_has_three_frames_or_more_and_carries_the_state(module: ExportModule) -> None:
    seen = []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        seen.append((entry_point, float(inputs["lstm_c"].sum())))
        return module.run(entry_point, **inputs)

    streams.compare_streams(module, step, where="the test")
    assert [name for name, _ in seen] == ["large", "small", "small", "large"]
    sums = [state for _, state in seen]
    assert sums[0] == 0.0
    assert sums[1] == sums[2] == sums[3] > 0.0  # the small network writes nothing


def _broken(module: ExportModule, **changes: Any) -> Any:
    """Returns a step with outputs changed on the third frame."""
    count = []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = module.run(entry_point, **inputs)
        count.append(entry_point)
        if len(count) == 3:
            outputs.update({name: change(outputs[name]) for name, change in changes.items()})
        return outputs

    return step


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lstm_c_out", lambda value: value + 2e-4),
        ("lstm_h_out", lambda value: value * np.nan),
        ("detection_scores", lambda value: value + np.float32(2e-4)),
        ("detection_boxes", lambda value: value + np.float32(1e-3)),
        ("num_detections", np.zeros_like),
        ("num_detections", lambda value: value * np.nan),
        ("num_detections", lambda value: value + 10),
        ("detection_scores", lambda value: value * np.nan),
        ("detection_classes", lambda value: value + 1),
        ("detection_boxes", lambda value: value[:, :2]),
    ],
)
def test_a_wrong_output_is_found_and_named(module: ExportModule, name: str, change: Any) -> None:
    with pytest.raises(ExportCheckError, match=r"of entry point small differs .* on frame 2"):
        streams.compare_streams(module, _broken(module, **{name: change}), where="the test")


def test_rows_behind_the_last_detection_do_not_count() -> None:
    strict = TinyModel(postprocessing=PostprocessingConfig(score_threshold=1.5))
    module = exports.module(strict)
    step = _broken(module, detection_scores=lambda value: value * np.nan)
    streams.compare_streams(module, step, where="the test")


def test_an_output_too_many_is_named(module: ExportModule) -> None:
    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {**module.run(entry_point, **inputs), "more": np.zeros(1)}

    with pytest.raises(ExportCheckError, match=r"has the outputs .*more.*, expected"):
        streams.compare_streams(module, step, where="the test")


class _Chaotic(TinyModel):
    """Amplifies the image's rounding to over 1e-4, as no good model does."""

    def step(self, frame: Any, *args: Any, **kwargs: Any) -> Any:
        frame = tf.cast(frame, tf.float32)
        wave = tf.sin(300.0 * tf.reduce_mean(frame, axis=[1, 2, 3], keepdims=True))
        return super().step(127.5 + 120.0 * wave + 0.0 * frame, *args, **kwargs)


def test_what_rounding_does_to_the_model_itself_is_allowed() -> None:
    module = exports.module(_Chaotic())

    def step(entry_point: str, *, image: np.ndarray, **state: np.ndarray) -> Any:
        return module.run(entry_point, image=image * np.float32(1 + 1e-6), **state)

    found = streams.compare_streams(module, step, where="the test")
    assert max(found.values()) > comparison.TOLERANCE


def test_equal_scores_of_an_untrained_model_pass() -> None:
    model = TinyModel()
    model.classes.assign(tf.zeros_like(model.classes))
    check.check_tflite(exports.converted(exports.module(model)), exports.module(model))


def test_a_file_without_the_op_is_found(module: ExportModule) -> None:
    content = exports.converted(exports.module(postprocessing=False))
    with pytest.raises(
        ExportCheckError, match=r"entry point large .* holds 0 of the op TFLite_Det"
    ):
        check.require_postprocessing(content, module)


def test_a_missing_attribute_is_found(module: ExportModule, content: bytes) -> None:
    attributes = postprocessing_op.attributes(module.options)
    del attributes["y_scale"]
    changed = file_format.with_options(content, postprocessing_op.NAME, attributes)
    with pytest.raises(ExportCheckError, match="lacks the right y_scale"):
        check.check_tflite(changed, module)


def test_a_wrong_attribute_is_found(module: ExportModule, content: bytes) -> None:
    attributes = {**postprocessing_op.attributes(module.options), "nms_iou_threshold": 0.3}
    changed = file_format.with_options(content, postprocessing_op.NAME, attributes)
    with pytest.raises(ExportCheckError, match="lacks the right nms_iou_threshold"):
        check.require_postprocessing(changed, module)


def test_a_delegate_that_was_dropped_is_found(module: ExportModule) -> None:
    """An entry point without inputs, first by name, costs every entry point the delegate."""

    @tf.function(input_signature=[])
    def initial_state() -> dict[str, tf.Tensor]:
        return {"lstm_c": tf.zeros([1, 1, 2, 4])}

    signatures = {**module.signatures(), "initial_state": initial_state}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["large", "small", "initial_state"]
        )
        converter.allow_custom_ops = True
        content = converter.convert()
    assert interpreters.hidden_operators(content) == {"initial_state": 0, "large": 0, "small": 0}
    with pytest.raises(ExportCheckError, match=r"XNNPACK is not applied to entry point .*large"):
        check.require_delegate(content)


def test_a_missing_entry_point_is_named(module: ExportModule) -> None:
    content = exports.converted(exports.module(TinyModel(("large",))))
    with pytest.raises(ExportCheckError, match="has the entry points step, expected large, small"):
        check.check_tflite(content, module)


def test_a_low_score_threshold_of_the_model_reaches_the_file() -> None:
    strict = TinyModel(postprocessing=PostprocessingConfig(score_threshold=1.5))
    module = exports.module(strict)
    content = exports.converted(module)
    check.check_tflite(content, module)
    step = interpreters.step_of(interpreters.make(content, xnnpack=True))
    zeros = np.zeros([1, 1, 2, 4], np.float32)
    image = streams.pattern_image(0, (32, 64, 3))
    assert step("large", image=image, lstm_c=zeros, lstm_h=zeros)["num_detections"] == 0


def test_pattern_image_is_the_one_that_the_metadata_describe() -> None:
    image = streams.pattern_image(2, (2, 3, 1))
    expected = [((n + 2000006) * 2654435761 % 2**32) >> 24 for n in range(6)]
    assert image.reshape(-1).tolist() == expected
    assert image.shape == (1, 2, 3, 1)
