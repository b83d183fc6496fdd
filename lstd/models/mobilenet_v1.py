"""MobileNetV1 without its classifier, as a table and a loop."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers import recompute
from lstd.layers.conv import ConvBN, DepthwiseConvBN

# Channels and stride of the depthwise-pointwise pairs. Source: Howard et al., 2017
# (https://arxiv.org/abs/1704.04861), table 1.
FIRST_CHANNELS = 32
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def truncated(channels: int, multiplier: float, *, minimum: int) -> int:
    """Returns channels scaled by a multiplier: truncated, at least the minimum.

    >>> truncated(32, 0.7, minimum=16), truncated(32, 0.25, minimum=16)
    (22, 16)
    """
    return max(int(channels * multiplier), minimum)


@keras.saving.register_keras_serializable(package="lstd")
class MobileNetV1(keras.layers.Layer):
    """Backbone of 13 depthwise-pointwise pairs with a total stride of 32.

    Call arguments:
        inputs: float in [-1, 1], `[N, H, W, C]`.
        training: see `ConvBN`.

    Returns `[N, ceil(H / 32), ceil(W / 32), depth]`.

    Args:
        depth_multiplier: scales all channels; the result is truncated.
        min_depth: no layer has fewer channels.
        return_fine: as in `MobileNetV2`.
        convolution: arguments that all convolutions share. `l2_weight` does not reach the depthwise
            kernels, as in the original.

    Source: Howard et al., 2017 (https://arxiv.org/abs/1704.04861); as in TF1 slim.
    """

    recomputes_activations = False  # In training, all but what enters a pair; see layers.recompute.

    def __init__(
        self,
        *,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        return_fine: bool = False,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_multiplier = depth_multiplier
        self.min_depth = min_depth
        self.return_fine = return_fine
        self.convolution = {"initializer_stddev": 0.09, **(convolution or {})}
        self.first = ConvBN(
            self._depth(FIRST_CHANNELS),
            kernel_size=3,
            strides=2,
            **self.convolution,
            float_kernel=True,
            name="conv",
        )
        self.depthwises = [
            DepthwiseConvBN(
                strides=stride, **{**self.convolution, "l2_weight": 0.0}, name=f"depthwise_{number}"
            )
            for number, (_, stride) in enumerate(PAIRS, start=1)
        ]
        self.pointwises = [
            ConvBN(self._depth(channels), **self.convolution, name=f"pointwise_{number}")
            for number, (channels, _) in enumerate(PAIRS, start=1)
        ]

    def _depth(self, channels: int) -> int:
        return truncated(channels, self.depth_multiplier, minimum=self.min_depth)

    @property
    def output_depth(self) -> int:
        """Channels of the result."""
        return self.pointwises[-1].filters

    def call(self, inputs: tf.Tensor, training: bool = False) -> Any:
        fine = outputs = inputs
        for block in ((self.first,), *zip(self.depthwises, self.pointwises, strict=True)):
            fine = outputs if block[0].strides > 1 else fine
            outputs = recompute.apply(
                block, outputs, training=training, recompute=self.recomputes_activations
            )
        return (fine, outputs) if self.return_fine else outputs
