"""Optimizers on TensorFlow's fused kernels: one operation for each variable, not some thirty.

A MobileNet has hundreds of small variables. With Keras's own update most of the time that a first
step takes goes into tracing their bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.fit import keras_3


class FusedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that clips all gradients in one go, each to its own L2 norm (`clipnorm`)."""

    def _build_learning_rate(self, learning_rate: Any) -> Any:
        keras_3.refuse("learning_rate", learning_rate)
        return super()._build_learning_rate(learning_rate)

    def _clip_gradients(self, grads: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
        if not self.clipnorm or any(isinstance(g, tf.IndexedSlices) for g in grads):
            return super()._clip_gradients(grads)
        present = [gradient for gradient in grads if gradient is not None]
        if not present:
            return list(grads)
        squares = tf.stack([tf.cast(tf.nn.l2_loss(g), tf.float32) for g in present])
        scales = tf.unstack(self.clipnorm / tf.maximum(tf.sqrt(2 * squares), self.clipnorm))
        clipped = iter([g * tf.cast(s, g.dtype) for g, s in zip(present, scales, strict=True)])
        return [None if gradient is None else next(clipped) for gradient in grads]


class _FusedAdam(FusedOptimizer):
    """The update that Adam and AdamW share."""

    def _internal_apply_gradients(self, grads_and_vars: Iterable[Any]) -> tf.Tensor:
        step = tf.cast(self.iterations + 1, tf.float32)
        self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        return super()._internal_apply_gradients(grads_and_vars)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable in place."""
        index = self._index_dict[self._var_key(variable)]
        kind = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.cast(self._powers[0], kind),
            beta2_power=tf.cast(self._powers[1], kind),
            lr=tf.cast(self.learning_rate, kind),
            beta1=tf.constant(self.beta_1, kind),
            beta2=tf.constant(self.beta_2, kind),
            epsilon=tf.constant(self.epsilon, kind),
            grad=tf.convert_to_tensor(gradient),
        )


@keras.saving.register_keras_serializable(package="lstd")
class Adam(_FusedAdam, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, the same numbers; without AMSGrad."""


@keras.saving.register_keras_serializable(package="lstd")
class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, the same numbers; without AMSGrad."""
