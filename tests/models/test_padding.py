"""Frames of padding change no loss and no gradient."""

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.base.types import ClipBatch, GroundTruth
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny

# One clip or two at a time take other kernels, whose sums differ in the last bits.
RELATIVE = 1e-5


def _padded() -> tuple[ClipBatch, GroundTruth]:
    """Returns a clip whose last two frames are padding, and a lane of nothing else."""
    clip, truth = tiny.batch(4)
    return clip._replace(frame_index=tf.constant([[0, 1, -1, -1], [-1] * 4])), truth


def _real() -> tuple[ClipBatch, GroundTruth]:
    """Returns the two frames of `_padded` that are not padding."""
    clip, truth = tiny.batch(4)
    return (
        ClipBatch(*(part[:1, :2] for part in clip[:3]), clip.video_id[:1]),
        GroundTruth(*(part[:1, :2] for part in truth[:2])),
    )


def _compiled(accumulate_steps: int) -> LSTMSSD:
    """Returns a model whose batch norm, which does see padding in training, looks away."""
    model = tiny.model(tiny.FIRST_PAPER)
    model.freeze(["/moving_"])
    model.compile(
        lstd.build_optimizer(lstd.TrainConfig()),
        lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
        accumulate_steps=accumulate_steps,
        run_eagerly=True,  # A graph wants clips of one length.
    )
    return model


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_only_real_frames_are_in_a_loss_and_a_gradient(accumulate_steps: int) -> None:
    model, dataset_of = _compiled(accumulate_steps), tf.data.Dataset.from_tensors
    if accumulate_steps == 1:
        padded, real, all_frames = (
            model.evaluate(dataset_of(batch), verbose=0, return_dict=True)
            for batch in (_padded(), _real(), tiny.batch(4))
        )
        for name in ("loss", "localization", "classification", "regularization"):
            np.testing.assert_allclose(padded[name], real[name], rtol=RELATIVE, err_msg=name)
        assert abs(all_frames["localization"] / real["localization"] - 1) > 0.01
    before, found = model.get_weights(), []
    for batch in (_padded(), _real()):
        model.set_weights(before)
        history = model.fit(dataset_of(batch).repeat(accumulate_steps), verbose=0).history
        found.append(history)  # of what was before the update
    assert set(found[0]) >= {"loss", "gradient_norm"}
    for name, value in found[1].items():
        np.testing.assert_allclose(found[0][name], value, rtol=RELATIVE, err_msg=name)
