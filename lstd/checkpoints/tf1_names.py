"""The names that the variables of our models have in TF1 checkpoints of the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import tensorflow as tf

from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.fake_quant import FakeQuant
from lstd.layers.separable import SeparableKernel
from lstd.models.lstm_ssd import LSTMSSD
from lstd.models.mobilenet_v1 import MobileNetV1
from lstd.models.mobilenet_v2 import MobileNetV2

EXTRACTOR = "FeatureExtractor/"
CELL = "FeatureExtractor/LSTM/conv_lstm_cell/"
_RANGES = {
    "gates": "gates_{}/act_quant",
    "forget": "forget_gate_{}/add_quant",
    "kept": "forget_gate_{}/mul_quant",
    "added": "input_gate_{}/mul_quant",
}
"""The learned ranges of a quantised cell, by group; its other ranges are fixed."""

Convolution: TypeAlias = ConvBN | DepthwiseConvBN
Named: TypeAlias = Iterator[tuple[str, tf.Variable]]


def variables_by_tf1_name(model: LSTMSSD) -> dict[str, tf.Variable]:
    """Returns every variable of a built model under the name it has in the original's checkpoints.

    Names: reference of the original code, `model.variables` order aside. Those of a fine map, which
    the original has not, are in no checkpoint.
    """
    named = [*_memory(model), *_feature_maps(model), *_box_predictor(model)]
    if model.config.fine_map:
        for part in ("squeeze", "depthwise", "expand"):
            named += _conv(f"FineMap/{part}", getattr(model.fine_map, part))
    for number, network in enumerate(model.networks, start=1):
        if model.config.fine_map:
            named += _conv(f"FineMap/seen_{number}", getattr(model, f"{network}_fine"))
        backbone = getattr(model, network)
        first = isinstance(backbone, MobileNetV1)
        scope = EXTRACTOR + ("MobilenetV1/" if first else f"MobilenetV2_{number}/")
        for layer, name, _, _ in backbone_layers(backbone):
            named += _conv(scope + name, layer)
    return dict(named)


def backbone_layers(
    backbone: MobileNetV1 | MobileNetV2,
) -> Iterator[tuple[Convolution, str, str, str]]:
    """Yields each layer, its scope in slim, and what `keras.applications` calls its two halves.

    Those are the convolution and the batch norm.
    """
    if isinstance(backbone, MobileNetV1):
        yield backbone.first, "Conv2d_0", "conv1", "conv1_bn"
        halves: Sequence[tuple[str, str, Sequence[Convolution]]] = (
            ("depthwise", "conv_dw", backbone.depthwises),
            ("pointwise", "conv_pw", backbone.pointwises),
        )
        for kind, theirs, layers in halves:
            for number, layer in enumerate(layers, start=1):
                name = f"{theirs}_{number}"
                yield layer, f"Conv2d_{number}_{kind}", name, f"{name}_bn"
        return
    yield backbone.first, "Conv", "Conv1", "bn_Conv1"
    for number, block in enumerate(backbone.blocks):
        slim = f"expanded_conv_{number}" if number else "expanded_conv"
        theirs = f"block_{number}" if number else "expanded_conv"
        for part in ("expand", "depthwise", "project"):
            if getattr(block, part) is not None:
                name = f"{theirs}_{part}"
                yield getattr(block, part), f"{slim}/{part}", name, f"{name}_BN"


def parts_of(layer: Convolution) -> tuple[bool, tf.Variable, dict[str, tf.Variable]]:
    """Returns whether a layer is depthwise, its kernel, and its batch norm's variables by name."""
    depthwise = isinstance(layer, DepthwiseConvBN)
    kernel = layer.convolution.depthwise_kernel if depthwise else layer.convolution.kernel
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return depthwise, kernel, {name: getattr(layer.batch_norm, name) for name in names}


def _conv(prefix: str, layer: Convolution) -> Named:
    depthwise, kernel, norm = parts_of(layer)
    yield f"{prefix}/{'depthwise_' if depthwise else ''}weights", kernel
    for name, variable in norm.items():
        yield f"{prefix}/BatchNorm/{name}", variable


def _separable(scope: str, kernel: SeparableKernel) -> Named:
    yield f"{scope}/depthwise_weights", kernel.depthwise
    yield f"{scope}/biases", kernel.bias
    if kernel.depthwise_bias is None:
        yield f"{scope}/pointwise_weights", kernel.pointwise
    else:
        yield f"{scope}/weights", kernel.pointwise
        yield f"{scope}_bias/biases", kernel.depthwise_bias


def _range(scope: str, layer: FakeQuant) -> Named:
    for end, variables in (("min", layer.lows), ("max", layer.highs)):
        for group, variable in enumerate(variables):
            yield f"{scope.format(group)}/{end}", variable


def _memory(model: LSTMSSD) -> Named:
    if not model.cell.output_bottleneck:  # The first paper's cell, one group.
        yield from _separable(CELL + "bottleneck", model.large_bottleneck.kernels[0])
        yield from _separable(CELL + "gates", model.cell.kernels[0])
        return
    for number, network in enumerate(model.networks):
        for group, kernel in enumerate(getattr(model, f"{network}_bottleneck").kernels):
            yield from _separable(f"{CELL}bottleneck_{number}/group_{group}/project", kernel)
        if model.cell.quantized and not model.cell.int8:
            layer, scope = getattr(model, f"{network}_bottleneck"), f"{CELL}bottleneck_{number}"
            yield from _range(f"{scope}/group_{{}}/quantized_concat", layer.input_range)
            yield from _range(f"{scope}/bottleneck_out/quantized_concat", layer.output_range)
    for group, kernel in enumerate(model.cell.kernels):
        yield from _separable(f"{CELL}concat_conv_{group}", kernel)
    for name, layer in model.cell.ranges.items() if not model.cell.int8 else ():
        yield from _range(CELL + _RANGES[name], layer)


def _feature_maps(model: LSTMSSD) -> Named:
    maps = model.feature_maps
    first = isinstance(model.large, MobileNetV1)
    layer = "FeatureMaps/Conv2d_13_pointwise_lstm" if first else "FeatureMap/layer_19"
    for index, (squeezed, depth) in enumerate(zip(maps.middle_depths, maps.depths, strict=True)):
        expand = f"{EXTRACTOR}{layer}_2_Conv2d_{index + 1}_3x3_s2_{depth}"
        yield from _conv(
            f"{EXTRACTOR}{layer}_1_Conv2d_{index + 1}_1x1_{squeezed}", maps.squeezes[index]
        )
        if maps.use_depthwise:
            yield from _conv(f"{expand}_depthwise", maps.depthwises[index])
        yield from _conv(expand, maps.expands[index])


def _box_predictor(model: LSTMSSD) -> Named:
    heads = model.box_predictor
    kinds = (
        ("BoxEncodingPredictor", heads.box_depthwises, heads.box_heads),
        ("ClassPredictor", heads.class_depthwises, heads.class_heads),
    )
    places: list[int | str] = [*range(len(heads.anchors_per_location))]
    if model.config.fine_map:
        places = ["fine", *places[:-1]]
    for number, place in enumerate(places):
        for name, depthwises, convolutions in kinds:
            scope = f"BoxPredictor_{place}/{name}"
            if heads.use_depthwise:
                yield from _conv(f"{scope}_depthwise", depthwises[number])
            yield f"{scope}/weights", convolutions[number].kernel
            yield f"{scope}/biases", convolutions[number].bias
