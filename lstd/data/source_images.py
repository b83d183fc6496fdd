"""Opens the images of a source: as pixels, or as the bytes of a JPEG or PNG where they are that.

Images of files come upright; bytes of records as TensorFlow decodes them, without orientation.
"""

import io
from typing import Any

import numpy as np

from lstd.data.sources import Image, ImageFile
from lstd.media import picture_file
from lstd.media.picture_file import CorruptImage

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


class MissingImage(ValueError):
    """There is no image where the data set says that there is one."""


def encoded(image: Image, *, where: str) -> bytes | np.ndarray:
    """Returns the bytes of a JPEG or PNG as they are stored, or pixels where that cannot be.

    Pixels, uint8 `[H, W, 3]`, come of what has no bytes (a video), of other formats than JPEG and
    PNG, of 16-bit, CMYK and transparent pictures, and of a JPEG that has to be turned. The image is
    decoded in any case, so that bytes that are returned are sound. `where` is for messages.

    Raises:
        MissingImage: there is none.
        CorruptImage: it cannot be decoded.
        ImportError: Pillow is not installed.
    """
    if isinstance(image, np.ndarray):
        return image
    data = bytes_of(image, where=where)
    upright = isinstance(image, ImageFile)
    with picture_file.opened(io.BytesIO(data), where=_name_of(image, where)) as picture:
        shown = picture_file.pixels(picture, upright=upright)
        return data if _says_the_same(data, picture, upright=upright) else shown


def pixels(image: Image, *, where: str) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`, RGB; raises as `encoded` does."""
    if isinstance(image, np.ndarray):
        return image
    data = io.BytesIO(bytes_of(image, where=where))
    with picture_file.opened(data, where=_name_of(image, where)) as picture:
        return picture_file.pixels(picture, upright=isinstance(image, ImageFile))


def bytes_of(image: ImageFile | bytes | None, *, where: str) -> bytes:
    """Returns the stored bytes of an image, not checked; raises MissingImage if there is none."""
    if isinstance(image, bytes):
        return image
    if image is None:
        raise MissingImage(f"{where}: there is no image for this frame")
    try:
        with open(image.path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise MissingImage(f"{where}: there is no image {image.path}") from None


def is_plain(data: bytes) -> bool:
    """Returns whether a file's head is of a JPEG or PNG that says the same to any decoder."""
    try:
        with picture_file.opened(io.BytesIO(data), where="") as picture:
            return _says_the_same(data, picture, upright=True)
    except CorruptImage:
        return False


def size_of(image: Image, *, where: str) -> tuple[int, int]:
    """Returns height and width in pixels; reads only the head of a file; raises as `encoded`."""
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    source: Any
    if is_file := isinstance(image, ImageFile):
        source = image.path
    else:
        source = io.BytesIO(bytes_of(image, where=where))
    try:
        with picture_file.opened(source, where=_name_of(image, where)) as picture:
            picture_file.check(picture)
            return picture_file.size_of(picture, upright=is_file)
    except FileNotFoundError:
        raise MissingImage(f"{where}: there is no image {source}") from None


def of_size(image: Image, size: tuple[int, int], *, where: str) -> Image:
    """Returns an image of a record, upright where the height and width it says fit only that."""
    if not (isinstance(image, bytes) and image.startswith(_JPEG) and all(size)):
        return image
    try:
        with picture_file.opened(io.BytesIO(image), where=where) as picture:
            stored = picture_file.size_of(picture, upright=False)
            turned = stored != size == picture_file.size_of(picture)
            return picture_file.pixels(picture) if turned else image
    except CorruptImage:  # what opens it will say so
        return image


def _says_the_same(data: bytes, picture: Any, *, upright: bool) -> bool:
    turned = upright and picture_file.orientation(picture) > 1
    known = data.startswith((_JPEG, _PNG)) and picture.mode in ("RGB", "L")
    return known and not turned and not picture_file.is_several(picture)


def _name_of(image: Image, where: str) -> str:
    return f"{where}, {image.path}" if isinstance(image, ImageFile) else where
