from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.ops import images
from lstd.runtime import frame_resize

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "resize.npz"


def test_resize_equals_the_original() -> None:
    golden = np.load(GOLDEN)
    cases = [key.removesuffix("/image") for key in golden if key.endswith("/image")]
    assert len(cases) >= 6
    for case in cases:
        expected = golden[f"{case}/resized"]
        result = frame_resize.resize(golden[f"{case}/image"], *expected.shape[:2])
        # The original's kernel and ours round differently by some float32 steps of 255.
        np.testing.assert_allclose(result, expected, atol=1e-4, err_msg=case)
        assert result.dtype == np.float32


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (64, 32), (45, 80), (90, 160)])
def test_resize_equals_the_models_own_resize(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (45, 80, 3), dtype=np.uint8)
    expected = images.resize(frame[np.newaxis], *size)[0]
    np.testing.assert_allclose(frame_resize.resize(frame, *size), expected, atol=1e-4)


def test_resize_reads_at_i_times_in_over_out_and_repeats_the_border() -> None:
    line = np.array([[[0], [100], [200]]], np.uint8)
    result = frame_resize.resize(line, 1, 6)[0, :, 0]
    np.testing.assert_array_equal(result, [0, 50, 100, 150, 200, 200])


def _fit(frame: np.ndarray, *shape: int, dtype: type = np.float32) -> np.ndarray:
    image = np.full((1, *shape), 77, dtype)
    frame_resize.fit(frame, image)
    return image[0]


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_frame_of_the_right_size_keeps_its_values(dtype: type) -> None:
    frame = np.random.default_rng(2).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(_fit(frame, 5, 4, 3, dtype=dtype), frame)
    mirrored = frame[::-1, ::-1]  # not in one piece of memory
    np.testing.assert_array_equal(_fit(mirrored, 5, 4, 3, dtype=dtype), mirrored)


def test_bytes_are_rounded_to_the_nearer_level() -> None:
    line = np.array([[[0], [3], [255]]], np.uint8)
    halves = [0.0, 1.5, 3.0, 129.0, 255.0, 255.0]
    np.testing.assert_array_equal(_fit(line, 1, 6, 1)[0, :, 0], halves)
    np.testing.assert_array_equal(_fit(line, 1, 6, 1, dtype=np.uint8)[0, :, 0], np.rint(halves))


def test_channels_change_as_in_training() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    grey = _fit(frame, 6, 9, 1)
    # One rounding more or less of a sum of three.
    np.testing.assert_allclose(grey, images.to_channels(tf.constant(frame), 1), atol=1e-4)
    rgb = _fit(frame[..., :1], 6, 9, 3)
    np.testing.assert_array_equal(rgb, np.repeat(frame[..., :1], 3, axis=2))
