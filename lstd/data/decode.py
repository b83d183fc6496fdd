"""From images as their medium has them to pixels, by TensorFlow; errors name the frame."""

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.data import source_images
from lstd.data.problems import ProblemError
from lstd.data.sources import Image, ImageFile
from lstd.ops import images


def pixels(image: Image, *, where: str) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`.

    JPEG and PNG are decoded by TensorFlow, as records are; what only Pillow can do (another format,
    an orientation, more than 8 bits), by Pillow.

    Raises:
        ProblemError: there is no image, or it cannot be decoded.
    """
    if isinstance(image, np.ndarray):
        return image
    data = source_images.bytes_of(image, where=where)
    if isinstance(image, ImageFile):
        if not source_images.is_plain(data):
            return source_images.pixels(image, where=where)
        where = f"{where}, {image.path}"
    try:
        return images.decode(data).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ProblemError(
            "corrupt_image", f"{where}: the image is not a JPEG or PNG, or damaged: {error.message}"
        ) from None


def packed(image: Image) -> bytes:
    """Returns an image as it is in the bytes of a string, which is what `tf.data` knows."""
    if isinstance(image, np.ndarray):  # copied once: pickle, or a sum of bytes, takes longer
        return b"".join((b"%d %d\n" % image.shape[:2], np.ascontiguousarray(image).data))
    return pickle.dumps(image)


def unpacked(data: bytes) -> Image:
    """Returns the image of `packed`; pixels are not copied."""
    if data.startswith(pickle.PROTO):
        return pickle.loads(data)
    start = data.index(b"\n") + 1
    height, width = map(int, data[:start].split())
    return np.frombuffer(data, np.uint8, offset=start).reshape(height, width, 3)


def stacked(
    clip: Sequence[Image], wheres: Sequence[str], *, size: tuple[int, int], scale: bool
) -> np.ndarray:
    """Returns uint8 `[T, H, W, 3]` of T images.

    All must have the `size`, pixels, or that of the first if it is (0, 0); with `scale` they are
    scaled to it (problem frame_size: repair).

    Raises:
        ProblemError: see `pixels`; or an image has another size.
    """
    frames: list[np.ndarray] = []
    for image, where in zip(clip, wheres, strict=True):
        frame = pixels(image, where=where)
        height, width = size = size if size[0] else frame.shape[:2]
        if frame.shape[:2] != size:
            if not scale:
                raise ProblemError(
                    "frame_size",
                    f"{where}: the frame is {frame.shape[0]} x {frame.shape[1]} pixels, expected "
                    f"{height} x {width}: frames differ in size; height and width of the data's "
                    "config give all of them one",
                )
            frame = scaled(frame, height, width)
        frames.append(frame)
    return np.stack(frames)


def scaled(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns uint8 `[height, width, 3]`, by the project's own resize."""
    resized: Any = images.resize(frame[np.newaxis], height, width)[0]
    return np.clip(np.round(resized.numpy()), 0, 255).astype(np.uint8)
