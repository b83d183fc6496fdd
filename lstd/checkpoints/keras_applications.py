"""Loads weights of `keras.applications` MobileNet and MobileNetV2 into a backbone."""

import os
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.checkpoints.named_arrays import read_hdf5
from lstd.checkpoints.tf1_names import backbone_layers, parts_of
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
    arrays = _download(backbone) if str(source) == "imagenet" else _arrays_in(source)
    variables = _variables(backbone)
    missing = sorted(set(variables) - set(arrays))
    if missing:
        raise ValueError(
            f"{source}: no weights of keras.applications' {type(backbone).__name__}: "
            f"{len(missing)} of {len(variables)} arrays are missing, the first is {missing[0]}"
        )
    wrong = [name for name, v in variables.items() if tuple(v.shape) != arrays[name].shape]
    if wrong:
        first, *_, last = variables  # a kernel, and of a batch norm
        base = 1024 if isinstance(backbone, MobileNetV1) else 320
        depth = arrays[last].size
        width = min(_WIDTHS, key=lambda width: abs(width * base - depth))
        raise ValueError(
            f"{source}: made for input channels {[*arrays[first].shape][2:3]} and depth multiplier "
            f"{width} ({depth} channels in the last layer), the {network} network has "
            f"{[*variables[first].shape][2:3]} and {backbone.depth_multiplier} "
            f"({backbone.output_depth}), with min_depth {backbone.min_depth} where "
            f"keras.applications has 8; {len(wrong)} arrays differ, the first is {wrong[0]}: "
            f"{list(arrays[wrong[0]].shape)} in the file, {list(variables[wrong[0]].shape)} in the "
            "model; set model.input_channels, depth_multipliers or min_depth, or take another file"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return BackboneReport(tuple(sorted(variables)), tuple(sorted(set(arrays) - set(variables))))


def _arrays_in(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of a file as `layer/weight`; those of an optimizer are left out."""
    return {
        "/".join(place.split("/")[-2:]).removesuffix(":0"): array
        for place, array in read_hdf5(path, "HDF5 file of weights").items()
        if not place.startswith("optimizer_weights/")
    }


def _download(backbone: MobileNetV1 | MobileNetV2) -> dict[str, np.ndarray]:
    applications, first = keras.applications, isinstance(backbone, MobileNetV1)
    try:
        model = (applications.MobileNet if first else applications.MobileNetV2)(
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


def _variables(backbone: MobileNetV1 | MobileNetV2) -> dict[str, tf.Variable]:
    """Returns the backbone's variables by their names in `keras.applications`."""
    variables = {}
    for layer, _, convolution, batch_norm in backbone_layers(backbone):
        depthwise, kernel, norm = parts_of(layer)
        variables[f"{convolution}/{'depthwise_' if depthwise else ''}kernel"] = kernel
        variables |= {f"{batch_norm}/{name}": variable for name, variable in norm.items()}
    return variables
