"""The convolutional LSTM cell of both papers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import LSTMState
from lstd.layers import separable
from lstd.layers.bottleneck import activation_of
from lstd.layers.fake_quant import FakeQuant, rounded


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
    learned. The range of c' is then its limit.

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
        self.quantized = quantized
        self._activate = activation_of(activation)
        self.ranges = {
            name: FakeQuant(low, 6.0, groups=groups, name=name)
            for name, low in (("gates", -6.0), ("forget", -6.0), ("kept", 0.0), ("added", 0.0))
            if quantized
        }

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
        i, j, f, o = self.gates(bottleneck)
        if self.quantized:
            return self._quantized(bottleneck, state, (i, j, f, o), training)
        cell = state.c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * self._activate(j)
        cell = self.bounded(cell)
        activated = self._activate(cell)
        hidden = activated * tf.sigmoid(o)
        output = tf.concat([hidden, bottleneck], axis=-1) if self.output_bottleneck else hidden
        return output, LSTMState(activated if self.activate_state else cell, hidden)

    def _quantized(
        self,
        bottleneck: tf.Tensor,
        state: LSTMState,
        gates: tuple[tf.Tensor, ...],
        training: bool,
    ) -> tuple[tf.Tensor, LSTMState]:
        """Returns what `call` returns, in 8 bits."""

        def six(tensor: tf.Tensor) -> tf.Tensor:
            return rounded(tensor, 0.0, 6.0)

        def share(tensor: tf.Tensor) -> tf.Tensor:
            return rounded(tf.sigmoid(tensor), 0.0, 1.0)

        learned = self.ranges
        if training:
            learned["gates"].observe(*gates)
        i, j, f, o = map(learned["gates"].rounded, gates)
        f = learned["forget"](f + 1.0, training=training)
        kept = learned["kept"](state.c * share(f), training=training)
        added = learned["added"](share(i) * six(self._activate(j)), training=training)
        cell = six(self._activate(kept + added))
        hidden = six(cell * share(o))
        output = hidden
        if self.output_bottleneck:
            output = tf.concat([hidden, six(bottleneck)], axis=-1)
        return output, LSTMState(cell, hidden)

    def gates(self, bottleneck: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the pre-activations i, j, f, o, float `[N, h, w, D]` each."""
        filtered = separable.depthwise(bottleneck, self.kernels)
        groups = [
            tf.split(separable.projected(part, kernel), 4, axis=-1)
            for part, kernel in zip(
                tf.split(filtered, self.groups, axis=-1), self.kernels, strict=True
            )
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
