"""The SSD heads."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import Predictions
from lstd.layers.conv import DepthwiseConvBN, l2


@keras.saving.register_keras_serializable(package="lstd")
class BoxPredictor(keras.layers.Layer):
    """Box encodings and class logits of every anchor, from two heads on each feature map.

    A head is a k x k depthwise convolution (batch norm, relu6) and a 1x1 with bias, or one dense
    k x k with bias. Anchors are numbered by map, then row, column, and place in the cell. Called
    with a tuple of float `[N, h_m, w_m, C_m]`; returns Predictions, float32 `[N, A, 4]` and
    `[N, A, num_classes + 1]`.

    `anchors_per_location` has one number a map; `class_prior` is the score of each class at first;
    `convolution` has the arguments that all `DepthwiseConvBN` share, of which `l2_weight` and
    `initializer_stddev` apply to the 1x1 as well.

    Source: as in TF1's `ConvolutionalBoxPredictor`.
    """

    def __init__(
        self,
        *,
        anchors_per_location: tuple[int, ...],
        num_classes: int,
        kernel_size: int = 3,
        use_depthwise: bool = True,
        class_prior: float = 0.5,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchors_per_location = tuple(anchors_per_location)
        self.num_classes = num_classes
        self.kernel_size = kernel_size
        self.use_depthwise = use_depthwise
        self.class_prior = class_prior
        self.convolution = dict(convolution or {})
        logit = math.log(class_prior / (1 - class_prior))
        self.box_depthwises, self.box_heads = self._head("box", [0.0] * 4)
        # The background's score comes first, and is at first what is left of 1.
        self.class_depthwises, self.class_heads = self._head(
            "class", [-logit, *[logit] * num_classes]
        )

    def _head(self, kind: str, biases: list[float]) -> tuple[list[DepthwiseConvBN], list[Any]]:
        """Returns what filters each map, if anything does, and what predicts from it."""
        own, maps = self.convolution, range(len(self.anchors_per_location))
        depthwises = [
            DepthwiseConvBN(kernel_size=self.kernel_size, **own, name=f"{kind}_depthwise_{index}")
            for index in maps
            if self.use_depthwise
        ]
        stddev = own.get("initializer_stddev", 0.03)
        heads = [
            keras.layers.Conv2D(
                self.anchors_per_location[index] * len(biases),
                1 if self.use_depthwise else self.kernel_size,
                padding="same",
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=stddev),
                bias_initializer=keras.initializers.Constant(
                    biases * self.anchors_per_location[index]
                ),
                kernel_regularizer=l2(own.get("l2_weight", 0.0)),
                name=f"{kind}_head_{index}",
            )
            for index in maps
        ]
        return depthwises, heads

    def call(self, maps: tuple[tf.Tensor, ...], training: bool = False) -> Predictions:
        boxes, classes = [], []
        for index, inputs in enumerate(maps):
            box, label = inputs, inputs
            if self.use_depthwise:
                box = self.box_depthwises[index](inputs, training=training)
                label = self.class_depthwises[index](inputs, training=training)
            anchors = inputs.shape[1] * inputs.shape[2] * self.anchors_per_location[index]
            boxes.append(tf.reshape(self.box_heads[index](box), [-1, anchors, 4]))
            classes.append(
                tf.reshape(self.class_heads[index](label), [-1, anchors, self.num_classes + 1])
            )
        return Predictions(
            tf.cast(tf.concat(boxes, axis=1), tf.float32),
            tf.cast(tf.concat(classes, axis=1), tf.float32),
        )
