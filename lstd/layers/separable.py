"""The memory's separable convolutions: 3x3 depthwise, then 1x1 with bias, without batch norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.layers import conv


class SeparableKernel(NamedTuple):
    """The weights of one group."""

    depthwise: tf.Variable  # [3, 3, C_in, 1]
    pointwise: tf.Variable  # [1, 1, C_in, C_out]
    bias: tf.Variable  # [C_out]


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


def grouped(parts: Sequence[tf.Tensor], kernels: Sequence[SeparableKernel]) -> tf.Tensor:
    """Returns the separable convolution of each part with its kernel, side by side."""
    outputs = [
        projected(depthwise(part, [kernel.depthwise]), kernel)
        for part, kernel in zip(parts, kernels, strict=True)
    ]
    return tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]


def projected(filtered: tf.Tensor, kernel: SeparableKernel) -> tf.Tensor:
    """Returns the second half of the convolution, 1x1 with bias, of float `[N, H, W, C_in]`."""
    outputs = pointwise(filtered, kernel.pointwise)
    return tf.nn.bias_add(outputs, tf.cast(kernel.bias, filtered.dtype))


def depthwise(inputs: tf.Tensor, kernels: list[Any]) -> tf.Tensor:
    """Returns the 3x3 depthwise convolution of `[N, H, W, sum(C_i)]` with kernels side by side."""
    kernel = tf.concat([tf.cast(part, inputs.dtype) for part in kernels], axis=2)
    return tf.nn.depthwise_conv2d(inputs, kernel, strides=(1, 1, 1, 1), padding="SAME")


def pointwise(inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
    """Returns the 1x1 convolution of float `[N, H, W, C_in]` with `[1, 1, C_in, C_out]`."""
    return tf.nn.conv2d(inputs, tf.cast(kernel, inputs.dtype), strides=1, padding="SAME")
