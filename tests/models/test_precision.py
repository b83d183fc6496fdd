"""Training in half precision: the network's numbers are half, all that is kept is float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.fit.divergence import DivergedError
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny

TRAIN = TrainConfig(learning_rate=LearningRateConfig(schedule="constant", initial=0.01))
HALF = ("mixed_bfloat16", "mixed_float16")


def _model(precision: Any, *, freeze: tuple[str, ...] = ()) -> LSTMSSD:
    model = lstd.build_model(tiny.FIRST_PAPER, precision=precision)
    model.set_weights(tiny.model(tiny.FIRST_PAPER).get_weights())
    if freeze:
        model.freeze(freeze)
    model.compile(
        optimizer=lstd.build_optimizer(TRAIN),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
    )
    if precision == "mixed_float16":
        # From the 2^15 that Keras begins with, the scale would fall for some steps first.
        model.optimizer._loss_scale._current_loss_scale.assign(4.0)
    return model


def _fit(model: LSTMSSD, batch: Any = None) -> dict[str, list[float]]:
    dataset = tf.data.Dataset.from_tensors(batch or tiny.batch(2)).repeat()
    return model.fit(dataset, steps_per_epoch=1, verbose=0).history


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[LSTMSSD, dict[str, list[float]]]]:
    """Each precision after a step, and what it said."""
    made = {precision: _model(precision) for precision in ("float32", *HALF)}
    return {precision: (model, _fit(model)) for precision, model in made.items()}


@pytest.mark.parametrize("precision", HALF)
def test_losses_are_close_to_those_of_float32(models: Any, precision: str) -> None:
    (_, ours), (_, wanted) = models[precision], models["float32"]

    # bfloat16 has 8 bits, 0.4 %; the frames pass some fifty layers.
    assert ours["loss"][0] == pytest.approx(wanted["loss"][0], rel=0.05)
    assert ours["regularization"][0] == pytest.approx(wanted["regularization"][0], rel=1e-4)


@pytest.mark.parametrize("precision", HALF)
def test_gradients_are_close_to_those_of_float32(precision: str) -> None:
    # With the statistics of so few frames, gradients are 100 times as large, and chaotic.
    frozen = {name: _model(name, freeze=("/moving_",)) for name in ("float32", precision)}
    before = frozen["float32"].get_weights()

    norms = {name: _fit(model)["gradient_norm"][0] for name, model in frozen.items()}
    wanted, found = (
        np.concatenate(
            [np.ravel(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
        )
        for model in frozen.values()
    )

    # Measured: 0.0008 and 0.014, the same for both precisions.
    assert norms[precision] == pytest.approx(norms["float32"], rel=0.01)
    assert np.linalg.norm(found - wanted) < 0.05 * np.linalg.norm(wanted)


@pytest.mark.parametrize("precision", HALF)
def test_variables_and_statistics_are_float32_and_follow_those_of_float32(
    models: Any, precision: str
) -> None:
    model, _ = models[precision]
    before = tiny.model(tiny.FIRST_PAPER).get_weights()

    changes, wanted = [], []
    for ours, theirs, old in zip(model.weights, models["float32"][0].weights, before, strict=True):
        assert ours.dtype == tf.float32
        if "moving_mean" in ours.name:
            changes.append(np.ravel(ours.numpy() - old))
            wanted.append(np.ravel(theirs.numpy() - old))
    changes, wanted = np.concatenate(changes), np.concatenate(wanted)
    # The moves of 0.0003 would be lost altogether in sums of half precision.
    assert np.linalg.norm(changes - wanted) < 0.1 * np.linalg.norm(wanted)


@pytest.mark.parametrize("precision", HALF)
def test_network_computes_in_half_and_gives_float32(models: Any, precision: str) -> None:
    model, clip = models[precision][0], tiny.batch(1)[0]

    features, output = model.features(clip.frames[:, 0], "large"), model(clip)

    assert features.dtype.name == precision.removeprefix("mixed_")
    assert {part.dtype for part in (*output.predictions, *output.state)} == {tf.float32}


def test_global_policy_is_left_as_it_was(models: Any) -> None:
    assert keras.mixed_precision.global_policy().name == "float32"
    assert models["mixed_float16"][0].compute_dtype == "float16"


def test_overflow_leaves_out_the_step_and_halves_the_scale(models: Any) -> None:
    model, _ = models["mixed_float16"]
    optimizer = model.optimizer
    optimizer._loss_scale._current_loss_scale.assign(2.0**100)
    before = [variable.numpy() for variable in model.trainable_variables]

    history = _fit(model)

    assert float(optimizer.loss_scale) == 2.0**99
    assert np.isfinite(history["loss"][0])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_overflow_that_no_scale_can_mend_ends_training(models: Any) -> None:
    model, _ = models["mixed_float16"]
    model.optimizer._loss_scale._current_loss_scale.assign(1.0)
    clip, truth = tiny.batch(2)
    head = next(v for v in model.weights if "box_head_0/bias" in v.name)
    saved = head.numpy()
    head.assign(np.full_like(saved, 1e5))  # beyond the largest float16, 65504

    with pytest.raises(DivergedError, match="the box encodings are the first that are not finite"):
        _fit(model, batch=(clip, truth))
    head.assign(saved)
