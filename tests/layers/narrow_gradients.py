"""Prints kernel gradients of a depthwise convolution over a map of width 1, as JSON, for a test.

`python -m tests.layers.narrow_gradients HEIGHT`: of float32, then `DRAWS` of each half precision.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.layers.conv import DepthwiseConvBN

DRAWS = 6


def gradient(precision: str, inputs: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of the sum of what a new layer gives."""
    keras.mixed_precision.set_global_policy(precision)  # that of the convolution within
    layer = DepthwiseConvBN(strides=2, activation=False)
    layer(inputs)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(inputs), tf.float32))
    # A gradient that is not written everywhere shows what the memory held that is freed here.
    freed = [tf.fill([16 * size], np.nan) for size in list(range(1, 65)) * 4]
    del freed
    return tape.gradient(loss, layer.convolution.depthwise_kernel)


def main() -> None:
    """Prints them."""
    inputs = tf.random.stateless_normal([3, int(sys.argv[1]), 1, 8], seed=(0, 1))
    precisions = ["float32"] + ["mixed_bfloat16", "mixed_float16"] * DRAWS
    # Without activation the kernel, which is drawn anew, has no part in its own gradient.
    print(json.dumps([gradient(name, inputs).numpy().tolist() for name in precisions]))


if __name__ == "__main__":
    main()
