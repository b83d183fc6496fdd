import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lstd.media import video
from lstd.media.video import VideoReader
from lstd.media.video_writer import VideoWriter


def _picture(index: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """Returns a smooth picture whose brightness tells its number: red rises to the right."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0] = np.linspace(0, 200, width)
    frame[..., 1] = np.linspace(0, 200, height)[:, np.newaxis]
    frame[..., 2] = 20 * index
    return frame


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Returns a video of six frames at 12.5 frames/s."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=12.5, width=64, height=48) as writer:
        for index in range(6):
            writer.write(_picture(index))
    return path


def _png(path: Path, frame: np.ndarray) -> None:
    Image.fromarray(frame).save(path)


def test_frames_that_were_written_come_back_in_order(clip: Path) -> None:
    frames = list(video.read_frames(clip))
    assert len(frames) == 6
    for index, frame in enumerate(frames):
        assert frame.dtype == np.uint8
        # H.264 at this quality, and colour at half the resolution, cost some levels of 255.
        error = np.abs(frame.astype(int) - _picture(index)).mean()
        assert error < 4, f"frame {index}: {error}"


def test_probe_tells_size_rate_and_length(clip: Path) -> None:
    assert video.probe(str(clip)) == video.VideoInfo(width=64, height=48, fps=12.5, num_frames=6)


def test_times_come_from_the_time_stamps(clip: Path) -> None:
    with VideoReader(clip) as reader:
        times = [frame.time_s for frame in reader]
    np.testing.assert_allclose(times, np.arange(6) / 12.5, atol=1e-6)


def test_an_address_is_opened_by_ffmpeg(clip: Path) -> None:
    assert len(list(video.read_frames(clip.as_uri()))) == 6


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_beside_the_frames_is_applied(clip: Path, degrees: int, turns: int) -> None:
    upright = next(video.read_frames(clip))
    _set_rotation(clip, degrees)
    expected = np.rot90(upright, turns)
    np.testing.assert_array_equal(next(video.read_frames(clip)), expected)
    info = video.probe(clip)
    assert (info.height, info.width) == expected.shape[:2]


def _set_rotation(path: Path, degrees: int) -> None:
    """Writes a counterclockwise rotation into the track header of an .mp4."""
    content = bytearray(path.read_bytes())
    cosine, sine = {90: (0, 1), 180: (-1, 0), -90: (0, -1)}[degrees]
    matrix = [cosine, -sine, 0, sine, cosine, 0, 0, 0, 0x4000]
    place = (
        content.index(b"tkhd") + 4 + 40
    )  # The matrix stands 40 bytes into a header of version 0.
    packed = b"".join((value * 0x10000).to_bytes(4, "big", signed=True) for value in matrix)
    content[place : place + 36] = packed
    path.write_bytes(content)


def test_images_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 9, 2, 1):
        _png(tmp_path / f"frame{index}.png", np.full((4, 6, 3), index, np.uint8))
    _png(tmp_path / "._frame3.png", np.zeros((1, 1, 3), np.uint8))  # As some systems leave behind.
    (tmp_path / "notes.txt").write_text("not a frame")
    assert [int(frame[0, 0, 0]) for frame in video.read_frames(tmp_path)] == [1, 2, 9, 10]
    assert video.probe(tmp_path) == video.VideoInfo(6, 4, video.FOLDER_FPS, 4)


@pytest.mark.parametrize("pixels", ["yuv444p10le", "gbrp12le", "gray16le"])
def test_frames_of_more_than_eight_bits_are_scaled(tmp_path: Path, pixels: str) -> None:
    picture = _picture(3)
    if pixels.startswith("gray"):
        picture = np.repeat(picture[..., :1], 3, axis=-1)
    with av.open(tmp_path / "deep.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
        container.mux([*stream.encode(frame), *stream.encode()])
    (shown,) = video.read_frames(tmp_path / "deep.mkv")
    np.testing.assert_allclose(shown, picture, atol=2)


def test_sources_that_cannot_be_read_are_refused_in_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    plain = tmp_path / "readme.txt"  # FFmpeg would show it as a terminal.
    plain.write_text("this is not a video\n" * 100)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "videos" / "street").mkdir(parents=True)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_text("not an image")
    cases: list[tuple[str, type[Exception], str]] = [
        (str(tmp_path / "none.mp4"), FileNotFoundError, "no such file"),
        (str(text), ValueError, "not a video"),
        (str(plain), ValueError, "not a video"),
        (str(empty), ValueError, "empty"),
        (str(tmp_path / "folder"), ValueError, "holds no image"),
        (str(tmp_path / "videos"), ValueError, "no image.*folders, name one of them: street"),
        (str(tmp_path / "broken"), ValueError, "no known format"),
        ("file:///there/is/none.mp4", OSError, "cannot open"),
        ("nosuchthing://host/stream", OSError, "cannot open"),
    ]
    for source, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            video.probe(source)
        assert "\n" not in str(caught.value), source
        with pytest.raises(kind, match=message):
            next(video.read_frames(source))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for /dev/video")
def test_a_camera_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no camera 98765"):
        video.probe(98765)


def test_images_of_several_sizes_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    _png(tmp_path / "1.png", np.zeros((4, 6, 3), np.uint8))
    _png(tmp_path / "2.png", np.zeros((6, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"2\.png: 4 x 6 pixels, but 1\.png has 6 x 4"):
        video.probe(tmp_path)


def test_missing_pyav_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'pip install "lstd\[video\]"'):
        video.probe(clip)
