"""Frames before the network; the resize itself stands in tests/golden/test_ops.py."""

import numpy as np
import pytest
import tensorflow as tf

from lstd.ops import images


def test_resize_to_the_same_size_only_casts() -> None:
    given = np.random.default_rng(1).integers(0, 256, [2, 6, 9, 3]).astype(np.uint8)
    resized = images.resize(given, 6, 9)
    assert resized.dtype == tf.float32
    np.testing.assert_array_equal(resized, given)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)])
    def of_unknown_size(frames: tf.Tensor) -> tf.Tensor:
        return images.resize(frames, 6, 9)

    np.testing.assert_array_equal(of_unknown_size(given), given)


def test_resize_of_a_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[N, H, W, C\]"):
        images.resize(tf.zeros([1, 2, 4, 4, 3]), 8, 8)


def test_normalize_maps_0_and_255_to_minus_1_and_1() -> None:
    made = images.normalize(tf.constant([0, 51, 255], tf.uint8))
    assert made.dtype == tf.float32
    np.testing.assert_allclose(made, [-1.0, -0.6, 1.0], atol=1.2e-7)


def test_half_resolution_equals_a_resize_bit_for_bit() -> None:
    given = np.random.default_rng(3).uniform(-1, 1, [2, 6, 10, 3]).astype(np.float32)
    half = images.half_resolution(given)
    np.testing.assert_array_equal(half, given[:, [0, 2, 4]][:, :, [0, 2, 4, 6, 8]])
    np.testing.assert_array_equal(half, images.resize(given, 3, 5))


def test_grey_is_a_weighted_mean_that_is_not_rounded() -> None:
    pixel = np.array([[[100, 50, 200]]], np.uint8)
    expected = 100 * 0.2989 + 50 * 0.5870 + 200 * 0.1140
    for given in (pixel, pixel.astype(np.float32)):
        grey = images.to_channels(given, 1)
        assert grey.shape == (1, 1, 1)
        assert grey.dtype == tf.float32
        np.testing.assert_allclose(grey[0, 0, 0], expected, rtol=1e-6)


def test_grey_becomes_three_equal_channels() -> None:
    given = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    made = images.to_channels(given, 3)
    assert made.dtype == tf.uint8
    np.testing.assert_array_equal(made, np.repeat(given, 3, axis=-1))


@pytest.mark.parametrize(("present", "wanted"), [(4, 3), (2, 1), (3, 4), (1, 2)])
def test_other_numbers_of_channels_are_refused(present: int, wanted: int) -> None:
    with pytest.raises(ValueError, match="1 \\(grey\\) or 3 \\(RGB\\)"):
        images.to_channels(tf.zeros([1, 2, 2, present]), wanted)


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 5, 7, 1), (1, 2, 2, 3), (1, 6, 4, 1)])
def test_half_normalized_is_every_second_pixel_normalised(shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    expected = images.half_resolution(images.normalize(frames))
    # One product and one sum, rounded differently, on values up to 1.
    np.testing.assert_allclose(images.half_normalized(frames), expected, atol=3e-7)
