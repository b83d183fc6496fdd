"""From a config to a model whose every variable exists."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers.anchor_generator import AnchorGenerator
from lstd.layers.box_predictor import BoxPredictor
from lstd.layers.feature_maps import FeatureMaps
from lstd.model_config import ConvConfig, ModelConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.models.mobilenet_v1 import MobileNetV1, truncated
from lstd.models.mobilenet_v2 import MobileNetV2
from lstd.models.precision import made_in
from lstd.ops import anchors as anchor_ops
from lstd.train_config import Precision


def build_model(
    config: ModelConfig,
    stateful: bool = False,
    batch_size: int = 1,
    *,
    precision: Precision | None = None,
) -> LSTMSSD:
    """Returns the model, built: every variable exists.

    Args:
        config: the model section of a config.
        stateful: the model carries its state from call to call, as Keras's recurrent layers do.
        batch_size: clips in a batch of a stateful model, of all replicas together where the model
            is built in the scope of a `tf.distribute.Strategy`; not used otherwise.
        precision: what the network computes in. Its variables, what leaves it in a loss or a
            detection, and the statistics of batch norm are float32 whatever it is. None: Keras's
            global policy, which is float32 unless somebody has set another.

    Returns:
        The model, with new weights.

    Raises:
        ValueError: `batch_size` is below 1, or cannot be divided among the replicas of the scope.
    """
    with made_in(precision):
        return _build(config, stateful, batch_size)


def _build(config: ModelConfig, stateful: bool, batch_size: int) -> LSTMSSD:
    conv = _convolution(config.feature_extractor)
    # TF1's MobileNetV1 and its feature maps use the batch norm that stores the biased variance.
    conv["bessel_correction"] = config.backbone == "mobilenet_v2"
    backbones = _backbones(config, {k: v for k, v in conv.items() if k != "initializer_stddev"})
    grouped = config.lstm_cell == "grouped"
    model = LSTMSSD(
        large=backbones[0],
        small=backbones[1] if len(backbones) == 2 else None,
        state_depth=max(config.min_depth, config.state_depth),
        groups=config.groups if grouped else 1,
        clip_state=config.clip_state,
        scale_state=config.scale_state,
        activate_state=grouped,
        output_bottleneck=grouped,
        memory_convolution={
            "l2_weight": config.feature_extractor.l2_weight,
            "initializer_stddev": config.feature_extractor.initializer_stddev,
        },
        feature_maps=FeatureMaps(
            depths=tuple(_depth(depth, config) for depth in config.feature_map_depths),
            middle_depths=tuple(_depth(depth // 2, config) for depth in config.feature_map_depths),
            use_depthwise=config.feature_map_use_depthwise,
            pool_residual=config.pool_residual,
            convolution=conv,
            name="feature_maps",
        ),
        box_predictor=BoxPredictor(
            anchors_per_location=anchor_ops.num_anchors_per_location(config.anchors),
            num_classes=config.num_classes,
            kernel_size=config.box_predictor.kernel_size,
            use_depthwise=config.box_predictor.use_depthwise,
            convolution=_convolution(config.box_predictor.conv),
            name="box_predictor",
        ),
        anchor_generator=AnchorGenerator(**anchor_ops.settings_of(config), name="anchor_generator"),
        input_shape_hwc=(config.input_height, config.input_width, config.input_channels),
        low_resolution=config.low_resolution,
        train_schedule=config.train_schedule,
        eval_schedule=config.eval_schedule,
        schedule_counts=config.schedule_counts,
        large_probability=config.large_probability,
        train_backbone_frames=config.train_backbone_frames,
        large_frames=config.large_frames,
        box_scale_factors=config.box_scale_factors,
        postprocessing={
            "score_threshold": config.postprocessing.score_threshold,
            "iou_threshold": config.postprocessing.iou_threshold,
            "max_detections_per_class": config.postprocessing.max_detections_per_class,
            "max_total_detections": config.postprocessing.max_total_detections,
        },
        labels=config.labels,
        stateful_batch_size=batch_size if stateful else None,
        name="lstm_ssd",
    )
    _create_variables(model)
    return model


def _create_variables(model: LSTMSSD) -> None:
    """Runs every part of the model once, so that all its variables exist."""
    frames = tf.zeros([1, len(model.networks), *model.input_shape_hwc])
    model(frames, model.initial_state(1), networks=list(model.networks))


def _backbones(config: ModelConfig, conv: dict[str, Any]) -> list[keras.layers.Layer]:
    names = ("large", "small")
    if config.backbone == "mobilenet_v1":
        return [
            MobileNetV1(
                depth_multiplier=config.depth_multipliers[0],
                min_depth=config.min_depth,
                convolution=conv,
                name=names[0],
            )
        ]
    return [
        MobileNetV2(
            depth_multiplier=multiplier,
            min_depth=config.min_depth,
            low_resolution=config.low_resolution and name == "small",
            convolution=conv,
            name=name,
        )
        for name, multiplier in zip(names, config.depth_multipliers, strict=False)
    ]


def _convolution(config: ConvConfig) -> dict[str, Any]:
    return {
        "l2_weight": config.l2_weight,
        "initializer_stddev": config.initializer_stddev,
        "batch_norm_decay": config.batch_norm_decay,
        "batch_norm_epsilon": config.batch_norm_epsilon,
    }


def _depth(depth: int, config: ModelConfig) -> int:
    """Returns a feature map's channels."""
    return truncated(depth, config.feature_map_depth_multiplier, minimum=config.min_depth)
