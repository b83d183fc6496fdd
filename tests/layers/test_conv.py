"""A convolution with batch norm is one convolution with a bias."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from lstd.layers.conv import ConvBN, DepthwiseConvBN
from tests import tiny
from tests.layers import narrow_gradients


@pytest.mark.parametrize("strides", [1, 2])
def test_folded_convolution_equals_the_layer(strides: int) -> None:
    layer = ConvBN(5, kernel_size=3, strides=strides, activation=False)
    inputs = tf.random.stateless_normal([2, 5, 6, 4], seed=(0, 1))
    layer(inputs)
    tiny.scramble(layer)
    kernel, bias = layer.folded()
    outputs = tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, strides, "SAME"), bias)
    # Sums of 36 products in float32, of values up to 5.
    np.testing.assert_allclose(outputs, layer(inputs), atol=1e-5)


@pytest.mark.parametrize("bessel_correction", [True, False])
def test_folded_depthwise_convolution_equals_the_layer(bessel_correction: bool) -> None:
    layer = DepthwiseConvBN(activation=False, bessel_correction=bessel_correction)
    inputs = tf.random.stateless_normal([1, 5, 6, 4], seed=(0, 1))
    layer(inputs)
    tiny.scramble(layer)
    kernel, bias = layer.folded()
    outputs = tf.nn.depthwise_conv2d(inputs, kernel, [1, 1, 1, 1], "SAME")
    # Sums of 9 products in float32, of values up to 5.
    np.testing.assert_allclose(tf.nn.bias_add(outputs, bias), layer(inputs), atol=1e-5)


@pytest.mark.parametrize("height", [1, 2])
def test_kernel_gradient_of_the_narrowest_map_is_that_of_float32(height: int) -> None:
    # oneDNN is on by default on many CPUs, and off in this process (tests/conftest.py).
    command = [sys.executable, "-m", narrow_gradients.__name__, str(height)]
    # Without a pool, memory is soon used again.
    settings = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPU_ALLOCATOR_USE_BFC": "false"}
    environment = {**os.environ, **settings}
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    wanted, *found = (np.array(gradient) for gradient in json.loads(run.stdout))
    assert len(found) == 2 * narrow_gradients.DRAWS
    # bfloat16 has 8 bits, 0.4 %, in each of a few steps.
    for gradient in found:
        assert np.linalg.norm(gradient - wanted) < 0.02 * np.linalg.norm(wanted)
