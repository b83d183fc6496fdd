"""The projection of feature and hidden state to the state depth, before the gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers import separable
from lstd.layers.fake_quant import FakeQuant

_MOST_INPUTS = 4  # of a concatenation; XNNPACK takes five at most


@keras.saving.register_keras_serializable(package="lstd")
class Bottleneck(keras.layers.Layer):
    """Projection of [feature, h] to the state depth, in groups.

        b_k = activation(sepconv_k([x, h_k])),    b = [b_1 ... b_G]

    h_k is the k-th slice of the channels of h; the whole feature x feeds every group; sepconv is
    3x3 depthwise, then 1x1 with bias. Called with x, float `[N, h, w, C]`, and h, float
    `[N, h, w, D]`; returns float `[N, h, w, D]`.

    Since sepconv is linear, it is the sum of a part that only x enters and a part that only h
    enters. `input_part` can thus run on all frames of a clip at once; only `state_part` has to be
    in the recurrence. `call` is both together.

    Args: as in `ConvLSTMCell`; with one group it is the first paper's bottleneck. If quantised, it
    rounds x, h and b to 8 bits, x and h_k within one range for each group. With `int8` these are
    rounded within [0, 6], and so are the weights, what is between the halves of each convolution,
    and what comes out of it.

    Source: Liu et al., 2019 (https://arxiv.org/abs/1903.10172), section 3.3.
    """

    def __init__(
        self,
        *,
        state_depth: int,
        groups: int = 1,
        activation: str = "relu6",
        l2_weight: float = 0.0,
        initializer_stddev: float | None = 0.03,
        quantized: bool = False,
        int8: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.state_depth = state_depth
        self.groups = groups
        self.activation = activation
        self.l2_weight = l2_weight
        self.initializer_stddev = initializer_stddev
        self.quantized = quantized or int8
        self.int8 = int8
        self._activate = activation_of(activation)
        if self.quantized:
            shared = 1 if int8 else groups
            self.input_range = FakeQuant(groups=shared, learned=not int8, name="input_range")
            self.output_range = FakeQuant(learned=not int8, name="output_range")
        self.ranges = {
            name: FakeQuant(-6.0, name=name)
            for name in ("x_filtered", "x_projected", "h_filtered", "h_projected")
            if int8
        }

    rounds = True  # see `ConvBN`

    def build(self, input_shape: tf.TensorShape) -> None:
        self.input_depth = int(tf.TensorShape(input_shape)[-1])
        depth = self.state_depth // self.groups
        self.kernels = [
            separable.add_kernel(
                self,
                f"group_{group}",
                channels_in=self.input_depth + depth,
                channels_out=depth,
                l2_weight=self.l2_weight,
                initializer_stddev=self.initializer_stddev,
                gain=2.0,  # relu6 halves the power
            )
            for group in range(self.groups)
        ]
        if self.quantized:
            self.kernels = separable.with_depthwise_biases(self, self.kernels)
            self.input_range.build(input_shape)
            self.output_range.build(input_shape)
        for each in self.ranges.values():
            each.build(input_shape)
        super().build(input_shape)

    def input_part(
        self, inputs: tf.Tensor, hidden: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns what x contributes, bias included: float `[N, h, w, D]`.

        In training, a quantised layer takes its range from x and from `hidden`, h before the clip.
        """
        if self.int8:
            return self.part("x", self.input_range.rounded(inputs, training), training=training)
        kernels = [kernel.rows(slice(None, self.input_depth)) for kernel in self.kernels]
        parts = [inputs] * self.groups
        if self.quantized:
            joined = tf.concat(parts, axis=-1)
            if training:
                self.input_range.observe(joined, *([] if hidden is None else [hidden]))
            parts = tf.split(self.input_range.rounded(joined), self.groups, axis=-1)
        return separable.grouped(parts, kernels)

    def state_part(self, hidden: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns what h contributes: float `[N, h, w, D]`."""
        if self.int8:
            return self.part("h", self.input_range.rounded(hidden, training), training=training)
        if self.quantized:
            hidden = self.input_range.rounded(hidden)
        kernels = [kernel.rows(slice(self.input_depth, None)) for kernel in self.kernels]
        filtered = separable.depthwise(hidden, kernels)
        return separable.by_group(filtered, kernels)

    def part(
        self,
        name: str,
        inputs: tf.Tensor,
        training: bool = False,
        pointwise: Callable[..., tf.Tensor] = separable.by_group,
    ) -> tf.Tensor:
        """Returns in 8 bits what "x" or "h", rounded already, contributes: float `[N, h, w, D]`.

        `pointwise` is how the groups are projected.
        """
        rows = slice(None, self.input_depth) if name == "x" else slice(self.input_depth, None)
        kernels = [kernel.rows(rows) for kernel in self.kernels]
        if self.rounds or not training:
            between = self.ranges[f"{name}_filtered"].scale()
            kernels = [kernel.on_grid(between) for kernel in kernels]
        if name == "x":
            inputs = concatenated([inputs] * self.groups)
        filtered = separable.depthwise(inputs, kernels)
        filtered = self.ranges[f"{name}_filtered"](filtered, training=training)
        outputs = pointwise(filtered, kernels)
        if name == "x":
            bias = tf.concat([kernel.bias for kernel in kernels], axis=0)
            outputs = tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))
        return self.ranges[f"{name}_projected"](outputs, training=training)

    def join(
        self, input_part: tf.Tensor, state_part: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Returns the bottleneck from its two parts."""
        outputs = self._activate(input_part + state_part)
        return self.output_range(outputs, training=training) if self.quantized else outputs

    def call(self, inputs: tf.Tensor, hidden: tf.Tensor, training: bool = False) -> tf.Tensor:
        parts = self.input_part(inputs, hidden, training), self.state_part(hidden, training)
        return self.join(*parts, training)


def concatenated(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the parts side by side in the last axis, joined in steps of a few."""
    while len(parts) > _MOST_INPUTS:
        runs = [parts[start : start + _MOST_INPUTS] for start in range(0, len(parts), _MOST_INPUTS)]
        parts = [concatenated(run) for run in runs]
    return tf.concat(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def activation_of(name: str) -> Any:
    """Returns the function called `name`: "relu6", or any Keras activation."""
    return tf.nn.relu6 if name == "relu6" else keras.activations.get(name)
