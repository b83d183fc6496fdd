"""The moving picture of the README."""

import io

import numpy as np
from PIL import Image

from docs import draw_detections


def test_picture_shows_some_frames_at_the_speed_of_the_video() -> None:
    frames = [np.full((20, 40, 3), 20 * number, np.uint8) for number in range(10)]

    content = draw_detections.moving_picture(frames, fps=20, start=2, count=3, every=2, side=30)

    picture = Image.open(io.BytesIO(content))
    assert (picture.n_frames, picture.size) == (3, (30, 15))
    shown = []
    for number in range(3):
        picture.seek(number)
        picture.load()
        shown.append(np.asarray(picture.convert("RGB")).mean())
        assert picture.info["duration"] == 100  # ms: two frames of a twentieth of a second
    np.testing.assert_allclose(shown, [40, 80, 120], atol=4)  # WebP is lossy


def test_committed_picture_moves_and_is_small() -> None:
    assert draw_detections.PICTURE.stat().st_size < 2e6
    with Image.open(draw_detections.PICTURE) as picture:
        assert picture.n_frames == 90
