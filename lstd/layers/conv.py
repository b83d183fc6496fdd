"""Convolutions with batch norm and relu6, as all parts of the network but the memory use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers.fake_quant import FakeQuant, bias_on_grid, on_grid, six_scale


def l2(weight: float) -> keras.regularizers.Regularizer | None:
    """Returns the regulariser `weight * sum(w^2) / 2`, or None for weight 0.

    The half is TF1's `tf.nn.l2_loss`; Keras's own L2 has none.
    """
    return keras.regularizers.L2(weight / 2) if weight else None


class _NormalizedConv(keras.layers.Layer):
    """What the two layers below share: the batch norm and relu6 that follow the convolution."""

    frozen_statistics = False
    """Batch norm normalises with its stored statistics in training too, and leaves them so."""
    rounds = True
    """False: a kernel in 8 bits is rounded in inference only."""
    input_scale: Callable[[], Any] = staticmethod(six_scale)
    """A level of what goes in, in 8 bits."""
    _output_axis = -1  # of the kernel

    def __init__(
        self,
        convolution: keras.layers.Layer,
        *,
        activation: bool = True,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        bessel_correction: bool = True,
        int8: bool = False,
        float_kernel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.int8 = int8
        self.float_kernel = float_kernel
        if int8:
            self.output_range = FakeQuant(
                0.0 if activation else -6.0, learned=not activation, name="output_range"
            )
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
        of_batch = training and not self.frozen_statistics
        if not self.int8:
            outputs = self.batch_norm(self._convolved(inputs), training=of_batch)
        elif of_batch:
            outputs = self.batch_norm(self._filtered(inputs, self._kernel(training)), training=True)
        else:
            kernel, bias = self.folded(training)
            outputs = tf.nn.bias_add(self._filtered(inputs, kernel), tf.cast(bias, inputs.dtype))
        return self.activated(outputs, training)

    def activated(self, outputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns what the layer makes of the convolution's output, batch norm included."""
        outputs = tf.nn.relu6(outputs) if self.activation else outputs
        return self.output_range(outputs, training=training) if self.int8 else outputs

    def _convolved(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.convolution(inputs)

    def folded(self, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns kernel and bias of the one convolution that the layer is in inference."""
        norm = self.batch_norm
        factor = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        kernel = self._scaled(self._kernel(training), factor)
        bias = norm.beta - norm.moving_mean * factor
        if self.int8 and not self.float_kernel and (self.rounds or not training):
            scale, axis = self.input_scale(), self._output_axis
            bias = bias_on_grid(bias, kernel, input_scale=scale, axis=axis)
        return kernel, bias

    def _kernel(self, training: bool) -> tf.Tensor:
        """Returns the kernel, rounded in 8 bits; a factor for each output channel changes no level.

        So batch norm may be folded into it before or after.
        """
        kernel = tf.convert_to_tensor(self._raw_kernel)
        floats = not self.int8 or self.float_kernel or (training and not self.rounds)
        return kernel if floats else on_grid(kernel, axis=self._output_axis)

    @property
    def _raw_kernel(self) -> tf.Variable:
        return self.convolution.kernel

    def _filtered(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(inputs, tf.cast(kernel, inputs.dtype), self.strides, "SAME")

    def _scaled(self, kernel: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        return kernel * factor


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
        int8: kernel and output are rounded as an int8 file has them, the output within [0, 6], or
            without activation within a learned range.
        float_kernel: of such a layer, the kernel is not rounded.
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

    _output_axis = 2

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

    @property
    def _raw_kernel(self) -> tf.Variable:
        return self.convolution.depthwise_kernel

    def _filtered(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        strides = (1, self.strides, self.strides, 1)
        return tf.nn.depthwise_conv2d(inputs, tf.cast(kernel, inputs.dtype), strides, "SAME")

    def _scaled(self, kernel: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        return kernel * factor[:, tf.newaxis]
