import tempfile
from typing import Any

import pytest
import tensorflow as tf

from lstd.export import file_format, interpreters, postprocessing_op, self_check
from lstd.export.compare import ExportCheckError
from lstd.export.module import ExportModule
from tests.export import exports
from tests.export.tiny_model import TinyModel


def test_a_good_file_passes_with_and_without_the_delegate(
    module: ExportModule, content: bytes
) -> None:
    found = self_check.check_tflite(content, module)
    assert sorted(found) == ["with XNNPACK", "without XNNPACK"]
    names = ["detection_boxes", "detection_scores", "lstm_c_out", "lstm_h_out"]
    for differences in found.values():
        assert max(differences.values()) < 1e-5
        assert sorted(differences) == names


@pytest.mark.parametrize("change", [{"y_scale": None}, {"nms_iou_threshold": 0.3}])
def test_an_attribute_that_is_missing_or_wrong_is_found(
    module: ExportModule, content: bytes, change: dict[str, Any]
) -> None:
    told = {**postprocessing_op.attributes(module.options), **change}
    told = {name: value for name, value in told.items() if value is not None}
    changed = file_format.with_options(content, postprocessing_op.NAME, told)
    with pytest.raises(ExportCheckError, match=f"lacks the right {next(iter(change))}"):
        self_check.check_tflite(changed, module)


def test_another_form_is_found(module: ExportModule, content: bytes) -> None:
    raw = exports.converted(exports.module(postprocessing=False))
    with pytest.raises(ExportCheckError, match=r"entry point large .* holds 0 of the op TFLite_De"):
        self_check.require_postprocessing(raw, module)
    one = exports.module(TinyModel(("large",)))
    with pytest.raises(ExportCheckError, match="has the entry points large, small, expected step"):
        self_check.check_tflite(content, one)
    with pytest.raises(ExportCheckError, match="asks for float32, expected fp16accfp16"):
        self_check.require_float16(content)


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
        self_check.require_delegate(content)
