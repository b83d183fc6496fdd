"""The projection of feature and hidden state to the state depth, before the gates."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers import separable
from lstd.layers.fake_quant import FakeQuant


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
    rounds x, h and b to 8 bits, x and h_k within one range for each group.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.state_depth = state_depth
        self.groups = groups
        self.activation = activation
        self.l2_weight = l2_weight
        self.initializer_stddev = initializer_stddev
        self.quantized = quantized
        self._activate = activation_of(activation)
        if quantized:
            self.input_range = FakeQuant(groups=groups, name="input_range")
            self.output_range = FakeQuant(name="output_range")

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
        super().build(input_shape)

    def input_part(
        self, inputs: tf.Tensor, hidden: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns what x contributes, bias included: float `[N, h, w, D]`.

        In training, a quantised layer takes its range from x and from `hidden`, h before the clip.
        """
        kernels = [kernel.rows(slice(None, self.input_depth)) for kernel in self.kernels]
        parts = [inputs] * self.groups
        if self.quantized:
            joined = tf.concat(parts, axis=-1)
            if training:
                self.input_range.observe(joined, *([] if hidden is None else [hidden]))
            parts = tf.split(self.input_range.rounded(joined), self.groups, axis=-1)
        return separable.grouped(parts, kernels)

    def state_part(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns what h contributes: float `[N, h, w, D]`."""
        if self.quantized:
            hidden = self.input_range.rounded(hidden)
        kernels = [kernel.rows(slice(self.input_depth, None)) for kernel in self.kernels]
        filtered = separable.depthwise(hidden, kernels)
        parts = [
            separable.pointwise(part, kernel.pointwise)
            for part, kernel in zip(tf.split(filtered, self.groups, axis=-1), kernels, strict=True)
        ]
        return tf.concat(parts, axis=-1) if len(parts) > 1 else parts[0]

    def join(
        self, input_part: tf.Tensor, state_part: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Returns the bottleneck from its two parts."""
        outputs = self._activate(input_part + state_part)
        return self.output_range(outputs, training=training) if self.quantized else outputs

    def call(self, inputs: tf.Tensor, hidden: tf.Tensor, training: bool = False) -> tf.Tensor:
        parts = self.input_part(inputs, hidden, training), self.state_part(hidden)
        return self.join(*parts, training)


def activation_of(name: str) -> Any:
    """Returns the function called `name`: "relu6", or any Keras activation."""
    return tf.nn.relu6 if name == "relu6" else keras.activations.get(name)
