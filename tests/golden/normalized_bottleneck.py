"""The bottleneck with batch norm in front of the sum, which no config of the original asks for."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from lstd.layers import separable


class NormalizedBottleneck(keras.layers.Layer):
    """Projection of feature and hidden state to the state depth, each normalised, in groups.

        b_k = BN_x(sepconv_xk(x)) + BN_h(sepconv_hk(h_k)),    b = [b_1 ... b_G]

    h_k is the k-th slice of the channels of h; sepconv is 3x3 depthwise, then 1x1 with bias. Unlike
    in `Bottleneck`, feature and hidden state have kernels of their own, and there is no activation.

    Source: the TF1 code's grouped cell with `use_batch_norm`.
    """

    def __init__(self, *, state_depth: int, groups: int) -> None:
        super().__init__()
        self.state_depth, self.groups = state_depth, groups
        # One for all groups: batch norm does not mix channels.
        self.input_norm, self.hidden_norm = (
            keras.layers.BatchNormalization(epsilon=0.001, name=name)
            for name in ("input_norm", "hidden_norm")
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        depth = self.state_depth // self.groups
        channels_in = {"input": int(tf.TensorShape(input_shape)[-1]), "hidden": depth}
        self.input_kernels, self.hidden_kernels = (
            [
                separable.add_kernel(
                    self,
                    f"{name}_{group}",
                    channels_in=channels,
                    channels_out=depth,
                    l2_weight=0.0,
                    initializer_stddev=0.03,
                )
                for group in range(self.groups)
            ]
            for name, channels in channels_in.items()
        )
        for norm in (self.input_norm, self.hidden_norm):
            norm.build([None, None, None, self.state_depth])
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
        slices = tf.split(hidden, self.groups, axis=-1)
        projected = separable.grouped([inputs] * self.groups, self.input_kernels)
        recalled = separable.grouped(slices, self.hidden_kernels)
        return self.input_norm(projected) + self.hidden_norm(recalled)
