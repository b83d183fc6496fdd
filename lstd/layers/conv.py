"""Convolutions with batch norm and relu6, as all parts of the network but the memory use them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


def l2(weight: float) -> keras.regularizers.Regularizer | None:
    """Returns the regulariser `weight * sum(w^2) / 2`, or None for weight 0.

    The half is TF1's `tf.nn.l2_loss`; Keras's own L2 has none.
    """
    return keras.regularizers.L2(weight / 2) if weight else None


class _NormalizedConv(keras.layers.Layer):
    """What the two layers below share: the batch norm and relu6 that follow the convolution."""

    frozen_statistics = False
    """Batch norm normalises with its stored statistics in training too, and leaves them so."""

    def __init__(
        self,
        convolution: keras.layers.Layer,
        *,
        activation: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        bessel_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.strides = convolution.strides[0]
        self.activation = activation
        self.convolution = convolution
        self.batch_norm = keras.layers.BatchNormalization(
            momentum=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            fused=bessel_correction,  # The fused kernel stores variance * n / (n - 1).
            name="batch_norm",
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        self.convolution.build(input_shape)
        self.batch_norm.build(self.convolution.compute_output_shape(input_shape))
        super().build(input_shape)

    @property
    def statistics(self) -> list[tf.Variable]:
        """What training changes without a gradient."""
        return [self.batch_norm.moving_mean, self.batch_norm.moving_variance]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        training = training and not self.frozen_statistics
        outputs = self.batch_norm(self._convolved(inputs), training=training)
        return tf.nn.relu6(outputs) if self.activation else outputs

    def _convolved(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.convolution(inputs)

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns kernel and bias of the one convolution that the layer is in inference."""
        norm = self.batch_norm
        factor = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        return self._scaled_kernel(factor), norm.beta - norm.moving_mean * factor

    def _scaled_kernel(self, factor: tf.Tensor) -> tf.Tensor:
        return self.convolution.kernel * factor

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return self.convolution.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable(package="lstd")
class ConvBN(_NormalizedConv):
    """relu6(batch_norm(conv(x))): convolution without bias, SAME padding.

    Called with float `[N, H, W, C]`; returns `[N, ceil(H / strides), ceil(W / strides), filters]`.
    With `training` it normalises by the statistics of the batch, and updates the stored ones.

    Args:
        l2_weight: regularisation of the kernel, see `l2`.
        initializer_stddev: of the kernel's truncated normal.
        activation: False leaves the relu6 out ("linear").
        batch_norm_decay: share of the old value that a moving statistic keeps in a step.
        bessel_correction: the stored variance is the unbiased one, n / (n - 1) times the biased
            (TF1's fused batch norm); the normalisation itself always uses the biased one.
    """

    def __init__(
        self,
        filters: int,
        *,
        kernel_size: int = 1,
        strides: int = 1,
        l2_weight: float = 0.0,
        initializer_stddev: float = 0.03,
        **kwargs: Any,
    ) -> None:
        convolution = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_stddev),
            kernel_regularizer=l2(l2_weight),
            name="conv",
        )
        super().__init__(convolution, **kwargs)
        self.filters = filters


@keras.saving.register_keras_serializable(package="lstd")
class DepthwiseConvBN(_NormalizedConv):
    """relu6(batch_norm(depthwise_conv(x))): one kernel a channel, no bias, SAME padding.

    All else as in `ConvBN`, with as many channels out as in.
    """

    def __init__(
        self,
        *,
        kernel_size: int = 3,
        strides: int = 1,
        l2_weight: float = 0.0,
        initializer_stddev: float = 0.03,
        **kwargs: Any,
    ) -> None:
        convolution = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            depthwise_initializer=keras.initializers.TruncatedNormal(stddev=initializer_stddev),
            depthwise_regularizer=l2(l2_weight),
            name="conv",
        )
        super().__init__(convolution, **kwargs)

    def _convolved(self, inputs: tf.Tensor) -> tf.Tensor:
        if inputs.dtype != tf.bfloat16 or self.strides == 1 or inputs.shape[2] != 1:
            return self.convolution(inputs)
        # In bfloat16, oneDNN's gradient of the kernel is memory that nobody has written wherever
        # the kernel sees nothing of a map so narrow (TensorFlow 2.21); in float32 it is 0.
        outputs = tf.nn.depthwise_conv2d(
            tf.cast(inputs, tf.float32),
            tf.cast(self.convolution.depthwise_kernel, tf.float32),
            strides=(1, self.strides, self.strides, 1),
            padding="SAME",
        )
        return tf.cast(outputs, tf.bfloat16)

    def _scaled_kernel(self, factor: tf.Tensor) -> tf.Tensor:
        return self.convolution.depthwise_kernel * factor[:, tf.newaxis]
