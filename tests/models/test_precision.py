"""Training in half precision: the network's numbers are half, all that is kept is float32."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.fit.divergence import DivergedError
from lstd.layers.conv import ConvBN
from lstd.models import parts
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny

TRAIN = TrainConfig(learning_rate=LearningRateConfig(schedule="constant", initial=0.01))
HALF = ("mixed_bfloat16", "mixed_float16")


def _model(precision: Any) -> LSTMSSD:
    model = lstd.build_model(tiny.FIRST_PAPER, precision=precision)
    model.set_weights(tiny.shared(tiny.FIRST_PAPER).get_weights())
    # With the statistics of so few frames, gradients are 100 times as large, and chaotic.
    model.freeze(("/moving_",))
    model.compile(
        optimizer=lstd.build_optimizer(TRAIN),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
        run_eagerly=True,  # a few steps take less time than a graph
    )
    if precision == "mixed_float16":
        # From the 2^15 that Keras begins with, the scale would fall for some steps first.
        model.optimizer._loss_scale._current_loss_scale.assign(4.0)
    return model


def _fit(model: LSTMSSD) -> dict[str, list[float]]:
    dataset = tf.data.Dataset.from_tensors(tiny.batch(2)).repeat()
    return model.fit(dataset, steps_per_epoch=1, verbose=0).history


class _Trained(NamedTuple):
    """A model after a step, what it said, and how the step changed its weights."""

    model: LSTMSSD
    history: dict[str, list[float]]
    change: np.ndarray


@pytest.fixture(scope="module")
def models() -> dict[str, _Trained]:
    made = {precision: _model(precision) for precision in ("float32", *HALF)}
    before = made["float32"].get_weights()
    trained = {}
    for precision, model in made.items():
        history = _fit(model)
        changes = [
            np.ravel(new - old) for new, old in zip(model.get_weights(), before, strict=True)
        ]
        trained[precision] = _Trained(model, history, np.concatenate(changes))
    return trained


@pytest.mark.parametrize("precision", HALF)
def test_losses_and_gradients_are_close_to_those_of_float32(models: Any, precision: str) -> None:
    ours, wanted = models[precision], models["float32"]

    # bfloat16 has 8 bits, 0.4 %; the frames pass some fifty layers.
    assert ours.history["loss"][0] == pytest.approx(wanted.history["loss"][0], rel=0.05)
    regularization = wanted.history["regularization"][0]
    assert ours.history["regularization"][0] == pytest.approx(regularization, rel=1e-4)
    # Measured: 0.0008 and 0.014, the same for both precisions.
    norm = wanted.history["gradient_norm"][0]
    assert ours.history["gradient_norm"][0] == pytest.approx(norm, rel=0.01)
    assert np.linalg.norm(ours.change - wanted.change) < 0.05 * np.linalg.norm(wanted.change)


@pytest.mark.parametrize("precision", HALF)
def test_statistics_are_float32_and_follow_those_of_float32(precision: str) -> None:
    inputs = tf.random.stateless_normal([4, 8, 8, 3], seed=(0, 1))
    moved = {}
    for policy in ("float32", precision):
        with parts.made_in(policy):
            layer = ConvBN(8, kernel_size=3)
        layer(inputs)
        layer.convolution.kernel.assign(
            tf.random.stateless_normal(layer.convolution.kernel.shape, seed=(0, 2))
        )
        layer(inputs, training=True)
        assert layer.batch_norm.moving_mean.dtype == tf.float32
        moved[policy] = layer.batch_norm.moving_mean.numpy()
    # Moves of 0.0003 of a value would be lost altogether in sums of half precision.
    assert np.linalg.norm(moved["float32"]) > 0
    error = np.linalg.norm(moved[precision] - moved["float32"])
    assert error < 0.1 * np.linalg.norm(moved["float32"])


@pytest.mark.parametrize("precision", HALF)
def test_network_computes_in_half_and_gives_float32(models: Any, precision: str) -> None:
    model, clip = models[precision].model, tiny.batch(1)[0]
    assert {weight.dtype for weight in model.weights} == {tf.float32}
    assert keras.mixed_precision.global_policy().name == "float32"

    features, output = model.features(clip.frames[:, 0], "large"), model(clip)

    assert features.dtype.name == model.compute_dtype == precision.removeprefix("mixed_")
    assert {part.dtype for part in (*output.predictions, *output.state)} == {tf.float32}


def test_overflow_leaves_out_the_step_and_halves_the_scale(models: Any) -> None:
    model = models["mixed_float16"].model
    optimizer = model.optimizer
    optimizer._loss_scale._current_loss_scale.assign(2.0**100)
    before = [variable.numpy() for variable in model.trainable_variables]

    history = _fit(model)

    assert float(optimizer.loss_scale) == 2.0**99
    assert np.isfinite(history["loss"][0])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_overflow_that_no_scale_can_mend_ends_training(models: Any) -> None:
    model = models["mixed_float16"].model
    model.optimizer._loss_scale._current_loss_scale.assign(1.0)
    head = next(v for v in model.weights if "box_head_0/bias" in v.name)
    saved = head.numpy()
    head.assign(np.full_like(saved, 1e5))  # beyond the largest float16, 65504

    with pytest.raises(DivergedError, match=r"\(localization inf, .*gradient norm"):
        _fit(model)
    head.assign(saved)
