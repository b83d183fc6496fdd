"""Frames to the size and channels of a network, in NumPy, as TensorFlow 1 resized them."""

from functools import lru_cache

import numpy as np

_GREY = np.array([0.2989, 0.587, 0.114], np.float32)


def fit(frame: np.ndarray, image: np.ndarray) -> None:
    """Writes a frame as a network takes it: of its size, its channels, 0 to 255.

    Args:
        frame: uint8 `[H, W, 1 or 3]`. Grey is repeated for RGB; RGB becomes
            0.2989 R + 0.587 G + 0.114 B for grey.
        image: float32 or uint8 `[1, height, width, 1 or 3]`, written to. For uint8, what lies
            between two levels is rounded to the nearer one, a half to the even one.
    """
    _, height, width, channels = image.shape
    target = image[0]
    if frame.shape == target.shape:  # Straight into the network's memory, one copy.
        np.copyto(target, frame, casting="unsafe")
        return
    resized = resize(frame, height, width)
    if frame.shape[2] > channels:
        resized = (resized @ _GREY)[..., np.newaxis]
    if target.dtype == np.uint8:
        np.rint(resized, out=resized)
    np.copyto(target, resized, casting="unsafe")


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns an image of another size, by the bilinear resize of TensorFlow 1.

    A destination pixel i reads the source at i * in / out, without a half-pixel offset; the
    neighbour beyond the border is the border. Equal to `lstd.ops.images.resize` up to rounding.

    From uint8 or float `[H, W, C]`, H and W at least 1, to float32 `[height, width, C]`; only a
    cast where the size fits.
    """
    if image.shape[:2] == (height, width):
        return image.astype(np.float32)
    channels = image.shape[2]
    upper_row, lower_row, weight = _axis(image.shape[0], height, 1)
    columns = _axis(image.shape[1], width, channels)
    flat = image.reshape(image.shape[0], -1)
    result = _along_width(flat.take(upper_row, axis=0), *columns)  # [height, width * C]
    if weight.any():
        below = _along_width(flat.take(lower_row, axis=0), *columns)
        below -= result
        below *= weight[:, np.newaxis]
        result += below
    return result.reshape(height, width, channels)


def _along_width(
    lines: np.ndarray, first: np.ndarray, second: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Returns float32 `[n, width * C]` of lines `[n, W * C]`."""
    left = lines.take(first, axis=1).astype(np.float32)
    if weight.any():
        right = lines.take(second, axis=1).astype(np.float32)
        right -= left
        right *= weight
        left += right
    return left


@lru_cache(maxsize=64)
def _axis(size_in: int, size_out: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the two places that each number of an axis reads, and the weight of the second.

    A pixel is `channels` numbers side by side.
    """
    # In float32 as in TensorFlow, where rounding can move a reading point.
    scale = np.float32(size_in) / np.float32(size_out)
    source = np.arange(size_out, dtype=np.float32) * scale
    lower = np.minimum(np.floor(source).astype(np.int64), size_in - 1)
    upper = np.minimum(lower + 1, size_in - 1)
    weight = (source - lower).astype(np.float32)
    offsets = np.arange(channels)
    return (
        (lower[:, np.newaxis] * channels + offsets).ravel(),
        (upper[:, np.newaxis] * channels + offsets).ravel(),
        np.repeat(weight, channels),
    )
