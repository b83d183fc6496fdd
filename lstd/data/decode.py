"""From images as their medium has them to pixels, with errors that name the frame.

Inside a `tf.data` pipeline a picture travels as a string and two numbers: the bytes of a JPEG or
PNG and (0, 0), the path of a file and (-1, -1), or raw pixels and their height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.data import source_images
from lstd.data.problems import ProblemError
from lstd.data.sources import Image, ImageFile
from lstd.ops import images

ENCODED, FILE = (0, 0), (-1, -1)


def packed(image: Image, *, where: str) -> tuple[bytes, tuple[int, int]]:
    """Returns a picture as a string and two numbers.

    Raises:
        ProblemError: there is no image.
    """
    if image is None:
        raise ProblemError("missing_frame", f"{where}: there is no image for this frame")
    if isinstance(image, bytes):
        return image, ENCODED
    if isinstance(image, ImageFile):
        return image.path.encode(), FILE
    return image.tobytes(), (image.shape[0], image.shape[1])


def pixels(data: bytes, size: Sequence[int], *, where: str) -> np.ndarray:
    """Returns uint8 `[H, W, 3]` of a packed picture.

    JPEG and PNG are decoded by TensorFlow, as records are; what only Pillow can do (another format,
    an orientation, more than 8 bits), by Pillow.

    Raises:
        ProblemError: the file is missing, or the image cannot be decoded.
    """
    height, width = int(size[0]), int(size[1])
    if height > 0:
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if (height, width) == FILE:
        image = ImageFile(data.decode())
        try:
            data = source_images.bytes_of(image, where=where)
            if not source_images.is_plain(data):
                return source_images.pixels(image, where=where)
        except source_images.MissingImage as error:
            raise ProblemError("missing_frame", str(error)) from None
        except source_images.CorruptImage as error:
            raise ProblemError("corrupt_image", str(error)) from None
        where = f"{where}, {image.path}"
    try:
        return images.decode(data).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ProblemError(
            "corrupt_image", f"{where}: the image is not a JPEG or PNG, or damaged: {error.message}"
        ) from None


def stacked(
    data: Sequence[bytes],
    sizes: np.ndarray,
    wheres: Sequence[bytes],
    *,
    size: tuple[int, int],
    scale: bool,
) -> np.ndarray:
    """Returns uint8 `[T, H, W, 3]` of T packed pictures.

    Args:
        data: the strings.
        sizes: int `[T, 2]`.
        wheres: names each frame, UTF-8.
        size: that all must have, pixels; (0, 0): that of the first.
        scale: pictures of another size are scaled to it (problem frame_size: repair).

    Raises:
        ProblemError: see `pixels`; or a picture has another size.
    """
    frames: list[np.ndarray] = []
    for text, numbers, where in zip(data, sizes, wheres, strict=True):
        frame = pixels(text, numbers, where=where.decode())
        size = size if size[0] else (frame.shape[0], frame.shape[1])
        if frame.shape[:2] != size:
            if not scale:
                raise ProblemError(
                    "frame_size",
                    f"{where.decode()}: the frame is {frame.shape[0]} x {frame.shape[1]} pixels, "
                    f"expected {size[0]} x {size[1]}: frames differ in size; "
                    "height and width of the data's config give all of them one",
                )
            frame = scaled(frame, *size)
        frames.append(frame)
    return np.stack(frames)


def scaled(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns uint8 `[height, width, 3]`, by the project's own resize."""
    resized: Any = images.resize(frame[np.newaxis], height, width)[0]
    return np.clip(np.round(resized.numpy()), 0, 255).astype(np.uint8)
