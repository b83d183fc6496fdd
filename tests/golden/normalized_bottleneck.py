"""The bottleneck with batch norm in front of the sum, which no config of the original asks for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers import separable


@keras.saving.register_keras_serializable(package="lstd")
class NormalizedBottleneck(keras.layers.Layer):
    """Projection of feature and hidden state to the state depth, each normalised, in groups.

        b_k = BN_x(sepconv_xk(x)) + BN_h(sepconv_hk(h_k)),    b = [b_1 ... b_G]

    h_k is the k-th slice of the channels of h; sepconv is 3x3 depthwise, then 1x1 with bias. Unlike
    in `Bottleneck`, feature and hidden state have kernels of their own, and there is no activation.
    `ConvLSTMCell` takes the result as it takes that of `Bottleneck`.

    Call arguments:
        inputs: the feature x, float `[N, h, w, C]`.
        hidden: the hidden state h, float `[N, h, w, D]`.
        training: batch norm takes the batch's statistics and moves its own.

    Returns float `[N, h, w, D]`.

    Args:
        state_depth: D.
        groups: G; divides D.
        batch_norm_decay: of the moving statistics.
        batch_norm_epsilon: added to the variance.
        l2_weight: regularisation of depthwise and pointwise kernels.
        initializer_stddev: of the truncated normal.

    Raises:
        ValueError: `state_depth` is not divisible by `groups`.

    Source: the TF1 code's grouped cell with `use_batch_norm`.
    """

    def __init__(
        self,
        *,
        state_depth: int,
        groups: int = 1,
        batch_norm_decay: float = 0.9997,
        batch_norm_epsilon: float = 0.001,
        l2_weight: float = 0.0,
        initializer_stddev: float = 0.03,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if state_depth % groups:
            raise ValueError(f"state_depth {state_depth} is not divisible by groups {groups}")
        self.state_depth = state_depth
        self.groups = groups
        self.batch_norm_decay = batch_norm_decay
        self.batch_norm_epsilon = batch_norm_epsilon
        self.l2_weight = l2_weight
        self.initializer_stddev = initializer_stddev
        # One for all groups: batch norm does not mix channels.
        self.input_norm, self.hidden_norm = (
            keras.layers.BatchNormalization(
                momentum=batch_norm_decay, epsilon=batch_norm_epsilon, name=name
            )
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
                    l2_weight=self.l2_weight,
                    initializer_stddev=self.initializer_stddev,
                )
                for group in range(self.groups)
            ]
            for name, channels in channels_in.items()
        )
        for norm in (self.input_norm, self.hidden_norm):
            norm.build([None, None, None, self.state_depth])
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, hidden: tf.Tensor, training: bool = False) -> tf.Tensor:
        slices = tf.split(hidden, self.groups, axis=-1)
        projected = separable.grouped([inputs] * self.groups, self.input_kernels)
        recalled = separable.grouped(slices, self.hidden_kernels)
        return self.input_norm(projected, training=training) + self.hidden_norm(
            recalled, training=training
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "state_depth": self.state_depth,
            "groups": self.groups,
            "batch_norm_decay": self.batch_norm_decay,
            "batch_norm_epsilon": self.batch_norm_epsilon,
            "l2_weight": self.l2_weight,
            "initializer_stddev": self.initializer_stddev,
        }
