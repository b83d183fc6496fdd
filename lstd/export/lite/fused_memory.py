"""The memory in few operations: the same numbers as its layers, from the same weights.

`Bottleneck` and `ConvLSTMCell` compute group by group. XNNPACK has fast grouped convolutions, also
in int8, and would rather have few operations: so here each kind of convolution is one operation for
all groups, and each gate one of its own, since then nothing has to be split. Where grouped
convolutions are slow (TensorFlow on a CPU, TFLite without XNNPACK), the layers are better.

Two things keep int8 within XNNPACK: limits are part of the sum they apply to, and no concatenation
has more than four inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from lstd.base.types import LSTMState
from lstd.layers import separable
from lstd.layers.bottleneck import Bottleneck, activation_of, concatenated
from lstd.layers.conv_lstm import ConvLSTMCell
from lstd.layers.separable import SeparableKernel


def bottleneck(layer: Bottleneck, inputs: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Returns what `layer` returns, see `Bottleneck`.

        b = activation(conv_x(filter_x([x, x ...])) + conv_h(filter_h(h)))

    The feature stands in it once for every group. The two convolutions are grouped.
    """
    if layer.int8:
        parts = (
            layer.part(name, layer.input_range.rounded(part), pointwise=_grouped)
            for name, part in (("x", inputs), ("h", hidden))
        )
        return layer.join(*parts)
    from_input, from_state = (
        [kernel.rows(rows) for kernel in layer.kernels]
        for rows in (slice(None, layer.input_depth), slice(layer.input_depth, None))
    )
    repeated = concatenated([inputs] * layer.groups)
    return activation_of(layer.activation)(
        _separable(repeated, from_input, bias=True) + _separable(hidden, from_state, bias=False)
    )


def cell(layer: ConvLSTMCell, joined: tf.Tensor, state: LSTMState) -> tuple[tf.Tensor, LSTMState]:
    """Returns what `layer` returns for a bottleneck `joined` and a state, see `ConvLSTMCell`."""
    activate = activation_of(layer.activation)
    i, j, f, o = gates(layer, joined)
    if layer.int8:
        return layer.in_8_bits(joined, state, (i, j, f, o))
    total = state.c * tf.sigmoid(f) + tf.sigmoid(i) * activate(j)
    if layer.activation == "relu6" and layer.activate_state and not layer.scale_state:
        after = activated = tf.nn.relu6(total)  # a limit of [-6, 6] before it changes nothing
    else:
        bounded = layer.bounded(total)
        activated = activate(bounded)
        after = activated if layer.activate_state else bounded
    hidden = activated * tf.sigmoid(o)
    output = tf.concat([hidden, joined], axis=-1) if layer.output_bottleneck else hidden
    return output, LSTMState(after, hidden)


def gates(layer: ConvLSTMCell, joined: tf.Tensor) -> list[tf.Tensor]:
    """Returns the pre-activations i, j, f + 1, o, float `[N, h, w, D]` each."""
    depth = layer.state_depth // layer.groups
    filtered, kernels = layer.filtered(joined)
    found = []
    for number in range(4):
        columns = slice(number * depth, (number + 1) * depth)
        kernel = tf.concat([each.pointwise[..., columns] for each in kernels], axis=-1)
        bias = [each.bias[columns] for each in kernels]
        outputs = separable.pointwise(filtered, kernel)
        found.append(_biased(outputs, bias, 1.0 if number == 2 and not layer.int8 else 0.0))
    return found


def _separable(inputs: tf.Tensor, kernels: Sequence[SeparableKernel], *, bias: bool) -> tf.Tensor:
    """Returns the kernels applied to their slices of the channels, in two operations."""
    outputs = _grouped(separable.depthwise(inputs, kernels), kernels)
    return _biased(outputs, [kernel.bias for kernel in kernels]) if bias else outputs


def _grouped(filtered: tf.Tensor, kernels: Sequence[SeparableKernel]) -> tf.Tensor:
    kernel = tf.concat([each.pointwise for each in kernels], axis=-1)
    return separable.pointwise(filtered, kernel)


def _biased(inputs: tf.Tensor, bias: Sequence[tf.Tensor], plus: float = 0.0) -> tf.Tensor:
    joined = tf.concat(list(bias), axis=-1)
    return tf.nn.bias_add(inputs, tf.cast(joined + plus if plus else joined, inputs.dtype))
