"""The memory's separable convolutions: 3x3 depthwise, then 1x1 with bias, without batch norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.layers import conv
from lstd.layers.fake_quant import bias_on_grid, on_grid, six_scale


class SeparableKernel(NamedTuple):
    """The weights of one group."""

    depthwise: tf.Variable  # [3, 3, C_in, 1]
    pointwise: tf.Variable  # [1, 1, C_in, C_out]
    bias: tf.Variable  # [C_out]
    depthwise_bias: tf.Variable | None = None  # [C_in], of a quantised cell

    def rows(self, rows: slice) -> SeparableKernel:
        """Returns the weights that meet some of the input's channels."""
        bias = None if self.depthwise_bias is None else self.depthwise_bias[rows]
        return SeparableKernel(
            self.depthwise[:, :, rows], self.pointwise[:, :, rows], self.bias, bias
        )

    def on_grid(self, between: Any) -> SeparableKernel:
        """Returns the weights as int8 stores them.

        What goes in lies in [0, 6], and `between` is a level of what is between the halves.
        """
        depthwise = on_grid(tf.convert_to_tensor(self.depthwise), axis=2)
        pointwise = on_grid(tf.convert_to_tensor(self.pointwise))
        first = tf.convert_to_tensor(self.depthwise_bias)
        second = tf.convert_to_tensor(self.bias)
        return SeparableKernel(
            depthwise,
            pointwise,
            bias_on_grid(second, pointwise, input_scale=between),
            bias_on_grid(first, depthwise, input_scale=six_scale(), axis=2),
        )


def add_kernel(
    layer: keras.layers.Layer,
    name: str,
    *,
    channels_in: int,
    channels_out: int,
    l2_weight: float,
    initializer_stddev: float | None,
    gain: float = 1.0,
) -> SeparableKernel:
    """Returns new trainable weights of `layer`; depthwise and pointwise are regularised.

    Without `initializer_stddev` what comes out is about as loud as what goes in: the truncated
    normals have a standard deviation of 1 / sqrt(the inputs that one output sums up), that of the
    pointwise kernel times sqrt(gain).
    """

    def kernel(part: str, shape: tuple[int, ...], variance: float) -> tf.Variable:
        stddev = math.sqrt(variance) if initializer_stddev is None else initializer_stddev
        return layer.add_weight(
            name=f"{name}/{part}",
            shape=shape,
            initializer=keras.initializers.TruncatedNormal(stddev=stddev),
            regularizer=conv.l2(l2_weight),
        )

    return SeparableKernel(
        kernel("depthwise", (3, 3, channels_in, 1), 1 / 9),
        kernel("pointwise", (1, 1, channels_in, channels_out), gain / channels_in),
        layer.add_weight(name=f"{name}/bias", shape=(channels_out,), initializer="zeros"),
    )


def with_depthwise_biases(
    layer: keras.layers.Layer, kernels: Sequence[SeparableKernel]
) -> list[SeparableKernel]:
    """Returns the kernels with new biases between their halves.

    They come after all other weights of `layer`, so that weights without them fill the rest.
    """
    return [
        kernel._replace(
            depthwise_bias=layer.add_weight(
                name=f"depthwise_bias_{group}",
                shape=kernel.depthwise.shape[2:3],
                initializer="zeros",
            )
        )
        for group, kernel in enumerate(kernels)
    ]


def grouped(parts: Sequence[tf.Tensor], kernels: Sequence[SeparableKernel]) -> tf.Tensor:
    """Returns the separable convolution of each part with its kernel, side by side."""
    outputs = [
        projected(depthwise(part, [kernel]), kernel)
        for part, kernel in zip(parts, kernels, strict=True)
    ]
    return tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]


def projected(filtered: tf.Tensor, kernel: SeparableKernel) -> tf.Tensor:
    """Returns the second half of the convolution, 1x1 with bias, of float `[N, H, W, C_in]`."""
    outputs = pointwise(filtered, kernel.pointwise)
    return tf.nn.bias_add(outputs, tf.cast(kernel.bias, filtered.dtype))


def by_group(filtered: tf.Tensor, kernels: Sequence[SeparableKernel]) -> tf.Tensor:
    """Returns the 1x1 convolution, without bias, of each kernel with its slice of the channels."""
    parts = tf.split(filtered, len(kernels), axis=-1)
    outputs = [
        pointwise(part, kernel.pointwise) for part, kernel in zip(parts, kernels, strict=True)
    ]
    return tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]


def depthwise(inputs: tf.Tensor, kernels: Sequence[SeparableKernel]) -> tf.Tensor:
    """Returns the 3x3 depthwise convolution of `[N, H, W, sum(C_i)]` with kernels side by side."""
    kernel = tf.concat([tf.cast(each.depthwise, inputs.dtype) for each in kernels], axis=2)
    outputs = tf.nn.depthwise_conv2d(inputs, kernel, strides=(1, 1, 1, 1), padding="SAME")
    if kernels[0].depthwise_bias is None:
        return outputs
    bias = tf.concat([each.depthwise_bias for each in kernels], axis=0)
    return tf.nn.bias_add(outputs, tf.cast(bias, inputs.dtype))


def pointwise(inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
    """Returns the 1x1 convolution of float `[N, H, W, C_in]` with `[1, 1, C_in, C_out]`."""
    return tf.nn.conv2d(inputs, tf.cast(kernel, inputs.dtype), strides=1, padding="SAME")
