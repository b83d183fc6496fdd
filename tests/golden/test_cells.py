"""The memory's cells against the original's, in all their variants."""

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import LSTMState
from lstd.layers.bottleneck import Bottleneck
from lstd.layers.conv_lstm import ConvLSTMCell
from tests.golden.reference import arrays, reference

SCOPE = "var/conv_lstm_cell/"
TOLERANCE = 1e-5  # float32 sums of some hundred terms of size 1; seen: 3e-6


def _fill(kernel, arrays, scope):
    kernel.depthwise.assign(arrays[f"{scope}/depthwise_weights"])
    kernel.pointwise.assign(arrays[f"{scope}/pointwise_weights"])
    kernel.bias.assign(arrays[f"{scope}/biases"])


def _state(arrays, case):
    return LSTMState(*(tf.constant(arrays[f"{case}/in/{name}"]) for name in "ch"))


def _grouped(inputs, **settings):
    cell = ConvLSTMCell(
        state_depth=16, groups=4, activate_state=True, output_bottleneck=True, **settings
    )
    cell.build(inputs.shape)
    return cell


def _assert_close(arrays, case, output, state):
    for name, ours in (("output", output), ("new_c", state.c), ("new_h", state.h)):
        theirs = arrays[f"{case}/out/{name}"]
        np.testing.assert_allclose(
            np.reshape(ours, theirs.shape), theirs, atol=TOLERANCE, rtol=TOLERANCE, err_msg=name
        )


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("float_prebottleneck", {"clip_state": True}),
        ("float_bottleneck", {"clip_state": True}),
        ("float_scale_state", {"scale_state": True}),
        ("float_no_clip", {}),
    ],
)
def test_grouped_cell_equals_the_original(case, settings):
    golden = arrays(reference("lstm_cells.npz"))
    state = _state(golden, case)
    inputs = [tf.constant(golden[f"{case}/in/x{number}"]) for number in (0, 1)]
    cell = _grouped(inputs[0], **settings)
    for group, kernel in enumerate(cell.kernels):
        _fill(kernel, golden, f"{case}/{SCOPE}concat_conv_{group}")
    before = f"{case}/{SCOPE}bottleneck_0/group_0/project/biases" in golden
    bottlenecks = []
    for number, x in enumerate(inputs if before else inputs[:1]):
        layer = Bottleneck(state_depth=16, groups=4)
        layer.build(x.shape)
        for group, kernel in enumerate(layer.kernels):
            scope = (
                f"bottleneck_{number}/group_{group}/project" if before else f"bottleneck_{group}"
            )
            _fill(kernel, golden, f"{case}/{SCOPE}{scope}")
        bottlenecks.append(layer(x, state.h))
        if before:
            theirs = golden[f"{case}/out/pre_bottleneck_{number}"]
            np.testing.assert_allclose(bottlenecks[-1], theirs, atol=TOLERANCE, rtol=TOLERANCE)

    output, new = cell(bottlenecks[0], state)

    _assert_close(golden, case, output, new)


def _fill_quantized(kernel, arrays, scope):
    kernel.depthwise.assign(arrays[f"{scope}/depthwise_weights"])
    kernel.depthwise_bias.assign(arrays[f"{scope}_bias/biases"])
    kernel.pointwise.assign(arrays[f"{scope}/weights"])
    kernel.bias.assign(arrays[f"{scope}/biases"])


RANGES = {
    "gates": "gates_{}/act_quant",
    "forget": "forget_gate_{}/add_quant",
    "kept": "forget_gate_{}/mul_quant",
    "added": "input_gate_{}/mul_quant",
}


@pytest.mark.parametrize("case", ["eval_prebottleneck", "eval_bottleneck", "train_prebottleneck"])
def test_quantized_cell_equals_the_original(case):
    golden = arrays(reference("lstm_cells.npz"))
    state, training = _state(golden, case), case.startswith("train")
    inputs = [tf.constant(golden[f"{case}/in/x{number}"]) for number in (0, 1)]
    cell = _grouped(inputs[0], quantized=True)
    for group, kernel in enumerate(cell.kernels):
        _fill_quantized(kernel, golden, f"{case}/{SCOPE}concat_conv_{group}")
    before = case.endswith("prebottleneck")
    found, layers = {}, []
    for number, x in enumerate(inputs if before else inputs[:1]):
        layer = Bottleneck(state_depth=16, groups=4, quantized=True)
        layer.build(x.shape)
        for group, kernel in enumerate(layer.kernels):
            scope = (
                f"bottleneck_{number}/group_{group}/project" if before else f"bottleneck_{group}"
            )
            _fill_quantized(kernel, golden, f"{case}/{SCOPE}{scope}")
        layers.append(layer)
        if before:
            found[f"pre_bottleneck_{number}"] = layer(x, state.h, training=training)
        else:  # The gates see what is rounded for the output alone.
            found["pre_bottleneck_0"] = tf.nn.relu6(layer.input_part(x) + layer.state_part(state.h))

    output, new = cell(found["pre_bottleneck_0"], state, training=training)

    found |= {"output": output, "new_c": new.c, "new_h": new.h}
    for name in found if before else ("output", "new_c", "new_h"):
        off = np.abs(found[name] - golden[f"{case}/out/{name}"])
        assert off.max() < 1.01 * 6 / 255, name  # one level
        assert np.mean(off > TOLERANCE) <= 0.001, name
    if not training:
        return
    learnt = {f"{SCOPE}{there}": cell.ranges[here] for here, there in RANGES.items()}
    for number, layer in enumerate(layers):
        scope = f"{SCOPE}bottleneck_{number}"
        learnt[f"{scope}/group_{{}}/quantized_concat"] = layer.input_range
        learnt[f"{scope}/bottleneck_out/quantized_concat"] = layer.output_range
    for name, layer in learnt.items():
        for end, variables in (("min", layer.lows), ("max", layer.highs)):
            for group, variable in enumerate(variables):
                place = f"{name.format(group)}/{end}"
                after = golden.get(f"{case}/{place.replace('var/', 'var_after/', 1)}")
                theirs = golden[f"{case}/{place}"] if after is None else after
                np.testing.assert_allclose(variable, theirs, atol=1e-4, err_msg=place)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("plain", {}),
        ("clip", {"clip_state": True}),
        ("outbott", {"output_bottleneck": True}),
        ("flatten", {}),
        ("tanh", {"activation": "tanh"}),
    ],
)
def test_first_papers_cell_equals_the_original(case, settings):
    golden = arrays(reference("lstm_cells_v1.npz"))
    state = _state(golden, case)
    x = tf.constant(golden[f"{case}/in/x"])
    activation = settings.get("activation", "relu6")
    bottleneck = Bottleneck(state_depth=12, activation=activation)
    cell = ConvLSTMCell(state_depth=12, **settings)
    bottleneck.build(x.shape)
    cell.build(x.shape)
    _fill(bottleneck.kernels[0], golden, f"{case}/{SCOPE}bottleneck")
    _fill(cell.kernels[0], golden, f"{case}/{SCOPE}gates")

    output, new = cell(bottleneck(x, state.h), state)

    _assert_close(golden, case, output, new)
