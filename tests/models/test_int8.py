"""A model that computes as an int8 file does."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lstd.config.train_config import QuantizationConfig
from lstd.export.lite import frame_step
from lstd.layers.conv import ConvBN, DepthwiseConvBN
from lstd.layers.fake_quant import FakeQuant, on_grid
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training.callbacks import Quantize
from lstd.training.weights_file import load_weights
from tests import tiny

WHOLE = dataclasses.replace(tiny.FINE, feature_map_use_depthwise=True, min_depth=16, int8=True)
"""With every kind of layer: a fine map, and depthwise feature maps with a residual."""


@pytest.fixture(scope="module")
def model() -> LSTMSSD:
    """Returns a model that has seen the ranges of all its values."""
    built = tiny.model(WHOLE)
    learn_ranges(built)
    return built


def learn_ranges(built: LSTMSSD) -> None:
    """Lets a model see the ranges of all its values, as it is in inference."""
    in_phase(built, rounds=False, folds=True)
    built(tiny.clip(4), networks=["large", "small", "large", "small"], training=True)
    in_phase(built, rounds=True, folds=True)


def in_phase(built: LSTMSSD, *, rounds: bool, folds: bool) -> None:
    """Brings a model into a phase of its training."""
    config = QuantizationConfig(delay=0 if rounds else 9, fold_batch_norm=0 if folds else 9)
    callback = Quantize(config, steps=10)
    callback.set_model(
        SimpleNamespace(
            submodules=built.submodules, optimizer=SimpleNamespace(iterations=tf.constant(0))
        )
    )
    callback.on_train_batch_begin(0)


def test_weights_have_255_levels_of_their_output_channel_and_a_gradient() -> None:
    kernel = tf.Variable([[1.27, -0.5], [0.012, 0.25], [-0.004, 0.0]])
    with tf.GradientTape() as tape:
        rounded = on_grid(kernel)
        total = tf.reduce_sum(rounded * [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    step = 0.5 / 127
    expected = [[1.27, -0.5], [0.01, round(0.25 / step) * step], [0.0, 0.0]]
    np.testing.assert_allclose(rounded, expected, atol=1e-6)
    np.testing.assert_allclose(on_grid(rounded), rounded, atol=1e-6)
    np.testing.assert_array_equal(tape.gradient(total, kernel), [[1, 2], [3, 4], [5, 6]])
    assert not on_grid(tf.zeros([3, 2])).numpy().any()


@pytest.mark.parametrize("make", [ConvBN, DepthwiseConvBN])
def test_batch_norm_is_folded_into_rounded_weights(make: type) -> None:
    layer = make(4, kernel_size=3, int8=True) if make is ConvBN else make(int8=True)
    inputs = tf.random.stateless_normal([2, 5, 6, 4], seed=(0, 1))
    layer(inputs)
    tiny.scramble(layer)
    kernel, bias = layer.folded()
    axes = [0, 1, 3] if make is DepthwiseConvBN else [0, 1, 2]
    levels = kernel / (tf.reduce_max(tf.abs(kernel), axes, keepdims=True) / 127)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    # As batch norm after the rounded convolution has it.
    layer.rounds = False
    raw, _ = layer.folded(training=True)
    assert 1e-4 < np.abs(raw - kernel).max() < 0.02
    apply = tf.nn.conv2d if make is ConvBN else tf.nn.depthwise_conv2d
    strides = 1 if make is ConvBN else [1, 1, 1, 1]
    sums = tf.nn.relu6(tf.nn.bias_add(apply(inputs, kernel, strides, "SAME"), bias))
    assert np.abs(sums - layer(inputs)).max() <= 6 / 255 / 2 + 1e-5


def test_a_clip_the_model_step_by_step_and_the_exported_step_are_equal(model: LSTMSSD) -> None:
    frames = tiny.clip(4, batch=1)
    networks = ["large", "small", "small", "large"]
    whole = model(frames, networks=networks)
    ours = theirs = model.initial_state(1)
    for at, network in enumerate(networks):
        frame = tf.constant(frames[:, at], tf.float32)
        one = model.step(frame, ours, network)
        other = frame_step.step(model, frame, theirs, network=network, sliced=False)
        ours, theirs = one.state, other.state
        for clip, step, exported in zip(
            whole.predictions, one.predictions, other.predictions, strict=True
        ):
            np.testing.assert_array_equal(step, clip[:, at])
            np.testing.assert_allclose(exported, step, atol=1e-4)
    for part in (*whole.state, *theirs):
        levels = np.asarray(part) * 255 / 6
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert np.asarray(whole.state.c).max() > 0.5


def test_from_a_float_run_training_goes_on_in_float_before_its_delay(
    model: LSTMSSD, tmp_path: Path
) -> None:
    plain = tiny.model(dataclasses.replace(WHOLE, int8=False), seed=1)
    plain.save_weights(tmp_path / "best.weights.h5")
    model.save_weights(tmp_path / "own.weights.h5")

    report = load_weights(model, tmp_path / "best.weights.h5", on_mismatch="skip")

    assert (len(report.restored), report.unused, report.mismatched) == (len(plain.weights), (), ())
    for name in ("large", "small"):  # whose last projection has a relu6 now
        getattr(plain, name).blocks[-1].project.activation = True
    for layer in plain.submodules:
        if hasattr(layer, "frozen_statistics"):
            layer.frozen_statistics = True
    for part in (model.large_bottleneck, model.small_bottleneck, model.cell):
        for kernel in part.kernels:
            kernel.depthwise_bias.assign(tf.zeros_like(kernel.depthwise_bias))  # as it begins
    in_phase(model, rounds=False, folds=True)
    networks = ["large", "small", "large", "small"]
    steps = learned_steps(model)
    theirs = plain(tiny.clip(4), networks=networks, training=True)
    ours = model(tiny.clip(4), networks=networks, training=True)
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    assert len(steps) > 50
    assert min(np.subtract(learned_steps(model), steps)) > 0
    model.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(learned_steps(model), steps)
    back = load_weights(plain, tmp_path / "own.weights.h5", on_mismatch="skip")
    assert (back.restored, back.missing, back.mismatched) == (report.restored, (), ())
    np.testing.assert_array_equal(plain.cell.kernels[0].bias, model.cell.kernels[0].bias)


def learned_steps(model: LSTMSSD) -> list[float]:
    """Returns how many batches each learned range has seen."""
    ranges = [m for m in model.submodules if isinstance(m, FakeQuant) and m.learned and m.built]
    return [float(each.steps) for each in ranges]
