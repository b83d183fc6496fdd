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
    """What the two layers below share: the batch norm and relu6 that follow the convolution.

    Attributes:
        frozen_statistics: batch norm normalises with its stored statistics in training too, and
            leaves them as they are.
    """

    frozen_statistics = False

    def __init__(
        self,
        *,
        kernel_size: int,
        strides: int,
        activation: bool,
        l2_weight: float,
        initializer_stddev: float,
        batch_norm_decay: float,
        batch_norm_epsilon: float,
        bessel_correction: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.strides = strides
        self.activation = activation
        self.l2_weight = l2_weight
        self.initializer_stddev = initializer_stddev
        self.batch_norm_decay = batch_norm_decay
        self.batch_norm_epsilon = batch_norm_epsilon
        self.bessel_correction = bessel_correction
        self.convolution = self._make_convolution()
        self.batch_norm = keras.layers.BatchNormalization(
            momentum=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            fused=bessel_correction,  # The fused kernel stores variance * n / (n - 1).
            name="batch_norm",
        )

    def _make_convolution(self) -> keras.layers.Layer:
        raise NotImplementedError

    def build(self, input_shape: tf.TensorShape) -> None:
        self.convolution.build(input_shape)
        self.batch_norm.build(self.convolution.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        training = training and not self.frozen_statistics
        outputs = self.batch_norm(self._convolved(inputs), training=training)
        return tf.nn.relu6(outputs) if self.activation else outputs

    def _convolved(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.convolution(inputs)

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns kernel and bias of the one convolution that the layer is in inference.

        The kernel is `[k, k, C_in, C_out]`, of a depthwise convolution `[k, k, C, 1]`; the bias has
        a value for each channel of the output.
        """
        norm = self.batch_norm
        factor = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        return self._scaled_kernel(factor), norm.beta - norm.moving_mean * factor

    def _scaled_kernel(self, factor: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return self.convolution.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": self.activation,
            "l2_weight": self.l2_weight,
            "initializer_stddev": self.initializer_stddev,
            "batch_norm_decay": self.batch_norm_decay,
            "batch_norm_epsilon": self.batch_norm_epsilon,
            "bessel_correction": self.bessel_correction,
        }


@keras.saving.register_keras_serializable(package="lstd")
class ConvBN(_NormalizedConv):
    """relu6(batch_norm(conv(x))): convolution without bias, SAME padding.

    Call arguments:
        inputs: float `[N, H, W, C]`.
        training: batch statistics (and their update) instead of the stored ones.

    Returns `[N, ceil(H / strides), ceil(W / strides), filters]`.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernel.
        strides: in both directions.
        activation: False leaves the relu6 out ("linear").
        l2_weight: regularisation of the kernel, see `l2`.
        initializer_stddev: of the kernel's truncated normal.
        batch_norm_decay: share of the old value that a moving statistic keeps in a step.
        batch_norm_epsilon: added to the variance.
        bessel_correction: the stored variance is the unbiased one, n / (n - 1) times the biased
            (TF1's fused batch norm); the normalisation itself always uses the biased one.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        self._filters = filters
        super().__init__(**_with_defaults(kwargs))
        self.filters = filters

    def _make_convolution(self) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            self._filters,
            self.kernel_size,
            strides=self.strides,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_stddev),
            kernel_regularizer=l2(self.l2_weight),
            name="conv",
        )

    def _scaled_kernel(self, factor: tf.Tensor) -> tf.Tensor:
        return self.convolution.kernel * factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="lstd")
class DepthwiseConvBN(_NormalizedConv):
    """relu6(batch_norm(depthwise_conv(x))): one kernel a channel, no bias, SAME padding.

    Call arguments, result and arguments as for `ConvBN`, with as many channels out as in.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_with_defaults({"kernel_size": 3, **kwargs}))

    def _make_convolution(self) -> keras.layers.Layer:
        return keras.layers.DepthwiseConv2D(
            self.kernel_size,
            strides=self.strides,
            padding="same",
            use_bias=False,
            depthwise_initializer=keras.initializers.TruncatedNormal(
                stddev=self.initializer_stddev
            ),
            depthwise_regularizer=l2(self.l2_weight),
            name="conv",
        )

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


def _with_defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "kernel_size": 1,
        "strides": 1,
        "activation": True,
        "l2_weight": 0.0,
        "initializer_stddev": 0.03,
        "batch_norm_decay": 0.9997,
        "batch_norm_epsilon": 0.001,
        "bessel_correction": True,
        **arguments,
    }
