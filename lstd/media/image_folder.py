"""A folder of images as the frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lstd.base import natural
from lstd.media import picture_file

SUFFIXES = (".jpg", ".jpeg", ".png")


def images_in(folder: Path) -> tuple[list[Path], int, int]:
    """Returns the images of a folder in natural order, their width and their height, in pixels.

    Only the heads of the files are read. Hidden files are left out.

    Raises:
        ValueError: no image in the folder, one that cannot be read, or images of several sizes.
        ImportError: Pillow is not installed.
    """
    paths = sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ),
        key=lambda path: natural.key(path.name),
    )
    if not paths:
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
        close = f"; it holds folders, name one of them: {', '.join(inner[:5])}" if inner else ""
        raise ValueError(
            f"{folder}: this folder holds no image; expected {', '.join(SUFFIXES)}{close}"
        )
    width, height = _size_of(paths[0])
    for path in paths[1:]:
        size = _size_of(path)
        if size != (width, height):
            raise ValueError(
                f"{path}: {size[0]} x {size[1]} pixels, but {paths[0].name} has {width} x "
                f"{height}; the images of a folder must be of one size"
            )
    return paths, width, height


def read(paths: Sequence[Path], *, width: int, height: int) -> Iterator[np.ndarray]:
    """Yields the images as uint8 RGB `[H, W, 3]`, as `picture_file` shows them.

    Raises:
        ValueError: an image cannot be decoded, or is not of the expected size.
    """
    for path in paths:
        with picture_file.opened(path, where=str(path)) as image:
            frame = picture_file.pixels(image)
        if frame.shape != (height, width, 3):
            raise ValueError(f"{path}: expected {width} x {height} pixels, got {frame.shape}")
        yield frame


def _size_of(path: Path) -> tuple[int, int]:
    with picture_file.opened(path, where=str(path)) as image:
        height, width = picture_file.size_of(image)
        return width, height
