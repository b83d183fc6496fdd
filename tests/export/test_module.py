from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_OUTPUTS
from lstd.export.module import ExportModule
from tests.export import exports
from tests.export.tiny_model import CLASSES, NUM_ANCHORS, TinyModel, images

ZEROS = np.zeros([1, 1, 2, 4], np.float32)


def _stream(
    module: ExportModule, frames: np.ndarray, entry_points: list[str]
) -> list[dict[str, Any]]:
    found, state = [], {"lstm_c": ZEROS, "lstm_h": ZEROS}
    for frame, name in zip(frames, entry_points, strict=True):
        found.append(module.run(name, image=frame[np.newaxis], **state))
        state = {key.removesuffix("_out"): found[-1][key] for key in STATE_OUTPUTS}
    return found


@pytest.mark.parametrize("options", [{}, {"use_regular_nms": True}, {"postprocessing": False}])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_clip_is_the_loop_of_the_entry_points(options: dict[str, Any], batch: int) -> None:
    module = exports.module(**options)
    clips = images(5 * batch).reshape(batch, 5, 32, 64, 3)
    served = {
        name: value.numpy() for name, value in module.serving_default(tf.constant(clips)).items()
    }
    for row in range(batch):
        frames = _stream(module, clips[row], ["large", "small", "small", "large", "small"])  # SKIP2
        for name in STATE_OUTPUTS:
            np.testing.assert_allclose(served[name][row], frames[-1][name][0], atol=1e-5)
        for name in served.keys() - {*STATE_OUTPUTS, "anchors"}:
            expected = np.stack([frame[name][0] for frame in frames])
            np.testing.assert_allclose(served[name][row], expected, atol=1e-5, err_msg=name)


def test_a_clip_of_one_backbone_is_the_loop_of_step() -> None:
    module = exports.module(TinyModel(("large",)))
    assert module.schedule == "LARGE"
    clip = images(3)[np.newaxis]
    frames = _stream(module, clip[0], ["step"] * 3)
    served = module.serving_default(tf.constant(clip))
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(
            served["detection_scores"][0, number], frame["detection_scores"][0], atol=1e-5
        )


def test_schedule_of_clips_can_be_chosen() -> None:
    module = exports.module(schedule="SKIP1")
    clip = images(3)[np.newaxis]
    frames = _stream(module, clip[0], ["large", "small", "large"])
    np.testing.assert_allclose(
        module.serving_default(tf.constant(clip))["lstm_h_out"][0],
        frames[-1]["lstm_h_out"][0],
        atol=1e-5,
    )


def test_names_shapes_and_dtypes_are_the_contract() -> None:
    module = exports.module(max_classes_per_detection=2)
    found = module.run("large", image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)
    assert set(found) == {*DETECTION_OUTPUTS, *STATE_OUTPUTS}
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    assert found["detection_boxes"].shape == (1, 8, 4)
    assert found["detection_classes"].shape == found["detection_scores"].shape == (1, 8)
    assert found["num_detections"].shape == (1,)
    assert 0 < found["detection_scores"].max() < 1
    assert set(np.unique(found["detection_classes"])) <= {0.0, 1.0, 2.0}


def test_raw_outputs_are_encodings_scores_and_anchors_of_the_model() -> None:
    model = TinyModel()
    module = exports.module(model, postprocessing=False)
    found = module.run("small", image=images(1), lstm_c=ZEROS, lstm_h=ZEROS)
    assert set(found) == {*RAW_OUTPUTS, *STATE_OUTPUTS}
    predictions = model.step(images(1), model.initial_state(1), network="small").predictions
    boxes, scores, anchors = (found[name] for name in RAW_OUTPUTS)
    assert boxes.shape == (1, NUM_ANCHORS, 4)
    assert scores.shape == (1, NUM_ANCHORS, CLASSES + 1)
    np.testing.assert_allclose(boxes, predictions.box_encodings, atol=1e-5)
    np.testing.assert_allclose(scores, tf.sigmoid(predictions.class_logits), atol=1e-5)
    ymin, xmin, ymax, xmax = model.anchors[3]
    np.testing.assert_allclose(
        anchors[3], [(ymin + ymax) / 2, (xmin + xmax) / 2, ymax - ymin, xmax - xmin], atol=1e-5
    )


def test_module_keeps_the_variables_and_not_the_model() -> None:
    module = exports.module()
    assert len(module.model_variables) == 5
    assert module.model not in vars(module).values()
