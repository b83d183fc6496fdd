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
from lstd.layers.bottleneck import Bottleneck, activation_of
from lstd.layers.conv_lstm import ConvLSTMCell
from lstd.layers.separable import SeparableKernel

_MOST_INPUTS = 4  # of a concatenation; XNNPACK takes five at most


def bottleneck(layer: Bottleneck, inputs: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Returns what `layer` returns, see `Bottleneck`.

        b = activation(conv_x(filter_x([x, x ...])) + conv_h(filter_h(h)))

    The feature stands in it once for every group. The two convolutions are grouped.
    """
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
    filtered = separable.depthwise(joined, layer.kernels)
    found = []
    for number in range(4):
        columns = slice(number * depth, (number + 1) * depth)
        kernel = tf.concat([each.pointwise[..., columns] for each in layer.kernels], axis=-1)
        bias = [each.bias[columns] for each in layer.kernels]
        outputs = separable.pointwise(filtered, kernel)
        found.append(_biased(outputs, bias, 1.0 if number == 2 else 0.0))
    return found


def concatenated(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the parts side by side in the last axis, joined in steps of a few."""
    while len(parts) > _MOST_INPUTS:
        runs = [parts[start : start + _MOST_INPUTS] for start in range(0, len(parts), _MOST_INPUTS)]
        parts = [concatenated(run) for run in runs]
    return tf.concat(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def _separable(inputs: tf.Tensor, kernels: Sequence[SeparableKernel], *, bias: bool) -> tf.Tensor:
    """Returns the kernels applied to their slices of the channels, in two operations."""
    filtered = separable.depthwise(inputs, kernels)
    pointwise = tf.concat([kernel.pointwise for kernel in kernels], axis=-1)
    outputs = separable.pointwise(filtered, pointwise)
    return _biased(outputs, [kernel.bias for kernel in kernels]) if bias else outputs


def _biased(inputs: tf.Tensor, bias: Sequence[tf.Tensor], plus: float = 0.0) -> tf.Tensor:
    joined = tf.concat(list(bias), axis=-1)
    return tf.nn.bias_add(inputs, tf.cast(joined + plus if plus else joined, inputs.dtype))
