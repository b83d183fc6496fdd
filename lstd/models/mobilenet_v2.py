"""MobileNetV2 without its classifier, as a table and a loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers import recompute
from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.fake_quant import FakeQuant

# Expansion, channels, repeats, stride of the first. Source: Sandler et al., 2018
# (https://arxiv.org/abs/1801.04381), table 2, without the last convolution.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FIRST_CHANNELS = 32
LOW_RESOLUTION_STRIDE_1 = 5  # The row of BLOCKS that keeps its resolution in a low-resolution net.


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """Returns `value` rounded to a multiple of `divisor`, at least 90 % of it, and the minimum.

    >>> make_divisible(24 * 1.4), make_divisible(16 * 0.35, minimum=16)
    (32, 16)
    """
    rounded = max(minimum or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@keras.saving.register_keras_serializable(package="lstd")
class InvertedResidual(keras.layers.Layer):
    """Expand (1x1), filter (3x3 depthwise), project (1x1); plus identity where it fits.

    Call arguments:
        inputs: float `[N, H, W, C]`.
        training: see `ConvBN`.

    Returns `[N, ceil(H / strides), ceil(W / strides), filters]`. The identity is added if the
    stride is 1 and `filters` equals C.

    Args:
        filters: channels of the output.
        expanded: channels inside; None leaves the expansion out.
        strides: of the depthwise convolution.
        activation: relu6 after the projection, which else is linear.
        convolution: arguments of all convolutions alike. `l2_weight` does not reach the depthwise
            kernel, as in the original.
    """

    def __init__(
        self,
        filters: int,
        *,
        expanded: int | None,
        strides: int = 1,
        activation: bool = False,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.activation = activation
        self.expanded = expanded
        self.strides = strides
        self.convolution = dict(convolution or {})
        self.expand = (
            None if expanded is None else ConvBN(expanded, **self.convolution, name="expand")
        )
        self.depthwise = DepthwiseConvBN(
            strides=strides, **{**self.convolution, "l2_weight": 0.0}, name="depthwise"
        )
        self.project = ConvBN(filters, activation=activation, **self.convolution, name="project")
        if self.convolution.get("int8"):
            self.sum_range = FakeQuant(-6.0, name="sum_range")

    def output_scale(self) -> Any:
        """Returns a level of what comes out, in 8 bits."""
        is_sum = self.sum_range.built
        return (self.sum_range if is_sum else self.project.output_range).scale()

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        outputs = inputs if self.expand is None else self.expand(inputs, training=training)
        outputs = self.depthwise(outputs, training=training)
        outputs = self.project(outputs, training=training)
        fits = self.strides == 1 and inputs.shape[-1] == self.filters
        if not fits:
            return outputs
        total = inputs + outputs
        return self.sum_range(total, training=training) if self.project.int8 else total


@keras.saving.register_keras_serializable(package="lstd")
class MobileNetV2(keras.layers.Layer):
    """Backbone of 18 layers with a total stride of 32, or 16 with `low_resolution`.

    Call arguments:
        inputs: float in [-1, 1], `[N, H, W, C]`.
        training: see `ConvBN`.

    Returns `[N, ceil(H / 32), ceil(W / 32), depth]`, or / 16.

    Args:
        depth_multiplier: scales all channels, see `make_divisible`.
        min_depth: no layer's output has fewer channels.
        low_resolution: the first block of 160 channels keeps its resolution, for frames of half
            size.
        activate_last: relu6 after the last projection, which else is linear; for a quantised cell.
        return_fine: returns (fine, result), fine being the last output at twice the resolution of
            the result.
        convolution: arguments of all convolutions alike.

    Source: Sandler et al., 2018 (https://arxiv.org/abs/1801.04381); as in TF1 slim.
    """

    recomputes_activations = False  # All but what enters a block; see layers.recompute.

    def __init__(
        self,
        *,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        low_resolution: bool = False,
        activate_last: bool = False,
        return_fine: bool = False,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_multiplier = depth_multiplier
        self.min_depth = min_depth
        self.low_resolution = low_resolution
        self.activate_last = activate_last
        self.return_fine = return_fine
        self.convolution = {"initializer_stddev": 0.09, **(convolution or {})}
        channels = make_divisible(FIRST_CHANNELS * depth_multiplier, minimum=min_depth)
        self.first = ConvBN(
            channels, kernel_size=3, strides=2, **self.convolution, float_kernel=True, name="conv"
        )
        self.blocks = self._make_blocks(channels)

    def _make_blocks(self, channels: int) -> list[InvertedResidual]:
        blocks: list[InvertedResidual] = []
        for row, (expansion, base, repeats, first_stride) in enumerate(BLOCKS):
            keeps_resolution = self.low_resolution and row == LOW_RESOLUTION_STRIDE_1
            for repeat in range(repeats):
                filters = make_divisible(base * self.depth_multiplier, minimum=self.min_depth)
                expanded = make_divisible(expansion * channels) if expansion > 1 else None
                strides = first_stride if repeat == 0 and not keeps_resolution else 1
                is_last = (row, repeat) == (len(BLOCKS) - 1, repeats - 1)
                blocks.append(
                    InvertedResidual(
                        filters,
                        expanded=expanded,
                        strides=strides,
                        activation=self.activate_last and is_last,
                        convolution=self.convolution,
                        name=f"block_{len(blocks)}",
                    )
                )
                channels = filters
        for before, block in itertools.pairwise(blocks):
            (block.expand or block.depthwise).input_scale = before.output_scale
        return blocks

    def fine_scale(self) -> Any:
        """Returns a level of what `return_fine` adds, in 8 bits."""
        last = max(number for number, block in enumerate(self.blocks) if block.strides > 1)
        return self.blocks[last - 1].output_scale()

    @property
    def output_depth(self) -> int:
        """Channels of the result."""
        return self.blocks[-1].filters

    def call(self, inputs: tf.Tensor, training: bool = False) -> Any:
        def run(block: keras.layers.Layer, inputs: tf.Tensor) -> tf.Tensor:
            return recompute.apply(
                [block], inputs, training=training, recompute=self.recomputes_activations
            )

        return self.run(inputs, run)

    def run(self, images: tf.Tensor, apply: Callable[[Any, tf.Tensor], tf.Tensor]) -> Any:
        """Returns what `call` returns, of blocks that `apply(block, inputs)` runs."""
        fine = outputs = apply(self.first, images)
        for block in self.blocks:
            fine = outputs if block.strides > 1 else fine
            outputs = apply(block, outputs)
        return (fine, outputs) if self.return_fine else outputs
