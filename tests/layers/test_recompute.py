"""Computing activations again changes nothing but memory and time."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.layers import recompute
from lstd.layers.conv import ConvBN
from tests import tiny

TRAIN = TrainConfig(learning_rate=LearningRateConfig(schedule="constant", initial=0.1))
RANDOM = dataclasses.replace(tiny.CONFIG, train_schedule="RANDOM")
MODELS = {"v1": tiny.FIRST_PAPER, "v2": dataclasses.replace(RANDOM, large_frames=1)}


class _Run(NamedTuple):
    outputs: np.ndarray
    gradients: list[np.ndarray]
    weights: list[np.ndarray]


def _run(*, graph: bool, again: bool) -> _Run:
    """Returns what two layers give, their gradients, and their weights afterwards."""
    keras.utils.set_random_seed(1)
    layers = [ConvBN(4, kernel_size=3), ConvBN(5, kernel_size=1)]
    inputs = tf.random.normal([2, 8, 8, 3])

    def step() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = recompute.apply(layers, inputs, training=True, recompute=again)
            loss = tf.reduce_sum(outputs**2)
        variables = [v for layer in layers for v in layer.trainable_variables]
        return outputs, tape.gradient(loss, [inputs, *variables])

    for layer, shape in zip(layers, ([None, 8, 8, 3], [None, 8, 8, 4]), strict=True):
        layer.build(shape)
    outputs, gradients = (tf.function(step) if graph else step)()
    weights = [w.numpy() for layer in layers for w in layer.weights]
    return _Run(outputs.numpy(), [g.numpy() for g in gradients], weights)


@pytest.mark.parametrize("graph", [False, True])
def test_result_gradients_and_statistics_are_the_same(graph: bool) -> None:
    kept, again = (_run(graph=graph, again=again) for again in (False, True))

    # The same operations on the same values, in a graph with other fusions: some roundings.
    for wanted, found in zip(tf.nest.flatten(kept), tf.nest.flatten(again), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    assert max(np.abs(g).max() for g in again.gradients) > 0.1


def _update(config: ModelConfig, *, again: bool) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Returns the logs of one training step and the weights after it."""
    model = tiny.model(config)
    model.compile(
        optimizer=lstd.build_optimizer(TRAIN),
        loss=lstd.DetectionLoss.from_config(config),
        gradient_checkpointing=again,
    )
    logs = model.train_on_batch(*tiny.batch(2), return_dict=True)
    return logs, {weight.name: weight.numpy() for weight in model.weights}


@pytest.mark.parametrize("name", MODELS)
def test_update_of_a_model_is_the_same(name: str) -> None:
    before = {weight.name: weight.numpy() for weight in tiny.model(MODELS[name]).weights}
    logs, kept = _update(MODELS[name], again=False)
    logs_again, again = _update(MODELS[name], again=True)

    for part, value in logs.items():
        np.testing.assert_allclose(logs_again[part], value, rtol=1e-4, err_msg=part)
    for weight, wanted in kept.items():
        change = np.abs(wanted - before[weight]).max()
        np.testing.assert_allclose(
            again[weight], wanted, rtol=1e-5, atol=1e-2 * change, err_msg=weight
        )
    statistics = [weight for weight in kept if "moving_" in weight]
    assert all(np.abs(kept[weight] - before[weight]).max() > 0 for weight in statistics)


def test_a_schedule_that_decides_within_the_step_is_refused() -> None:
    model = tiny.model(RANDOM)
    with pytest.raises(ValueError, match=r"gradient_checkpointing .* set model\.large_frames"):
        model.compile(
            optimizer=lstd.build_optimizer(TRAIN),
            loss=lstd.DetectionLoss.from_config(RANDOM),
            gradient_checkpointing=True,
        )
