from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import RAW_OUTPUTS, STATE_OUTPUTS
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


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "large small small large small"),  # SKIP2
        ({"use_regular_nms": True}, "large small small large small"),
        ({"postprocessing": False}, "large small small large small"),
        ({"schedule": "SKIP1"}, "large small large small large"),
        ({"model": TinyModel(("large",))}, "step step step step step"),
    ],
)
def test_a_clip_is_the_loop_of_the_entry_points(options: dict[str, Any], names: str) -> None:
    module = exports.module(**options)
    clips = images(10).reshape(2, 5, 32, 64, 3)
    for batch in (clips, clips[:1]):
        served = module.serving_default(tf.constant(batch))
        for row, clip in enumerate(batch):
            frames = _stream(module, clip, names.split())
            for name in served.keys() - {"anchors"}:
                expected = np.stack([frame[name][0] for frame in frames])
                expected = expected[-1] if name in STATE_OUTPUTS else expected
                np.testing.assert_allclose(served[name][row], expected, atol=1e-5, err_msg=name)


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
