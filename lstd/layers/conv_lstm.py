"""The convolutional LSTM cell of both papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import LSTMState
from lstd.layers import separable
from lstd.layers.bottleneck import activation_of
from lstd.layers.fake_quant import FakeQuant
from lstd.layers.separable import SeparableKernel


@keras.saving.register_keras_serializable(package="lstd")
class ConvLSTMCell(keras.layers.Layer):
    """One step of the memory, from the bottleneck b and the state (c, h), in groups k.

        i, j, f, o = split(sepconv_k(b_k))
        c' = c_k * sigmoid(f + 1) + sigmoid(i) * activation(j)
        c' = clip(c', -6, 6)    or    c' / max(1, max(c'_k) / 6)    or    as it is
        second paper:  c = activation(c'),  h = c * sigmoid(o)
        first paper:   c = c',              h = activation(c') * sigmoid(o)

    A quantised cell rounds the result of each step to 8 bits: sigmoids within [0, 1], all else
    within [0, 6], except for the gates of each group, f + 1 and the two products, whose ranges are
    learned. The range of c' is then its limit. With `int8` the groups share their ranges, i, f + 1
    and o have one, sigmoids end at 255 / 256, and weights and what is between the halves of the
    convolution are rounded, too: what an int8 file computes.

    Called with the bottleneck, float `[N, h, w, D]`, and an LSTMState of the same shapes. Returns
    (output, new state); the output is [h, bottleneck], or h alone without `output_bottleneck`.

    Args:
        state_depth: D.
        groups: G; divides D.
        activation: "relu6", or the name of a Keras activation.
        clip_state: clips c' to [-6, 6]. With `activate_state` the stored c then lies in [0, 6].
        scale_state: divides c' of each sample and group by max(1, its maximum / 6) instead.
        activate_state: stores activation(c') (second paper) instead of c' (first paper).
        output_bottleneck: the output holds the bottleneck beside h.
        quantized: in 8 bits, as `is_quantized` of the TF1 code has it; c' is stored activated.
        int8: in 8 bits, as an int8 file computes it.

    Source: Liu and Zhu, 2018 (https://arxiv.org/abs/1711.06368), section 3.3; Liu et al., 2019
    (https://arxiv.org/abs/1903.10172), section 3.3; the order of the gates as in the TF1 code.
    """

    def __init__(
        self,
        *,
        state_depth: int,
        groups: int = 1,
        activation: str = "relu6",
        clip_state: bool = False,
        scale_state: bool = False,
        activate_state: bool = False,
        output_bottleneck: bool = False,
        l2_weight: float = 0.0,
        initializer_stddev: float | None = 0.03,
        quantized: bool = False,
        int8: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.state_depth = state_depth
        self.groups = groups
        self.activation = activation
        self.clip_state = clip_state
        self.scale_state = scale_state
        self.activate_state = activate_state
        self.output_bottleneck = output_bottleneck
        self.l2_weight = l2_weight
        self.initializer_stddev = initializer_stddev
        self.quantized = quantized or int8
        self.int8 = int8
        self._activate = activation_of(activation)
        between = ("filtered", -6.0) if int8 else ("forget", -6.0)
        self.ranges = {
            name: FakeQuant(low, 6.0, groups=1 if int8 else groups, name=name)
            for name, low in (("gates", -6.0), between, ("kept", 0.0), ("added", 0.0))
            if self.quantized
        }
        self.six = FakeQuant(learned=False, name="six")
        # The share is at most 255 / 256 where TFLite computes it.
        self.share = FakeQuant(high=255 / 256 if int8 else 1.0, learned=False, name="share")

    rounds = True  # see `ConvBN`

    def build(self, input_shape: tf.TensorShape) -> None:
        depth = self.state_depth // self.groups
        self.kernels = [
            separable.add_kernel(
                self,
                f"gates_{group}",
                channels_in=depth,
                channels_out=4 * depth,
                l2_weight=self.l2_weight,
                initializer_stddev=self.initializer_stddev,
            )
            for group in range(self.groups)
        ]
        if self.quantized:
            self.kernels = separable.with_depthwise_biases(self, self.kernels)
        for each in self.ranges.values():
            each.build(input_shape)
        super().build(input_shape)

    def call(
        self, bottleneck: tf.Tensor, state: LSTMState, training: bool = False
    ) -> tuple[tf.Tensor, LSTMState]:
        i, j, f, o = self.gates(bottleneck, training)
        if self.quantized:
            return self.in_8_bits(bottleneck, state, (i, j, f, o), training)
        cell = state.c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * self._activate(j)
        cell = self.bounded(cell)
        activated = self._activate(cell)
        hidden = activated * tf.sigmoid(o)
        output = tf.concat([hidden, bottleneck], axis=-1) if self.output_bottleneck else hidden
        return output, LSTMState(activated if self.activate_state else cell, hidden)

    def in_8_bits(
        self,
        bottleneck: tf.Tensor,
        state: LSTMState,
        gates: Sequence[tf.Tensor],
        training: bool = False,
    ) -> tuple[tf.Tensor, LSTMState]:
        """Returns what `call` returns of a quantised cell, see `gates`."""

        def six(tensor: tf.Tensor) -> tf.Tensor:
            return self.six.rounded(tensor, training)

        def share(tensor: tf.Tensor) -> tf.Tensor:
            return self.share.rounded(tf.sigmoid(tensor), training)

        learned = self.ranges
        i, j, f, o = gates
        if self.int8:
            if training:
                learned["gates"].observe(i, f, o)
            i, f, o = (learned["gates"].rounded(gate, training) for gate in (i, f, o))
        else:
            if training:
                learned["gates"].observe(i, j, f, o)
            i, j, f, o = (learned["gates"].rounded(gate, training) for gate in (i, j, f, o))
            f = learned["forget"](f + 1.0, training=training)
        kept = learned["kept"](state.c * share(f), training=training)
        added = learned["added"](share(i) * six(self._activate(j)), training=training)
        cell = six(self._activate(kept + added))
        hidden = six(cell * share(o))
        output = hidden
        if self.output_bottleneck:
            output = tf.concat([hidden, six(bottleneck)], axis=-1)
        return output, LSTMState(cell, hidden)

    def filtered(
        self, bottleneck: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, Sequence[SeparableKernel]]:
        """Returns the first half of the gates' convolution, and the kernels of the second one."""
        kernels = self.kernels
        if self.int8:
            depth = self.state_depth // self.groups
            plus = tf.constant(np.repeat([0.0, 0.0, 1.0, 0.0], depth), tf.float32)
            kernels = [kernel._replace(bias=kernel.bias + plus) for kernel in kernels]
        if self.int8 and (self.rounds or not training):
            between = self.ranges["filtered"].scale()
            kernels = [kernel.on_grid(between) for kernel in kernels]
        outputs = separable.depthwise(bottleneck, kernels)
        if self.int8:
            outputs = self.ranges["filtered"](outputs, training=training)
        return outputs, kernels

    def gates(self, bottleneck: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, ...]:
        """Returns the pre-activations i, j, f, o, float `[N, h, w, D]` each.

        The forget gate's 1 is in f already with `int8`, of which it is a part of the bias.
        """
        filtered, kernels = self.filtered(bottleneck, training)
        groups = [
            tf.split(separable.projected(part, kernel), 4, axis=-1)
            for part, kernel in zip(tf.split(filtered, self.groups, axis=-1), kernels, strict=True)
        ]
        if self.groups == 1:
            return tuple(groups[0])
        return tuple(tf.concat(parts, axis=-1) for parts in zip(*groups, strict=True))

    def bounded(self, cell: tf.Tensor) -> tf.Tensor:
        """Returns c' within the limits of the settings, float `[N, h, w, D]`."""
        if self.clip_state:
            return tf.clip_by_value(cell, -6.0, 6.0)
        if self.scale_state:
            parts = tf.split(cell, self.groups, axis=-1)
            largest = [tf.reduce_max(part, axis=(1, 2, 3), keepdims=True) for part in parts]
            return tf.concat(
                [p / tf.maximum(1.0, m / 6.0) for p, m in zip(parts, largest, strict=True)], axis=-1
            )
        return cell
