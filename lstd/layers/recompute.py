"""Gradient checkpointing: activations that are computed again instead of being kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf
import tf_keras as keras

from lstd.layers.fake_quant import FakeQuant


def apply(
    layers: Sequence[keras.layers.Layer], inputs: tf.Tensor, *, training: bool, recompute: bool
) -> tf.Tensor:
    """Returns the layers applied one after the other.

    With `recompute`, in training, nothing between `inputs` and the result is kept for the gradient,
    which runs the layers once more; the statistics of batch norm are updated in the first run only.
    The values of result and gradient are the same either way.

    Source: Chen et al., 2016 (https://arxiv.org/abs/1604.06174).
    """
    if not (training and recompute):
        return _run(layers, inputs, training)
    runs = 0

    def run(tensor: tf.Tensor) -> tf.Tensor:
        nonlocal runs
        runs += 1
        with contextlib.nullcontext() if runs == 1 else _statistics_kept(layers):
            return _run(layers, tensor, training)

    return tf.recompute_grad(run)(inputs)


def _run(layers: Sequence[keras.layers.Layer], inputs: tf.Tensor, training: bool) -> tf.Tensor:
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs, training=training)
    return outputs


@contextlib.contextmanager
def _statistics_kept(layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Batch norm keeps all of its moving statistics, and still normalises with those of a batch.

    So do the ranges of 8 bits.
    """
    modules = [module for layer in layers for module in layer.submodules]
    kept = [
        *((each, "momentum", 1.0) for each in modules if hasattr(each, "momentum")),
        *((each, "frozen_statistics", True) for each in modules if isinstance(each, FakeQuant)),
    ]
    before = [getattr(each, name) for each, name, _ in kept]
    for each, name, value in kept:
        setattr(each, name, value)
    try:
        yield
    finally:
        for (each, name, _), value in zip(kept, before, strict=True):
            setattr(each, name, value)
