"""Rounding to 8 bits in float, so that training gets used to what 8-bit arithmetic computes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


def rounded(inputs: tf.Tensor, low: Any, high: Any) -> tf.Tensor:
    """Returns each number as the nearest of 256 levels from `low` to `high`, in the same dtype.

    0 is one of the levels; the range is moved by less than one level for that. The gradient is
    that of clipping to the range.

    Source: Jacob et al., 2018 (https://arxiv.org/abs/1712.05877), section 3.
    """
    outputs = tf.quantization.fake_quant_with_min_max_vars(tf.cast(inputs, tf.float32), low, high)
    return tf.cast(outputs, inputs.dtype)


@keras.saving.register_keras_serializable(package="lstd")
class FakeQuant(keras.layers.Layer):
    """Rounding to 8 bits within a learned range: where the values have been in training.

        low = average of min(0, smallest value),    high = average of max(0, largest value)

    Before training they are what the arguments say. The averages decay exponentially, and the
    first batch sets them. A new range counts in the same step.

    Called with float `[..., D]`; returns the same shape. `training` moves the range.

    Args:
        low: the range before training; `high` likewise.
        groups: number of equal slices of the channels that have a range of their own.
        decay: share of the old average that is kept in a step.

    Source: as in the TF1 code's `quantize_op`, with its zero-debiased averages.
    """

    frozen_statistics = False
    """The range stays as it is, in training too."""

    def __init__(
        self,
        low: float = 0.0,
        high: float = 6.0,
        *,
        groups: int = 1,
        decay: float = 0.999,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high
        self.groups = groups
        self.decay = decay

    def build(self, input_shape: Any) -> None:
        def variable(name: str, shape: tuple[int, ...], value: float) -> tf.Variable:
            return self.add_weight(
                name=f"{self.name}/{name}",
                shape=shape,
                initializer=keras.initializers.Constant(value),
                trainable=False,
                dtype=tf.float32,
                experimental_autocast=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
            )

        self.lows = [variable(f"min_{group}", (), self.low) for group in range(self.groups)]
        self.highs = [variable(f"max_{group}", (), self.high) for group in range(self.groups)]
        self.sums = variable("sums", (2, self.groups), 0.0)
        self.steps = variable("steps", (), 0.0)
        super().build(input_shape)

    @property
    def statistics(self) -> list[tf.Variable]:
        """What training changes without a gradient."""
        return [*self.lows, *self.highs]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            self.observe(inputs)
        return self.rounded(inputs)

    def rounded(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[..., D]` rounded within the range as it is."""
        parts = tf.split(inputs, self.groups, axis=-1) if self.groups > 1 else [inputs]
        parts = [
            rounded(part, low, high)
            for part, low, high in zip(parts, self.lows, self.highs, strict=True)
        ]
        return tf.concat(parts, axis=-1) if self.groups > 1 else parts[0]

    def observe(self, *tensors: tf.Tensor) -> None:
        """Moves the range towards that of all values of tensors `[..., D]`, as one step."""
        if self.frozen_statistics:
            return
        flat = [
            tf.reshape(tf.cast(each, tf.float32), [-1, self.groups, each.shape[-1] // self.groups])
            for each in tensors
        ]
        lows = [tf.reduce_min(each, axis=(0, 2)) for each in flat]
        highs = [tf.reduce_max(each, axis=(0, 2)) for each in flat]
        seen = [tf.minimum(0.0, tf.reduce_min(lows, 0)), tf.maximum(0.0, tf.reduce_max(highs, 0))]
        self.sums.assign_sub((self.sums - tf.stop_gradient(seen)) * (1.0 - self.decay))
        self.steps.assign_add(1.0)
        ranges = self.sums / (1.0 - tf.pow(self.decay, self.steps))
        for row, variables in enumerate((self.lows, self.highs)):
            for group, variable in enumerate(variables):
                variable.assign(ranges[row, group])
