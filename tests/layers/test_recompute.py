"""Computing activations again changes nothing but memory and time."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.layers import recompute
from lstd.layers.conv import ConvBN
from lstd.models.mobilenet_v1 import MobileNetV1
from lstd.models.mobilenet_v2 import MobileNetV2
from tests import tiny

TRAIN = TrainConfig(learning_rate=LearningRateConfig(schedule="constant", initial=0.1))
RANDOM = dataclasses.replace(tiny.CONFIG, train_schedule="RANDOM")


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


@pytest.mark.parametrize("make", [MobileNetV1, MobileNetV2])
def test_gradients_and_statistics_of_a_backbone_are_the_same(make: Any) -> None:
    backbone = make(depth_multiplier=0.1, min_depth=8)
    inputs = tf.random.stateless_normal([2, 32, 32, 3], seed=(0, 1))
    backbone(inputs)
    tiny.scramble(backbone)
    before, found = backbone.get_weights(), []
    for again in (False, True):
        backbone.set_weights(before)
        backbone.recomputes_activations = again
        with tf.GradientTape() as tape:
            outputs = backbone(inputs, training=True)
        found.append([*tape.gradient(outputs, backbone.trainable_variables), *backbone.weights])
        found[-1] = [value.numpy() for value in found[-1]]
    for kept, again in zip(*found, strict=True):
        np.testing.assert_allclose(again, kept, rtol=1e-4, atol=1e-4 * np.abs(kept).max())


def test_compile_tells_the_backbones() -> None:
    model = tiny.model(tiny.FIRST_PAPER)
    loss = lstd.DetectionLoss.from_config(tiny.FIRST_PAPER)
    for again in (True, False):
        model.compile(lstd.build_optimizer(TRAIN), loss, gradient_checkpointing=again)
        assert model.large.recomputes_activations is again


def test_a_schedule_that_decides_within_the_step_is_refused() -> None:
    model = tiny.model(RANDOM)
    with pytest.raises(ValueError, match=r"gradient_checkpointing .* set model\.large_frames"):
        model.compile(
            optimizer=lstd.build_optimizer(TRAIN),
            loss=lstd.DetectionLoss.from_config(RANDOM),
            gradient_checkpointing=True,
        )
