"""Pictures that anybody may have written, as 8-bit RGB; what Pillow stumbles over is one error.

They come upright: where a camera has written its orientation, the pixels are turned, because that
is how people saw the picture. Of 16 bits the upper 8 are taken, as TensorFlow and OpenCV do.
Transparent places show the colour that is stored below.
"""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lstd.base import limits
from lstd.media import optional

_ORIENTATION = 0x0112
_CAMERAS = ("JPEG", "MPO", "WEBP")  # Pillow turns TIFF, and reads all of a PNG to look for it
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF


class CorruptImage(ValueError):
    """An image that cannot be decoded."""


@contextlib.contextmanager
def opened(source: Path | str | BinaryIO, *, where: str) -> Iterator[Any]:
    """Yields a Pillow image whose head is read; its pixels are to be decoded within the block.

    Raises:
        CorruptImage: out of the block, too: no picture, damaged, or of more than `limits.PIXELS`.
        OSError: the file cannot be read.
        ImportError: Pillow is not installed.
    """
    image = _pillow()
    try:
        with image.open(source) as picture:
            width, height = picture.size
            if width * height > limits.PIXELS:
                raise CorruptImage(
                    f"{width} x {height} pixels; more than {limits.PIXELS} are taken for a mistake"
                )
            yield picture
    except Exception as error:  # its decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno is not None:
            raise
        unknown = isinstance(error, image.UnidentifiedImageError)  # it names an object of ours
        reason = "no known format" if unknown else str(error) or type(error).__name__
        raise CorruptImage(f"{where}: this image cannot be decoded: {reason}") from None


def pixels(picture: Any, *, upright: bool = True) -> np.ndarray:
    """Returns uint8 `[H, W, 3]`, RGB, of an opened picture; see `rgb`."""
    return np.asarray(rgb(picture, upright=upright))


def rgb(picture: Any, *, upright: bool = True) -> Any:
    """Returns an opened picture as a Pillow image of mode RGB, turned as the camera says.

    Raises:
        ValueError: a file of several pictures, or numbers that are no brightness.
    """
    check(picture)
    if picture.mode.startswith("I"):
        picture = _eight_bits(picture)
    elif upright and orientation(picture) > 1:
        picture = optional.load("PIL.ImageOps").exif_transpose(picture)
    return picture.convert("RGB")


def check(picture: Any) -> None:
    """Refuses, as `rgb` does, what the head of an opened file says already."""
    if is_several(picture):
        raise ValueError(
            f"it holds {picture.n_frames} pictures; save the one that is meant as a file of its own"
        )
    if picture.mode == "F" or (picture.mode == "I" and picture.format not in ("PNG", "PPM")):
        raise ValueError(
            f"its pixels are {'floats' if picture.mode == 'F' else '32-bit integers'}, which do "
            "not say what is black and what is white; save it with 8 or 16 bits"
        )


def orientation(picture: Any) -> int:
    """Returns how a camera says that an opened picture is to be turned, 1 to 8; 1: not at all."""
    if picture.format not in _CAMERAS:
        return 1
    said = picture.getexif().get(_ORIENTATION, 1)
    return said if said in range(1, 9) else 1


def size_of(picture: Any, *, upright: bool = True) -> tuple[int, int]:
    """Returns height and width of an opened picture in pixels; see `rgb`."""
    width, height = picture.size
    return (width, height) if upright and orientation(picture) >= 5 else (height, width)


def is_several(picture: Any) -> bool:
    """Whether an opened file is an animation or has pages; a camera's MPO has previews."""
    return picture.format != "MPO" and getattr(picture, "is_animated", False)


def _eight_bits(picture: Any) -> Any:
    """Returns a grey picture of 16 bits, or of as many as a TIFF says, as one of 8."""
    tags = getattr(picture, "tag_v2", {})
    bits = max(8, *tags.get(_BITS_PER_SAMPLE, (16,)))
    values = np.asarray(picture).astype(np.uint16) >> (bits - 8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 255 - values
    return optional.load("PIL.Image").fromarray(values.astype(np.uint8))


@functools.cache
def _pillow() -> Any:
    image = optional.load("PIL.Image")
    # Of pictures that `opened` refuses.
    warnings.filterwarnings("ignore", category=image.DecompressionBombWarning)
    return image
