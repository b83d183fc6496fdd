"""The machine's peak: a large 1x1 convolution, to hold a network's speed against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SIDE, DEPTH = 64, 512
MULTIPLY_ADDS = SIDE * SIDE * DEPTH * DEPTH
"""Of one call: 1.07 thousand millions, as many as a large network has."""
DATA_TYPES = ("float32", "dynamic", "int8")
"""Of TFLite."""
IN_TENSORFLOW = "float32 in TensorFlow"
"""Of a Keras model, which TensorFlow runs."""


def convolution(data_type: str) -> bytes:
    """Returns a `.tflite` with one 1x1 convolution over 64 x 64 places, 512 channels to 512.

    Args:
        data_type: of `DATA_TYPES`; "dynamic" has int8 weights and float32 values.

    Raises:
        ValueError: another data type.
        ImportError: TensorFlow, whose converter makes it, is not installed.
    """
    if data_type not in DATA_TYPES:
        raise ValueError(f"no peak for {data_type}; expected one of {', '.join(DATA_TYPES)}")
    import tensorflow as tf

    module = tf.Module()
    module.run = _function()
    concrete = [module.run.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module)
    if data_type != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if data_type == "int8":
        converter.representative_dataset = lambda: iter([[_values()]] * 2)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def in_tensorflow() -> Callable[[], Any]:
    """Returns a call of the same convolution in TensorFlow, in float32, with its result in NumPy.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    import tensorflow as tf

    run, values = _function(), tf.constant(_values())
    return lambda: run(values).numpy()


def _function() -> Any:
    """Returns the convolution as a tf.function."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    weights = tf.constant(rng.normal(0.0, DEPTH**-0.5, (1, 1, DEPTH, DEPTH)), tf.float32)
    return tf.function(
        lambda values: tf.nn.conv2d(values, weights, strides=1, padding="VALID"),
        input_signature=[tf.TensorSpec((1, SIDE, SIDE, DEPTH), tf.float32)],
        autograph=False,
    )


def _values() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.0, 1.0, (1, SIDE, SIDE, DEPTH)).astype(np.float32)
