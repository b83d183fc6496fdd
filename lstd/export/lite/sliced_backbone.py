"""A backbone whose widest layers run in slices of channels: the same numbers, faster in float.

Inside of an inverted residual there are six times as many channels as outside. At a high resolution
these are megabytes, written and read again by every operation, and no cache holds them. A slice of
them goes all the way, is expanded, filtered and projected, before the next one starts; the
projections add up. Nothing but the order of the sums differs.
"""

import math
from typing import Any

import tensorflow as tf

from lstd.models.mobilenet_v2 import InvertedResidual, MobileNetV2

_MOST_BYTES = 2_500_000
"""Of the expanded channels in a slice: what a cache shared by some cores holds."""
_MOST_CHANNELS = 384
"""In a slice: nine rows of so many numbers and as many weights fit a core's own cache."""
_MULTIPLE = 16
"""Channels that XNNPACK computes at once; the width of a slice is divisible by it."""


def features(backbone: Any, images: tf.Tensor) -> Any:
    """Returns what `backbone(images)` returns in inference, up to rounding.

    Only a `MobileNetV2` has such layers; others run as they are. The images are float32 in [-1, 1],
    `[N, H, W, C]`, H and W statically known.
    """
    if not isinstance(backbone, MobileNetV2):
        return backbone(images, training=False)
    return backbone.run(images, _applied)


def _applied(block: Any, inputs: tf.Tensor) -> tf.Tensor:
    if isinstance(block, InvertedResidual):
        return inverted_residual(block, inputs)
    return block(inputs, training=False)


def inverted_residual(block: InvertedResidual, inputs: tf.Tensor) -> tf.Tensor:
    """Returns what `block(inputs)` returns in inference, up to rounding."""
    _, height, width, channels = inputs.shape
    slices = _slices(block.expanded or channels, pixels=height * width)
    if block.expand is None or len(slices) == 1 or block.activation:
        return block(inputs, training=False)
    expand, expand_bias = block.expand.folded()
    filters, filter_bias = block.depthwise.folded()
    project, project_bias = block.project.folded()
    strides = [1, block.strides, block.strides, 1]
    total = inputs if block.strides == 1 and channels == block.filters else None
    for number, part in enumerate(slices):
        outputs = tf.nn.conv2d(inputs, expand[..., part], 1, "SAME")
        outputs = tf.nn.relu6(tf.nn.bias_add(outputs, expand_bias[part]))
        outputs = tf.nn.depthwise_conv2d(outputs, filters[:, :, part], strides, "SAME")
        outputs = tf.nn.relu6(tf.nn.bias_add(outputs, filter_bias[part]))
        outputs = tf.nn.conv2d(outputs, project[:, :, part], 1, "SAME")
        if number == 0:
            outputs = tf.nn.bias_add(outputs, project_bias)
        total = outputs if total is None else total + outputs
    return total


def _slices(channels: int, *, pixels: int) -> list[slice]:
    """Returns slices of equal width, the last one perhaps smaller."""
    bytes_of_all = 4 * channels * pixels
    number = math.ceil(max(channels / _MOST_CHANNELS, bytes_of_all / _MOST_BYTES))
    width = math.ceil(channels / number / _MULTIPLE) * _MULTIPLE
    return [slice(start, min(start + width, channels)) for start in range(0, channels, width)]
