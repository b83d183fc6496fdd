from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest

from lstd import limits
from lstd.data import decode, source_images
from lstd.data.problems import ProblemError
from lstd.media import image_folder, picture_file

Image = pytest.importorskip("PIL.Image")


def _png(width: int, height: int) -> bytes:
    """Returns a few bytes that claim to be a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9460, 14_000, 300_000])
def test_a_picture_of_more_pixels_than_anybody_has_is_refused(side: int, tmp_path: Path) -> None:
    assert side**2 > limits.PIXELS
    data = _png(side, side)
    with pytest.raises(picture_file.CorruptImage, match=r"^x: .*pixels"):
        source_images.size_of(data, where="x")
    with pytest.raises(picture_file.CorruptImage, match=r"^x: .*pixels"):
        source_images.encoded(data, where="x")
    (tmp_path / "0.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"0\.png: .*pixels"):
        image_folder.images_in(tmp_path)
    with pytest.raises(ProblemError):
        decode.pixels(data, (0, 0), where="x")


def test_what_a_decoder_raises_is_a_corrupt_image_and_what_the_system_says_is_not(
    tmp_path: Path,
) -> None:
    with pytest.raises(picture_file.CorruptImage, match=r"^x: .*: KeyError$"):
        _raise_within(KeyError())
    with pytest.raises(FileNotFoundError), picture_file.opened(tmp_path / "no.png", where="x"):
        pass


def _raise_within(error: Exception) -> None:
    with picture_file.opened(io.BytesIO(_png(1, 1)), where="x"):
        raise error
