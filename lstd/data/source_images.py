"""Opens the images of a source: as pixels, or as the bytes of a JPEG or PNG where they are that.

Images of files come upright; bytes of records as TensorFlow decodes them, without orientation.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from lstd.data.problems import ProblemError
from lstd.data.sources import Image, ImageFile
from lstd.media import picture_file

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image, *, where: str) -> bytes | np.ndarray:
    """Returns the bytes of a JPEG or PNG as they are stored, or pixels where that cannot be.

    Pixels, uint8 `[H, W, 3]`, come of what has no bytes (a video), of other formats than JPEG and
    PNG, of 16-bit, CMYK and transparent pictures, and of a JPEG that has to be turned. The image is
    decoded in any case, so that bytes that are returned are sound. `where` is for messages.

    Raises:
        ProblemError: there is none (missing_frame), or it cannot be decoded (corrupt_image).
        ImportError: Pillow is not installed.
    """
    if isinstance(image, np.ndarray):
        return image
    data = bytes_of(image, where=where)
    upright = isinstance(image, ImageFile)
    with _opened(image, where=where, data=data) as picture:
        shown = picture_file.pixels(picture, upright=upright)
        return data if _says_the_same(data, picture, upright=upright) else shown


def pixels(image: Image, *, where: str) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`, RGB; raises as `encoded` does."""
    if isinstance(image, np.ndarray):
        return image
    with _opened(image, where=where) as picture:
        return picture_file.pixels(picture, upright=isinstance(image, ImageFile))


def bytes_of(image: ImageFile | bytes | None, *, where: str) -> bytes:
    """Returns the stored bytes of an image, not checked; raises ProblemError if there is none."""
    if isinstance(image, bytes):
        return image
    if image is None:
        raise ProblemError("missing_frame", f"{where}: there is no image for this frame")
    try:
        with open(image.path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise ProblemError("missing_frame", f"{where}: there is no image {image.path}") from None


def is_plain(data: bytes) -> bool:
    """Returns whether a file's head is of a JPEG or PNG that says the same to any decoder."""
    try:
        with _opened(data, where="") as picture:
            return _says_the_same(data, picture, upright=True)
    except ProblemError:
        return False


def size_of(image: Image, *, where: str) -> tuple[int, int]:
    """Returns height and width in pixels; reads only the head of a file; raises as `encoded`."""
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    with _opened(image, where=where) as picture:
        picture_file.check(picture)
        return picture_file.size_of(picture, upright=isinstance(image, ImageFile))


def of_size(image: Image, size: tuple[int, int], *, where: str) -> Image:
    """Returns an image of a record, upright where the height and width it says fit only that."""
    if not (isinstance(image, bytes) and image.startswith(_JPEG) and all(size)):
        return image
    try:
        with _opened(image, where=where) as picture:
            stored = picture_file.size_of(picture, upright=False)
            turned = stored != size == picture_file.size_of(picture)
            return picture_file.pixels(picture) if turned else image
    except ProblemError:  # what opens it will say so
        return image


@contextlib.contextmanager
def _opened(
    image: ImageFile | bytes | None, *, where: str, data: bytes | None = None
) -> Iterator[Any]:
    """Yields a picture whose head is read, of its bytes if these are known; raises as `encoded`."""
    path = image.path if isinstance(image, ImageFile) else ""
    if data is None and not path:
        data = bytes_of(image, where=where)
    source = path if data is None else io.BytesIO(data)
    try:
        with picture_file.opened(source, where=f"{where}, {path}" if path else where) as picture:
            yield picture
    except FileNotFoundError:
        raise ProblemError("missing_frame", f"{where}: there is no image {path}") from None
    except picture_file.CorruptImage as error:
        raise ProblemError("corrupt_image", str(error)) from None


def _says_the_same(data: bytes, picture: Any, *, upright: bool) -> bool:
    turned = upright and picture_file.orientation(picture) > 1
    known = data.startswith((_JPEG, _PNG)) and picture.mode in ("RGB", "L")
    return known and not turned and not picture_file.is_several(picture)
