"""Pictures of every kind that Pillow opens, as what a network sees."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.data import decode, source_images
from lstd.data.problems import ProblemError
from lstd.data.sources import ImageFile
from lstd.media import picture_file, video

Image = pytest.importorskip("PIL.Image")

GREY = np.uint8([[0, 60, 130, 255], [1, 2, 3, 4]])
SIXTEEN = GREY.astype(np.uint16) * 257
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
LEFT, CLOCKWISE = {0x0112: 8}, {0x0112: 6}  # how the camera says to turn it


def saved(picture: Any, kind: str, *, exif: dict[int, int] | None = None, **options: Any) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    if exif is not None:
        options["exif"] = Image.Exif()
        options["exif"].update(exif)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with picture_file.opened(io.BytesIO(data), where="here") as picture:
        shown = picture_file.pixels(picture)
        assert shown.shape[:2] == picture_file.size_of(picture)
        return shown


def grey(data: np.ndarray) -> np.ndarray:
    return np.repeat(data[..., np.newaxis], 3, axis=-1)


PGM = b"P5\n4 2\n65535\n" + SIXTEEN.astype(">u2").tobytes()
KINDS = {
    "16 bits, PNG": (saved(SIXTEEN, "PNG"), grey(GREY)),
    "16 bits, TIFF": (saved(SIXTEEN, "TIFF"), grey(GREY)),
    "16 bits, big-endian TIFF": (saved(SIXTEEN.astype(">u2"), "TIFF"), grey(GREY)),
    "16 bits, 0 is white": (saved(SIXTEEN, "TIFF", tiffinfo={262: 0}), grey(255 - GREY)),
    "16 bits, PPM": (PGM, grey(GREY)),
    "1 bit": (saved(GREY > 3, "PNG"), grey(np.where(GREY > 3, 255, 0).astype(np.uint8))),
    "grey with alpha": (saved(np.stack([GREY, GREY], -1), "PNG"), grey(GREY)),
    "colour with alpha": (saved(np.concatenate([COLOUR, GREY[..., None]], -1), "PNG"), COLOUR),
    "palette": (saved(Image.fromarray(COLOUR).quantize(8), "PNG", transparency=0), COLOUR),
    "turned JPEG": (saved(grey(np.uint8([[0] * 8, [200] * 8] * 8)), "JPEG", exif=LEFT), None),
    "turned WEBP": (saved(COLOUR, "WEBP", lossless=True, exif=CLOCKWISE), np.rot90(COLOUR, -1)),
    "turned TIFF": (saved(COLOUR, "TIFF", exif=CLOCKWISE), np.rot90(COLOUR, -1)),
    "MPO": (
        saved(grey(GREY), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
        None,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_show_the_same_everywhere(tmp_path: Path, kind: str) -> None:
    data, expected = KINDS[kind]
    shown = pixels(data)
    if expected is not None:
        np.testing.assert_array_equal(shown, expected)
    file = tmp_path / "0.png"  # the content counts, not the name
    file.write_bytes(data)
    [frame] = video.read_frames(tmp_path)
    np.testing.assert_array_equal(frame, shown)
    trained = decode.pixels(ImageFile(str(file)), where="here")
    np.testing.assert_allclose(trained, shown, atol=3)  # JPEG differs by a rounding or two
    stored = source_images.encoded(ImageFile(str(file)), where="here")
    if isinstance(stored, bytes):
        stored = decode.pixels(stored, where="here")
    np.testing.assert_allclose(stored, shown, atol=3)


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_sixteen_bits_of_a_record_are_what_pillow_makes_of_them(mode: str) -> None:
    """Both take the upper eight of a PNG's bits."""
    import tensorflow as tf

    rng = np.random.default_rng(3)
    values = rng.integers(0, 65536, [5, 7, 3 if mode == "RGB" else 1]).astype(np.uint16)
    data = tf.io.encode_png(values).numpy()
    with picture_file.opened(io.BytesIO(data), where="here") as picture:
        assert picture.mode == mode
    expected = np.broadcast_to(values >> 8, [5, 7, 3])
    np.testing.assert_array_equal(pixels(data), expected)
    np.testing.assert_array_equal(decode.pixels(data, where=""), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(GREY.astype(np.float32), "TIFF"), "its pixels are floats, which do not say what is"),
        (saved(GREY.astype(np.int32), "TIFF"), "its pixels are 32-bit integers, which"),
        (
            saved(
                COLOUR, "GIF", save_all=True, append_images=[Image.new("RGB", (4, 2), (9, 9, 9))]
            ),
            "it holds 2 pictures; save the one that is meant",
        ),
        (
            saved(COLOUR, "TIFF", save_all=True, append_images=[Image.new("RGB", (4, 2))]),
            "it holds 2 pictures",
        ),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "0.png"
    file.write_bytes(data)
    for opening in (source_images.encoded, source_images.size_of):
        with pytest.raises(ProblemError, match=message) as caught:
            opening(ImageFile(str(file)), where="here")
        assert caught.value.kind == "corrupt_image"
    with pytest.raises(ValueError, match=rf"0\.png: this image cannot be decoded: {message}"):
        next(video.read_frames(tmp_path))
