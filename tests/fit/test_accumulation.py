"""Several batches for one update are one large batch, where batch norm does not look at it."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.base.types import ClipBatch, GroundTruth
from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.fit import batches
from lstd.fit.divergence import DivergedError
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny

TRAIN = TrainConfig(learning_rate=LearningRateConfig(schedule="constant", initial=0.1))


def _parts(clip: ClipBatch, truth: GroundTruth, size: int) -> tf.data.Dataset:
    """Returns the clips of a batch in batches of `size`."""
    whole = tf.data.Dataset.from_tensors((clip, truth))
    return whole.unbatch().batch(size, drop_remainder=True)


def _large_batch() -> tuple[ClipBatch, GroundTruth]:
    """Returns four clips, with many true boxes in the first two and few in the others."""
    clip, truth = tiny.batch(2, batch_size=4)
    classes = truth.classes.numpy()
    classes[2:, :, 1] = -1
    classes[3] = -1
    return clip, truth._replace(classes=tf.constant(classes))


def _trained(accumulate_steps: int) -> tuple[LSTMSSD, dict[str, list[float]]]:
    """Returns a model after two updates, each on four clips."""
    model = tiny.model(tiny.FIRST_PAPER)
    model.freeze(["/moving_"])
    model.compile(
        optimizer=lstd.build_optimizer(TRAIN),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
        accumulate_steps=accumulate_steps,
    )
    dataset = _parts(*_large_batch(), size=4 // accumulate_steps).repeat(2)
    return model, model.fit(dataset, steps_per_epoch=2, verbose=0).history


@pytest.fixture(scope="module")
def in_parts() -> Any:
    return _trained(4)


def test_update_is_that_of_one_large_batch_where_batch_norm_is_frozen(in_parts: Any) -> None:
    (model, history), (whole, wanted) = in_parts, _trained(1)

    before = tiny.shared(tiny.FIRST_PAPER).get_weights()
    assert int(model.optimizer.iterations) == 2
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    moved = 0.0
    for ours, theirs, old in zip(model.weights, whole.weights, before, strict=True):
        change = np.abs(theirs.numpy() - old).max()
        moved = max(moved, change)
        # Sums of float32 in another order: 1e-6 of a change, and of the weight.
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-4 * change, err_msg=ours.name)
    assert moved > 0.01


def test_broken_batch_among_several_is_named(in_parts: Any) -> None:
    clip, truth = _large_batch()
    boxes = truth.boxes.numpy()
    boxes[2] = np.nan
    with pytest.raises(
        DivergedError, match=r"localization nan.*; its clips: .*'video 2' \(frame 0 to"
    ):
        in_parts[0].fit(_parts(clip, truth._replace(boxes=tf.constant(boxes)), 1), verbose=0)


def test_batches_are_stacked_and_their_boxes_padded() -> None:
    clip, truth = tiny.batch(2, batch_size=1)
    fewer = GroundTruth(truth.boxes[:, :, :1], truth.classes[:, :, :1])
    rows = tf.data.Dataset.from_generator(
        lambda: ((one.boxes, one.classes) for one in (truth, fewer, truth)),
        output_signature=(
            tf.TensorSpec([1, 2, None, 4], tf.float32),
            tf.TensorSpec([1, 2, None], tf.int32),
        ),
    )
    dataset = rows.map(lambda boxes, classes: (clip, GroundTruth(boxes, classes)))

    ((clips, truths),) = batches.stacked(dataset, 2)  # the third batch is left over

    assert clips.frames.shape == (2, 1, 2, 64, 64, 3)
    assert truths.track_ids is None
    np.testing.assert_array_equal(truths.classes[0], truth.classes)
    np.testing.assert_array_equal(truths.classes[1, ..., 0], fewer.classes[..., 0])
    np.testing.assert_array_equal(truths.classes[1, ..., 1], -1)


@pytest.mark.parametrize("axis", ["clips", "frames"])
def test_batches_that_may_differ_in_size_are_refused(axis: str) -> None:
    if axis == "clips":
        dataset = tf.data.Dataset.from_tensors(tiny.batch(2, batch_size=3)).unbatch().batch(2)
        shape = r"\(None, 2, 64, 64, 3\)"
    else:
        dataset = tf.data.Dataset.from_tensors(tiny.batch(2, batch_size=1)).map(
            lambda clip, truth: (clip._replace(frames=_of_unknown_length(clip.frames)), truth)
        )
        shape = r"\(1, None, 64, 64, 3\)"
    with pytest.raises(ValueError, match=rf"{shape}: batch with drop_remainder=True"):
        batches.stacked(dataset, 2)


def _of_unknown_length(frames: tf.Tensor) -> tf.Tensor:
    return tf.boolean_mask(frames, tf.random.uniform([2]) < 2.0, axis=1)


def test_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a tf\.data\.Dataset of .*, got list"):
        batches.stacked([tiny.batch(2)], 2)
