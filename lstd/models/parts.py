"""The layers of a detector, made from the model section of its config."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import tf_keras as keras

from lstd.config.model_config import ModelConfig
from lstd.layers.bottleneck import Bottleneck
from lstd.layers.box_predictor import BoxPredictor
from lstd.layers.conv import ConvBN
from lstd.layers.conv_lstm import ConvLSTMCell
from lstd.layers.feature_maps import FeatureMaps, FineMap
from lstd.models.mobilenet_v1 import MobileNetV1, truncated
from lstd.models.mobilenet_v2 import MobileNetV2
from lstd.ops import anchors as anchor_ops


@contextlib.contextmanager
def made_in(policy: str | None) -> Iterator[None]:
    """Gives layers that are made inside the block a Keras policy; None: the global one.

    Args:
        policy: its name, such as "mixed_bfloat16".
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy or before)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def make(config: ModelConfig) -> dict[str, keras.layers.Layer | None]:
    """Returns the layers by name, in the order of the model's weights; None for those it lacks."""
    conv = dataclasses.asdict(config.feature_extractor)
    # TF1's MobileNetV1 and its feature maps use the batch norm that stores the biased variance.
    conv |= {"bessel_correction": config.backbone == "mobilenet_v2", "int8": config.int8}
    large, *small = _backbones(config, {k: v for k, v in conv.items() if k != "initializer_stddev"})
    grouped = config.lstm_cell == "grouped"
    memory: dict[str, Any] = {
        "state_depth": max(config.min_depth, config.state_depth),
        "groups": config.groups if grouped else 1,
        "l2_weight": config.feature_extractor.l2_weight,
        "initializer_stddev": (
            None
            if config.memory_initializer == "variance_scaling"
            else config.feature_extractor.initializer_stddev
        ),
        "quantized": config.quantized_cell,
        "int8": config.int8,
    }
    maps = FeatureMaps(
        depths=tuple(_depth(depth, config) for depth in config.feature_map_depths),
        middle_depths=tuple(_depth(depth // 2, config) for depth in config.feature_map_depths),
        use_depthwise=config.feature_map_use_depthwise,
        pool_residual=config.pool_residual,
        convolution=conv,
        name="feature_maps",
    )
    heads = BoxPredictor(
        anchors_per_location=anchor_ops.num_anchors_per_location(config.anchors),
        num_classes=config.num_classes,
        kernel_size=config.box_predictor.kernel_size,
        use_depthwise=config.box_predictor.use_depthwise,
        class_prior=config.box_predictor.class_prior,
        convolution={**dataclasses.asdict(config.box_predictor.conv), "int8": config.int8},
        name="box_predictor",
    )
    fine = _fine(config, conv) if config.fine_map else {}
    if config.int8:
        first = 1 if fine else 0  # of the maps that are not fine
        heads.scale_of = lambda index: maps.scale_of(max(0, index - first))
        for name, backbone in zip(fine, (large, *small), strict=False):
            if isinstance(backbone, MobileNetV2):
                fine[name].input_scale = backbone.fine_scale
    return {
        "large": large,
        "small": small[0] if small else None,
        "large_bottleneck": Bottleneck(**memory, name="large_bottleneck"),
        "small_bottleneck": Bottleneck(**memory, name="small_bottleneck") if small else None,
        "cell": ConvLSTMCell(
            **memory,
            clip_state=config.clip_state,
            scale_state=config.scale_state,
            activate_state=grouped,
            output_bottleneck=grouped,
            name="cell",
        ),
        **fine,
        "feature_maps": maps,
        "box_predictor": heads,
    }


def _fine(config: ModelConfig, conv: dict[str, Any]) -> dict[str, keras.layers.Layer]:
    """Returns what makes the fine map: a projection for each backbone, and what joins."""
    networks = ("large", "small")[: len(config.depth_multipliers)]
    return {
        **{
            f"{network}_fine": ConvBN(
                config.fine_map, activation=False, **conv, name=f"{network}_fine"
            )
            for network in networks
        },
        "fine_map": FineMap(config.fine_map, convolution=conv, name="fine_map"),
    }


def _backbones(config: ModelConfig, conv: dict[str, Any]) -> list[keras.layers.Layer]:
    shared: dict[str, Any] = {
        "min_depth": config.min_depth,
        "return_fine": config.fine_map > 0,
        "convolution": conv,
    }
    if config.backbone == "mobilenet_v1":
        return [MobileNetV1(depth_multiplier=config.depth_multipliers[0], name="large", **shared)]
    return [
        MobileNetV2(
            depth_multiplier=multiplier,
            low_resolution=config.low_resolution and name == "small",
            activate_last=config.quantized_cell or config.int8,
            name=name,
            **shared,
        )
        for name, multiplier in zip(("large", "small"), config.depth_multipliers, strict=False)
    ]


def _depth(depth: int, config: ModelConfig) -> int:
    """Returns a feature map's channels."""
    return truncated(depth, config.feature_map_depth_multiplier, minimum=config.min_depth)
