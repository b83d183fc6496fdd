"""Opens pictures that anybody may have written: what Pillow stumbles over becomes one error."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lstd import limits
from lstd.media import optional


class CorruptImage(ValueError):
    """An image that cannot be decoded."""


@contextlib.contextmanager
def opened(source: Path | str | BinaryIO, *, where: str) -> Iterator[Any]:
    """Yields a Pillow image whose head is read; its pixels are to be decoded within the block.

    Args:
        source: a path, or the bytes.
        where: for messages.

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
                raise ValueError(
                    f"{width} x {height} pixels; more than {limits.PIXELS} are taken for a mistake"
                )
            yield picture
    except Exception as error:  # its decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno is not None:
            raise
        unknown = isinstance(error, image.UnidentifiedImageError)  # it names an object of ours
        reason = "no known format" if unknown else str(error) or type(error).__name__
        raise CorruptImage(f"{where}: this image cannot be decoded: {reason}") from None


@functools.cache
def _pillow() -> Any:
    image = optional.load("PIL.Image")
    # Of pictures that `opened` refuses.
    warnings.filterwarnings("ignore", category=image.DecompressionBombWarning)
    return image
