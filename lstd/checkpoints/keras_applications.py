"""Loads weights of `keras.applications` MobileNet and MobileNetV2 into a backbone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.checkpoints import sources
from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.models.lstm_ssd import LSTMSSD
from lstd.models.mobilenet_v1 import MobileNetV1
from lstd.models.mobilenet_v2 import MobileNetV2

# The widths for which `keras.applications` has weights, to name the one a file was made for.
_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


class BackboneReport(NamedTuple):
    """What became of each name; all are `layer/weight` of `keras.applications`, sorted.

    Attributes:
        filled: variables of the backbone that were filled: all of them.
        unused: what the file holds beside them, such as a classifier.
    """

    filled: tuple[str, ...]
    unused: tuple[str, ...]


def load_backbone_weights(
    model: LSTMSSD,
    network: Literal["large", "small"],
    source: str | os.PathLike[str],
) -> BackboneReport:
    """Returns which variables of one backbone were filled from a file.

    Args:
        model: a built model with as many input channels as the file, usually three.
        network: which of its backbones.
        source: an HDF5 file with the layer names of `keras.applications`, or "imagenet", which
            downloads.

    Raises:
        ValueError: the model has no such network; the file cannot be read or misses layers; its
            input channels or depth multiplier do not fit, with the numbers.
    """
    if network not in model.networks:
        raise ValueError(f"this model has {', '.join(model.networks)}, not {network!r}")
    backbone = getattr(model, network)
    arrays = _download(backbone) if str(source) == "imagenet" else _read(Path(source))
    variables = dict(_variables(backbone))
    missing = sorted(set(variables) - set(arrays))
    if missing:
        raise ValueError(
            f"{source}: no weights of keras.applications' {type(backbone).__name__}: "
            f"{len(missing)} of {len(variables)} arrays are missing, the first is {missing[0]}"
        )
    wrong = [name for name, v in variables.items() if tuple(v.shape) != arrays[name].shape]
    if wrong:
        reason = _why_other_shapes(variables, arrays, backbone, network)
        raise ValueError(
            f"{source}: made for {reason}; {len(wrong)} arrays differ, the first is {wrong[0]}: "
            f"{list(arrays[wrong[0]].shape)} in the file, {list(variables[wrong[0]].shape)} in the "
            "model"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return BackboneReport(tuple(sorted(variables)), tuple(sorted(set(arrays) - set(variables))))


def _why_other_shapes(
    variables: dict[str, tf.Variable],
    arrays: dict[str, np.ndarray],
    backbone: MobileNetV1 | MobileNetV2,
    network: str,
) -> str:
    first = next(iter(variables))
    channels, own_channels = arrays[first].shape[2:3], tuple(variables[first].shape[2:3])
    if channels != own_channels:
        return (
            f"{channels[0] if channels else 0} input channels, the model has {own_channels[0]}; "
            "take a file for as many, or another model.input_channels"
        )
    first_paper = isinstance(backbone, MobileNetV1)
    last, base = ("conv_pw_13_bn", 1024) if first_paper else ("block_16_project_BN", 320)
    depth = arrays[f"{last}/beta"].shape[0]
    width = min(_WIDTHS, key=lambda width: abs(width * base - depth))
    text = (
        f"depth multiplier {width} ({depth} channels in the last layer), but the {network} network "
        f"has {backbone.depth_multiplier} ({backbone.output_depth} channels)"
    )
    if width == backbone.depth_multiplier:
        text += (
            f"; keras.applications has no min_depth, this model has {backbone.min_depth}: set "
            "model.min_depth to 8"
        )
    return text


def _read(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an HDF5 file as `layer/weight`."""
    import h5py  # comes with TensorFlow

    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            *_, layer, weight = name.split("/")
            arrays[f"{layer}/{weight.removesuffix(':0')}"] = item[()]

    with sources.reading(path, "HDF5 file of weights"), h5py.File(path, "r") as file:
        file.get("model_weights", file).visititems(visit)
    return arrays


def _download(backbone: MobileNetV1 | MobileNetV2) -> dict[str, np.ndarray]:
    application = (
        keras.applications.MobileNet
        if isinstance(backbone, MobileNetV1)
        else keras.applications.MobileNetV2
    )
    try:
        model = application(
            input_shape=(224, 224, 3),
            alpha=backbone.depth_multiplier,
            include_top=False,
            weights="imagenet",
        )
    except Exception as error:  # Keras raises a bare Exception when the download fails.
        raise ValueError(
            f"cannot get ImageNet weights for depth multiplier {backbone.depth_multiplier}: {error}"
        ) from None
    return {
        f"{layer.name}/{weight.name.split('/')[-1].removesuffix(':0')}": weight.numpy()
        for layer in model.layers
        for weight in layer.weights
    }


def _variables(backbone: MobileNetV1 | MobileNetV2) -> Iterator[tuple[str, tf.Variable]]:
    """Yields the backbone's variables by their names in `keras.applications`."""
    for layer, conv, norm in _layers(backbone):
        depthwise = isinstance(layer, DepthwiseConvBN)
        kernel = "depthwise_kernel" if depthwise else "kernel"
        yield f"{conv}/{kernel}", getattr(layer.convolution, kernel)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            yield f"{norm}/{name}", getattr(layer.batch_norm, name)


def _layers(
    backbone: MobileNetV1 | MobileNetV2,
) -> Iterator[tuple[ConvBN | DepthwiseConvBN, str, str]]:
    """Yields our layers with the names of theirs: the convolution's and the batch norm's."""
    if isinstance(backbone, MobileNetV1):
        yield backbone.first, "conv1", "conv1_bn"
        for number, layer in enumerate(backbone.depthwises, start=1):
            yield layer, f"conv_dw_{number}", f"conv_dw_{number}_bn"
        for number, layer in enumerate(backbone.pointwises, start=1):
            yield layer, f"conv_pw_{number}", f"conv_pw_{number}_bn"
        return
    yield backbone.first, "Conv1", "bn_Conv1"
    for number, block in enumerate(backbone.blocks):
        scope = "expanded_conv" if number == 0 else f"block_{number}"
        for part in ("expand", "depthwise", "project"):
            layer = getattr(block, part)
            if layer is not None:
                yield layer, f"{scope}_{part}", f"{scope}_{part}_BN"
