"""The peer of the speed benchmarks: SSDLite MobileNetV2 that sees every frame alone.

Built from the same layers as the interleaved model, with the same feature maps, anchors, heads and
post-processing, but with one backbone of width 1.0 and without a memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from lstd.export import postprocessing_op
from lstd.export.lite import frame_heads, sliced_backbone
from lstd.export.module import center_size_anchors
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.models.mobilenet_v2 import MobileNetV2
from lstd.ops import images as image_ops


class SingleFrame(tf.Module):
    """Entry point `step`: `image` float32 `[1, S, S, 3]` in [0, 255] to detections.

    Args:
        model: an `LSTMSSD` whose input size, feature maps, anchors and heads it has.
        options: of the post-processing.
        tuned: the layers run as those of an exported model do.
    """

    def __init__(self, model: Any, options: PostprocessingOptions, *, tuned: bool = False) -> None:
        super().__init__(name="single_frame")
        backbone = MobileNetV2(depth_multiplier=1.0)
        maps = type(model.feature_maps).from_config(model.feature_maps.get_config())
        heads = type(model.box_predictor).from_config(model.box_predictor.get_config())
        anchors = center_size_anchors(model)
        suppress = postprocessing_op.make(options)

        def predictions(image: tf.Tensor) -> Any:
            normalized = image_ops.normalize(image)
            if tuned:
                feature = sliced_backbone.features(backbone, normalized)
                return frame_heads.predictions(heads, frame_heads.feature_maps(maps, [feature]))
            return heads(maps(backbone(normalized, training=False)))

        image = tf.TensorSpec([1, *model.input_shape_hwc], tf.float32, name="image")
        heads(maps(backbone(tf.zeros(image.shape))))  # creates the variables
        self.model_variables = [*backbone.variables, *maps.variables, *heads.variables]

        @tf.function(input_signature=[image], autograph=False)
        def step(image: tf.Tensor) -> dict[str, tf.Tensor]:
            found = predictions(image)
            scores = tf.sigmoid(found.class_logits)
            return suppress(found.box_encodings, scores, anchors)._asdict()

        self.step = step
        self.multiply_adds = _multiply_adds(step)


def _multiply_adds(step: Any) -> int:
    total = 0
    for op in step.get_concrete_function().graph.get_operations():
        if op.type in ("Conv2D", "DepthwiseConv2dNative"):
            total += int(np.prod(op.outputs[0].shape[1:3]) * np.prod(op.inputs[1].shape))
    return total
