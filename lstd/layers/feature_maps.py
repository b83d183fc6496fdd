"""The feature maps that are made of the memory's output: smaller ones, and a finer one."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.fake_quant import FakeQuant


@keras.saving.register_keras_serializable(package="lstd")
class FeatureMaps(keras.layers.Layer):
    """SSD feature maps: each further map is half the size of the one before.

        m_0 = x,    m_n = conv3x3_stride2(conv1x1(m_{n-1}))  [ + pool(m_{n-1}) ]

    Every convolution is followed by batch norm and relu6. Called with m_0, float `[N, h, w, C]`;
    returns a tuple of 1 + len(depths) maps.

    Args:
        depths: channels of the further maps; `middle_depths` between the two convolutions of each.
        use_depthwise: the second convolution is a 3x3 depthwise and a 1x1.
        pool_residual: adds the map before, average-pooled with stride 2, after the relu6, where the
            numbers of channels agree. As in the original, only with `use_depthwise`.
        convolution: arguments that all `ConvBN` share, such as `l2_weight`.

    Source: Liu et al., 2016 (https://arxiv.org/abs/1512.02325); as in TF1's
    `multi_resolution_feature_maps`.
    """

    def __init__(
        self,
        *,
        depths: tuple[int, ...],
        middle_depths: tuple[int, ...],
        use_depthwise: bool = False,
        pool_residual: bool = False,
        convolution: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depths = tuple(depths)
        self.middle_depths = tuple(middle_depths)
        self.use_depthwise = use_depthwise
        self.pool_residual = pool_residual
        convolution = dict(convolution or {})
        self.int8 = bool(convolution.get("int8"))
        self.squeezes = [
            ConvBN(depth, **convolution, name=f"squeeze_{index}")
            for index, depth in enumerate(middle_depths, start=1)
        ]
        self.depthwises = [
            DepthwiseConvBN(strides=2, **convolution, name=f"depthwise_{index}")
            for index in range(1, len(depths) + 1)
            if use_depthwise
        ]
        shape = {"kernel_size": 1} if use_depthwise else {"kernel_size": 3, "strides": 2}
        self.expands = [
            ConvBN(depth, **shape, **convolution, name=f"expand_{index}")
            for index, depth in enumerate(self.depths, start=1)
        ]
        if self.int8:  # of map 0, and of the sums
            self.ranges = [FakeQuant(learned=False, name="range_0")]
            self.ranges += [FakeQuant(name=f"range_{n}") for n in range(1, len(self.depths) + 1)]
            for index, squeeze in enumerate(self.squeezes):
                squeeze.input_scale = partial(self.scale_of, index)

    def scale_of(self, index: int) -> Any:
        """Returns a level of a map, in 8 bits."""
        return self._range_of(index).scale()

    def _range_of(self, index: int) -> FakeQuant:
        # A map without residual is the output of a relu6.
        return self.ranges[index if self.ranges[index].built else 0]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, ...]:
        maps = [inputs]
        for index, depth in enumerate(self.depths):
            before = maps[-1]
            outputs = self.squeezes[index](before, training=training)
            if self.use_depthwise:
                outputs = self.depthwises[index](outputs, training=training)
            outputs = self.expands[index](outputs, training=training)
            if self.adds_residual(before.shape[-1], depth):
                outputs = self.with_residual(index, outputs, before, training)
            maps.append(outputs)
        return tuple(maps)

    def adds_residual(self, channels: int, depth: int) -> bool:
        """Returns whether a map of `depth` is added to the pooled one of `channels` before it."""
        return self.use_depthwise and self.pool_residual and channels == depth

    def with_residual(
        self, index: int, outputs: tf.Tensor, before: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Returns map index + 1 with the pooled map before it."""
        pooled = tf.nn.avg_pool2d(before, ksize=3, strides=2, padding="SAME")
        if not self.int8:
            return outputs + pooled
        pooled = self._range_of(index).rounded(pooled, training)
        return self.ranges[index + 1](outputs + pooled, training=training)


@keras.saving.register_keras_serializable(package="lstd")
class FineMap(keras.layers.Layer):
    """A feature map at twice the memory's resolution, for small objects.

        fine = sepconv3x3(relu6(seen + upsample(conv1x1(memory))))

    So what is remembered guides what is seen in detail. Both convolutions are followed by batch
    norm, the separable one by relu6 as well. Called with what a backbone sees,
    `[N, 2h, 2w, depth]`, and the memory's output, float `[N, h, w, C]`; returns float
    `[N, 2h, 2w, depth]`.

    `convolution` has the arguments that all `ConvBN` share, such as `l2_weight`.

    Source: Lin et al., 2017 (https://arxiv.org/abs/1612.03144), for the join; not in the papers.
    """

    def __init__(
        self, depth: int, *, convolution: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        own = dict(convolution or {})
        self.squeeze = ConvBN(depth, activation=False, **own, name="squeeze")
        self.depthwise = DepthwiseConvBN(**own, name="depthwise")
        self.expand = ConvBN(depth, **own, name="expand")
        self.six = FakeQuant(learned=False, name="six") if own.get("int8") else None

    def call(self, seen: tf.Tensor, memory: tf.Tensor, training: bool = False) -> tf.Tensor:
        known = _doubled(self.squeeze(memory, training=training))
        joined = tf.nn.relu6(seen + known)
        if self.six is not None:
            joined = self.six(joined, training=training)
        return self.expand(self.depthwise(joined, training=training), training=training)


def _doubled(inputs: tf.Tensor) -> tf.Tensor:
    """Returns `[N, h, w, C]` as `[N, 2h, 2w, C]`, each pixel four times.

    Not by a resize to the nearest pixel, which XNNPACK leaves to slower code.
    """
    _, height, width, channels = inputs.shape
    wide = tf.concat([inputs, inputs], axis=-1)
    wide = tf.reshape(wide, [-1, height, 2 * width, channels])
    return tf.reshape(tf.concat([wide, wide], axis=2), [-1, 2 * height, 2 * width, channels])
