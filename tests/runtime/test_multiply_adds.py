from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.runtime import multiply_adds, timed_models
from tests import tiny
from tests.export import exports


def _cost(content: bytes, folder: Path) -> multiply_adds.Cost:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return multiply_adds.count(path)[multiply_adds.FIRST]


def _weights(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        # 4 x 5 places, 7 channels each, 3 x 3 x 2 products for each of them.
        (lambda x: tf.nn.conv2d(x, _weights(3, 3, 2, 7), 1, "SAME"), (1, 4, 5, 2), 20 * 7 * 18),
        # Stride 2: a quarter of the places.
        (lambda x: tf.nn.conv2d(x, _weights(1, 1, 2, 7), 2, "SAME"), (1, 4, 4, 2), 4 * 7 * 2),
        # Two groups: each output sees 2 of the 4 channels.
        (lambda x: tf.nn.conv2d(x, _weights(1, 1, 2, 6), 1, "SAME"), (1, 4, 4, 4), 16 * 6 * 2),
        (
            lambda x: tf.nn.depthwise_conv2d(x, _weights(3, 3, 2, 1), [1, 1, 1, 1], "SAME"),
            (1, 4, 5, 2),
            20 * 2 * 9,
        ),
        (lambda x: tf.matmul(x, _weights(6, 3)), (2, 6), 2 * 3 * 6),
        (
            lambda x: tf.nn.conv2d_transpose(x, _weights(2, 2, 5, 3), [1, 6, 8, 5], 2),
            (1, 3, 4, 3),
            12 * 3 * 4 * 5,
        ),
        (lambda x: tf.matmul(x, tf.transpose(x, [0, 2, 1]) + 1.0), (2, 3, 5), 2 * 9 * 5),
        (lambda x: x * 2.0, (4, 4), 0),
        # Open shapes are not guessed.
        (lambda x: tf.nn.conv2d(x, _weights(1, 1, 2, 7), 1, "SAME"), (None, 4, 4, 2), None),
    ],
    ids=["conv", "stride", "groups", "depthwise", "dense", "transposed", "matmul", "none", "open"],
)
def test_counted_as_by_hand(
    function: object, shape: tuple[int | None, ...], expected: int | None, tmp_path: Path
) -> None:
    module = tf.Module()
    module.run = tf.function(function, input_signature=[tf.TensorSpec(shape)])
    concrete = [module.run.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module).convert()
    assert _cost(content, tmp_path) == (expected, "float32")


@pytest.mark.parametrize("data_type", timed_models.DATA_TYPES)
def test_the_large_convolution_is_of_its_data_type(data_type: str, tmp_path: Path) -> None:
    cost = _cost(timed_models.convolution(data_type), tmp_path)
    assert cost == (64 * 64 * 512 * 512, data_type) == (timed_models.PEAK, data_type)


@pytest.mark.slow
def test_an_export_costs_what_its_model_counts(tmp_path: Path) -> None:
    model, path = tiny.model(), tmp_path / "model.tflite"
    path.write_bytes(exports.converted(exports.module(model)))
    expected, found = lstd.count(model)["multiply_adds"], multiply_adds.count(path)
    for network in ("large", "small"):
        assert found[network].multiply_adds == expected[network]


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + b"\xff" * 40)
    with pytest.raises(ValueError, match=r"cut.tflite: this TFLite file is damaged"):
        multiply_adds.count(path)
