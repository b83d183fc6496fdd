from pathlib import Path

import av
import numpy as np
import pytest

from lstd.media import video
from lstd.media.video_writer import VideoWriter


def _write(path: Path, frames: np.ndarray, *, fps: float = 25) -> None:
    with VideoWriter(path, fps=fps, width=frames.shape[2], height=frames.shape[1]) as writer:
        for frame in frames:
            writer.write(frame)


def test_the_file_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    _write(path, np.zeros((3, 32, 48, 3), np.uint8), fps=29.97)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(29.97, abs=1e-3)
        assert "mp4" in container.format.name
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # Plays before it is loaded.


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    _write(path, np.full((2, 33, 47, 3), 180, np.uint8))
    frame = next(video.read_frames(path))
    assert frame.shape == (34, 48, 3)
    assert np.abs(frame.astype(int) - 180).max() <= 4


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, fps=25, width=16, height=16) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
        assert not path.exists()
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("older")
    frames = np.zeros((2, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="uint8"):
        _write(path, frames)
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_text() == "older"


def test_no_frames_are_no_video(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="no frame was written"),
        VideoWriter(tmp_path / "a.mp4", fps=25, width=16, height=16),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((8, 16, 3), np.uint8), np.zeros((16, 16, 3)), np.zeros((16, 16), np.uint8)]
)
def test_a_frame_of_another_kind_is_refused(tmp_path: Path, frame: np.ndarray) -> None:
    with (
        pytest.raises(ValueError, match=r"expected frames of uint8 \[16, 16, 3\], got"),
        VideoWriter(tmp_path / "a.mp4", fps=25, width=16, height=16) as writer,
    ):
        writer.write(frame)


def test_impossible_sizes_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 x 16 pixels at 25 frames/s"):
        VideoWriter(tmp_path / "a.mp4", fps=25, width=0, height=16)
    with pytest.raises(OSError, match=r"there is no such folder.*none"):
        VideoWriter(tmp_path / "none" / "a.mp4", fps=25, width=16, height=16)
    assert list(tmp_path.iterdir()) == []
