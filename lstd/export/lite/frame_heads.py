"""Feature maps and heads of one frame, with less data moved: the same as their layers give.

The memory's output is [h, bottleneck] side by side. The two need not be concatenated, since each
layer that reads them is a sum over channels. And of a kernel that is larger than its map, only the
weights that meet the map are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from lstd.base.types import Predictions
from lstd.layers.box_predictor import BoxPredictor
from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.feature_maps import FeatureMaps

Map = Sequence[tf.Tensor]
"""A feature map in parts, each some of its channels: float32 `[N, h, w, C_i]`."""


def predictions(box_predictor: BoxPredictor, maps: Sequence[Map]) -> Predictions:
    """Returns what the heads make of the maps, h and w statically known, up to rounding."""
    boxes, classes = [], []
    for index, each in enumerate(maps):
        box, label = _heads(box_predictor, each, index)
        boxes.append(box)
        classes.append(label)
    return Predictions(*box_predictor.side_by_side(boxes, classes))


def feature_maps(layer: FeatureMaps, memory: Map) -> list[Map]:
    """Returns the pyramid's maps of the memory's output, sizes statically known, up to rounding."""
    maps = [memory]
    for index, depth in enumerate(layer.depths):
        before = maps[-1]
        outputs = _normalized(layer.squeezes[index], before)
        if layer.use_depthwise:
            (outputs,) = _filtered(layer.depthwises[index], [outputs])
        outputs = _normalized(layer.expands[index], [outputs])
        channels = sum(part.shape[-1] for part in before)
        if layer.adds_residual(channels, depth):
            outputs = layer.with_residual(index, outputs, tf.concat(before, axis=-1))
        maps.append([outputs])
    return maps


def _heads(layer: BoxPredictor, inputs: Map, index: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the box encodings and class logits of a map, `[N, h, w, ...]`."""
    box, label = inputs, inputs
    if layer.use_depthwise:
        box = _filtered(layer.box_depthwises[index], inputs)
        label = _filtered(layer.class_depthwises[index], inputs)
    pairs = ((layer.box_heads[index], box), (layer.class_heads[index], label))
    first, second = (
        _convolved(parts, *layer.weights_of(head), strides=1, whole=layer.int8)
        for head, parts in pairs
    )
    return first, second


def _normalized(layer: ConvBN, inputs: Map) -> tf.Tensor:
    outputs = _convolved(inputs, *layer.folded(), strides=layer.strides, whole=layer.int8)
    return layer.activated(outputs)


def _filtered(layer: DepthwiseConvBN, inputs: Map) -> Map:
    """Returns the depthwise convolution, part by part."""
    kernel, bias = layer.folded()
    kernel, padding = _meeting(kernel, inputs[0].shape, layer.strides, whole=layer.int8)
    strides = [1, layer.strides, layer.strides, 1]
    outputs, start = [], 0
    for part in inputs:
        own = slice(start, start := start + part.shape[-1])
        filtered = tf.nn.depthwise_conv2d(part, kernel[:, :, own], strides, padding)
        outputs.append(layer.activated(tf.nn.bias_add(filtered, bias[own])))
    return outputs


def _convolved(
    inputs: Map, kernel: tf.Tensor, bias: tf.Tensor, *, strides: int, whole: bool
) -> tf.Tensor:
    """Returns the convolution of all parts, which is the sum of those of each."""
    kernel, padding = _meeting(kernel, inputs[0].shape, strides, whole=whole)
    total, start = None, 0
    for part in inputs:
        own = slice(start, start := start + part.shape[-1])
        outputs = tf.nn.conv2d(part, kernel[:, :, own], strides, padding)
        total = tf.nn.bias_add(outputs, bias) if total is None else total + outputs
    return total


def _meeting(
    kernel: tf.Tensor, shape: tf.TensorShape, strides: int, *, whole: bool = False
) -> tuple[tf.Tensor, str]:
    """Returns the weights that meet the map at all, and the padding that goes with them.

    Those of a layer in 8 bits stay `whole`: of fewer weights the converter would round otherwise.
    """
    height, width = shape[1:3]
    if whole or max(height, width) > strides:  # more than one pixel comes out
        return kernel, "SAME"
    return kernel[_taps(height, kernel.shape[0]), _taps(width, kernel.shape[1])], "VALID"


def _taps(size: int, length: int) -> slice:
    """Returns which of a kernel's weights meet one axis of a map that is padded on both sides."""
    before = max(length - size, 0) // 2
    return slice(before, before + min(size, length))
