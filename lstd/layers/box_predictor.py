"""The SSD heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import Predictions
from lstd.layers.conv import DepthwiseConvBN, l2
from lstd.layers.fake_quant import FakeQuant, bias_on_grid, on_grid, six_scale


@keras.saving.register_keras_serializable(package="lstd")
class BoxPredictor(keras.layers.Layer):
    """Box encodings and class logits of every anchor, from two heads on each feature map.

    A head is a k x k depthwise convolution (batch norm, relu6) and a 1x1 with bias, or one dense
    k x k with bias. Anchors are numbered by map, then row, column, and place in the cell. Called
    with a tuple of float `[N, h_m, w_m, C_m]`; returns Predictions, float32 `[N, A, 4]` and
    `[N, A, num_classes + 1]`.

    `anchors_per_location` has one number a map; `class_prior` is the score of each class at first;
    `convolution` has the arguments that all `DepthwiseConvBN` share, of which `l2_weight`,
    `initializer_stddev` and `int8` apply to the 1x1 as well; the boxes of all maps then share a
    learned range, and so do the logits.

    Source: as in TF1's `ConvolutionalBoxPredictor`.
    """

    rounds = True  # see `ConvBN`
    scale_of: Callable[[int], Any] = staticmethod(lambda index: six_scale())
    """A level of each map, in 8 bits."""

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
        self.int8 = bool(self.convolution.get("int8"))
        if self.int8:
            self.ranges = [FakeQuant(-6.0, name="box_range"), FakeQuant(-6.0, name="class_range")]
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
        for index, depthwise in enumerate(depthwises):
            depthwise.input_scale = partial(self._scale_of, index)
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

    def build(self, input_shape: Any) -> None:
        if self.int8:  # whose layers are not called
            for each in self.ranges:
                each.build(None)
            for heads in (self.box_heads, self.class_heads):
                for head, shape in zip(heads, input_shape, strict=True):
                    with tf.name_scope(head.name):
                        head.build(shape)
        super().build(input_shape)

    def call(self, maps: tuple[tf.Tensor, ...], training: bool = False) -> Predictions:
        boxes, classes = [], []
        for index, inputs in enumerate(maps):
            box, label = inputs, inputs
            if self.use_depthwise:
                box = self.box_depthwises[index](inputs, training=training)
                label = self.class_depthwises[index](inputs, training=training)
            boxes.append(self._predicted(self.box_heads[index], box, training))
            classes.append(self._predicted(self.class_heads[index], label, training))
        if self.int8 and training:
            self.ranges[0].observe(*boxes)
            self.ranges[1].observe(*classes)
        return Predictions(*self.side_by_side(boxes, classes, training=training))

    def _predicted(self, head: Any, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        if not self.int8:
            return head(inputs)
        kernel, bias = (tf.cast(each, inputs.dtype) for each in self.weights_of(head, training))
        outputs = tf.nn.conv2d(inputs, kernel, strides=1, padding="SAME")
        return tf.nn.bias_add(outputs, bias)

    def weights_of(self, head: Any, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns kernel and bias of a head, rounded in 8 bits."""
        kernel, bias = tf.convert_to_tensor(head.kernel), tf.convert_to_tensor(head.bias)
        if not self.int8 or (training and not self.rounds):
            return kernel, bias
        kernel, scale = on_grid(kernel), six_scale()
        if not self.use_depthwise:
            heads = self.box_heads if head in self.box_heads else self.class_heads
            scale = self.scale_of(heads.index(head))
        return kernel, bias_on_grid(bias, kernel, input_scale=scale)

    def _scale_of(self, index: int) -> Any:
        return self.scale_of(index)

    def side_by_side(
        self, boxes: Sequence[tf.Tensor], classes: Sequence[tf.Tensor], training: bool = False
    ) -> Iterator[tf.Tensor]:
        """Yields what the heads of all maps predict, `[N, h_m, w_m, ...]`, as `[N, A, ...]`."""
        for number, (each, width) in enumerate(((boxes, 4), (classes, self.num_classes + 1))):
            parts = []
            for outputs, anchors in zip(each, self.anchors_per_location, strict=True):
                if self.int8:
                    outputs = self.ranges[number].rounded(outputs, training)
                places = outputs.shape[1] * outputs.shape[2]
                parts.append(tf.reshape(outputs, [-1, places * anchors, width]))
            # XNNPACK takes no more than five at once.
            parts = [tf.concat(parts[:5], axis=1), *parts[5:]] if len(parts) > 5 else parts
            yield tf.cast(tf.concat(parts, axis=1), tf.float32)
