"""Opens the images of a source: as pixels, or as the bytes of a JPEG or PNG where they are that.

Images come upright: where a camera has written its orientation into a JPEG, the pixels are turned,
because that is how people saw the picture when they drew the boxes.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from lstd.data.sources import Image, ImageFile
from lstd.media import optional, picture_file
from lstd.media.picture_file import CorruptImage

_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


class MissingImage(ValueError):
    """There is no image where the data set says that there is one."""


def encoded(image: Image, *, where: str) -> bytes | np.ndarray:
    """Returns the bytes of a JPEG or PNG as they are stored, or pixels where that cannot be.

    Pixels, uint8 `[H, W, 3]`, come of what has no bytes (a video), of other formats than JPEG and
    PNG, of 16-bit, CMYK and transparent pictures, and of a JPEG that has to be turned. The image is
    decoded in any case, so that bytes that are returned are sound.

    Args:
        image: of a `SourceFrame`.
        where: for messages.

    Raises:
        MissingImage: there is none.
        CorruptImage: it cannot be decoded.
        ImportError: Pillow is not installed.
    """
    if isinstance(image, np.ndarray):
        return image
    data = bytes_of(image, where=where)
    pixels, plain = _decode(data, where=_name_of(image, where))
    return data if plain else pixels


def pixels(image: Image, *, where: str) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`, RGB; raises as `encoded` does."""
    if isinstance(image, np.ndarray):
        return image
    return _decode(bytes_of(image, where=where), where=_name_of(image, where))[0]


def bytes_of(image: Image, *, where: str) -> bytes:
    """Returns the stored bytes of an image that has some, not checked.

    Raises:
        MissingImage: there is none.
        TypeError: it is decoded already.
    """
    if image is None:
        raise MissingImage(f"{where}: there is no image for this frame")
    if isinstance(image, bytes):
        return image
    if isinstance(image, ImageFile):
        try:
            with open(image.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise MissingImage(f"{where}: there is no image {image.path}") from None
    raise TypeError(f"{where}: pixels have no bytes")


def is_plain(data: bytes) -> bool:
    """Returns whether stored bytes are a JPEG or PNG that says the same to any decoder.

    Only the head is looked at; False where it cannot be read.
    """
    if not data.startswith((_JPEG, _PNG)):
        return False
    try:
        with picture_file.opened(io.BytesIO(data), where="") as picture:
            return _says_the_same(picture)
    except CorruptImage:
        return False


def size_of(image: Image, *, where: str) -> tuple[int, int]:
    """Returns height and width in pixels; reads only the head of a file.

    Raises:
        MissingImage: there is no such file.
        CorruptImage: it is no image.
    """
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    head = image.path if isinstance(image, ImageFile) else None
    try:
        source = head if head is not None else io.BytesIO(bytes_of(image, where=where))
        with picture_file.opened(source, where=_name_of(image, where)) as picture:
            width, height = picture.size[::-1] if _orientation(picture) >= 5 else picture.size
            return height, width
    except FileNotFoundError:
        raise MissingImage(f"{where}: there is no image {head}") from None


def _decode(data: bytes, *, where: str) -> tuple[np.ndarray, bool]:
    """Returns the pixels, and whether the bytes say the same to any decoder."""
    with picture_file.opened(io.BytesIO(data), where=where) as picture:
        plain = data.startswith((_JPEG, _PNG)) and _says_the_same(picture)
        if _orientation(picture) > 1:
            picture = optional.load("PIL.ImageOps").exif_transpose(picture)
        return np.asarray(picture.convert("RGB")), plain


def _says_the_same(opened: Any) -> bool:
    return opened.mode in ("RGB", "L") and _orientation(opened) <= 1


def _orientation(opened: Any) -> int:
    # Only cameras' files: Pillow reads all of a PNG to look for its orientation.
    return opened.getexif().get(_ORIENTATION, 1) if opened.format == "JPEG" else 1


def _name_of(image: Image, where: str) -> str:
    return f"{where}, {image.path}" if isinstance(image, ImageFile) else where
