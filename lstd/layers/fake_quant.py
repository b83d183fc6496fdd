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


def on_grid(kernel: tf.Tensor, *, axis: int = -1) -> tf.Tensor:
    """Returns weights as int8 stores them: from -127 to 127 times a scale of each output channel.

    Rounding them once more changes nothing; the gradient passes as if they were not rounded.

    Args:
        kernel: float.
        axis: of the output channels.
    """
    scale = _scale(kernel, axis)
    levels = tf.round(tf.math.divide_no_nan(kernel, scale)) * scale
    return kernel + tf.stop_gradient(levels - kernel)


def bias_on_grid(
    bias: tf.Tensor, kernel: tf.Tensor, *, input_scale: Any, axis: int = -1
) -> tf.Tensor:
    """Returns a bias as int8 convolutions add it: a whole number of input times weight.

    The step is far below a level of the output, but decides in the middle between two of them.

    Args:
        bias: float `[C]`.
        kernel: see `on_grid`.
        input_scale: a level of the convolution's input.
        axis: of the kernel's C output channels.
    """
    step = tf.reshape(_scale(kernel, axis), [-1]) * input_scale
    levels = tf.where(step > 0, tf.round(tf.math.divide_no_nan(bias, step)) * step, bias)
    return bias + tf.stop_gradient(levels - bias)


def _scale(kernel: tf.Tensor, axis: int) -> tf.Tensor:
    others = [each for each in range(len(kernel.shape)) if each != axis % len(kernel.shape)]
    return tf.reduce_max(tf.abs(kernel), axis=others, keepdims=True) / 127.0


def six_scale() -> float:
    """Returns a level of what lies in [0, 6]."""
    return 6 / 255


@keras.saving.register_keras_serializable(package="lstd")
class FakeQuant(keras.layers.Layer):
    """Rounding to 8 bits within a range, learned or fixed: where the values have been in training.

        low = average of min(0, smallest value),    high = average of max(0, largest value)

    Before training they are what the arguments say. The averages decay exponentially, and the
    first batch sets them. A new range counts in the same step.

    Called with float `[..., D]`; returns the same shape. `training` moves the range.

    Args:
        low: the range before training; `high` likewise.
        groups: number of equal slices of the channels that have a range of their own.
        decay: share of the old average that is kept in a step.
        learned: False: the range stays what the arguments say.

    Source: as in the TF1 code's `quantize_op`, with its zero-debiased averages.
    """

    frozen_statistics = False
    """The range stays as it is, in training too."""
    rounds = True
    """False: in training values pass as they are, and only move the range."""

    def __init__(
        self,
        low: float = 0.0,
        high: float = 6.0,
        *,
        groups: int = 1,
        decay: float = 0.999,
        learned: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learned = learned
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

        if self.learned:
            self.lows = [variable(f"min_{group}", (), self.low) for group in range(self.groups)]
            self.highs = [variable(f"max_{group}", (), self.high) for group in range(self.groups)]
            self.sums = variable("sums", (2, self.groups), 0.0)
            self.steps = variable("steps", (), 0.0)
        super().build(input_shape)

    @property
    def statistics(self) -> list[tf.Variable]:
        """What training changes without a gradient."""
        return [*self.lows, *self.highs] if self.learned and self.built else []

    def scale(self) -> Any:
        """Returns a level: the distance of two of the 256."""
        low, high = (self.lows[0], self.highs[0]) if self.learned else (self.low, self.high)
        return (high - low) / 255.0

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if training:
            self.observe(inputs)
        return self.rounded(inputs, training)

    def rounded(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `[..., D]` rounded within the range as it is."""
        if training and not self.rounds:
            return inputs
        if not self.learned:
            return rounded(inputs, self.low, self.high)
        parts = tf.split(inputs, self.groups, axis=-1) if self.groups > 1 else [inputs]
        parts = [
            rounded(part, low, high)
            for part, low, high in zip(parts, self.lows, self.highs, strict=True)
        ]
        return tf.concat(parts, axis=-1) if self.groups > 1 else parts[0]

    def observe(self, *tensors: tf.Tensor) -> None:
        """Moves the range towards that of all values of tensors `[..., D]`, as one step."""
        if self.frozen_statistics or not self.learned:
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
