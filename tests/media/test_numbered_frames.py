from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

from lstd.media import numbered_frames, video

SOWBUG = Path(__file__).resolve().parents[2] / "examples" / "sowbug" / "sowbug_unseen.mp4"


def test_frames_from_any_place_are_those_of_reading_straight_through() -> None:
    straight = [frame for _, frame in zip(range(70), video.read_frames(SOWBUG), strict=False)]

    assert numbered_frames.count(str(SOWBUG)) == 500
    assert len(numbered_frames.index(str(SOWBUG)).keys) > 2
    for start in (0, 1, 29, 30, 31, 59, 60, 61, 68):
        found = [*numbered_frames.read(str(SOWBUG), start, start + 2)]
        np.testing.assert_array_equal(found, straight[start : start + 2])


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        numbered_frames.count(str(tmp_path / "nowhere.mp4"))
    path = tmp_path / "a.mp4"
    path.write_bytes(b"this is no video at all, only text")
    with pytest.raises((ValueError, OSError), match=r"a\.mp4"):
        numbered_frames.count(str(path))


def test_a_cut_off_video_gives_the_frames_it_has(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(30):
            image = np.random.default_rng(number).integers(0, 255, [48, 64, 3], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    whole = [*numbered_frames.read(str(path), 0, 30)]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = [*numbered_frames.read(str(path), 0, 30)]

    sound = sum(image is not None for image in found)
    assert 5 < sound < 30
    assert all(image is None for image in found[sound:])
    np.testing.assert_array_equal(found[: sound - 1], whole[: sound - 1])


def coded(path: Path, codec: str, *, frames: int = 60, **options: str) -> Path:
    """Writes a video of frames that differ, with a key frame every 12."""
    av = pytest.importorskip("av")
    noise = np.random.default_rng(0).integers(0, 255, [48, 64 + frames, 3], np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 12
        for number in range(frames):
            image = np.ascontiguousarray(noise[:, number : number + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.vob", "a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_frames_with_b_frames_come_from_any_place(tmp_path: Path, name: str, codec: str) -> None:
    path = str(coded(tmp_path / name, codec, bf="2"))
    straight = [*video.read_frames(path)]

    assert numbered_frames.count(path) == len(straight) == 60
    for start in (1, 11, 12, 13, 24, 35, 47, 59):
        found = [*numbered_frames.read(path, start, start + 2)]
        assert [image is None for image in found] == [False, start == 59]
        np.testing.assert_array_equal(found[0], straight[start])


def test_a_video_whose_first_key_frame_is_damaged_gives_the_others(tmp_path: Path) -> None:
    path = coded(tmp_path / "a.mp4", "libx264", bf="0")
    straight = [*numbered_frames.read(str(path), 0, 60)]
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start : start + 1500] = bytes(1500)
    path.write_bytes(content)
    found = [*numbered_frames.read(str(path), 0, 60)]

    assert video.probe(path).width == 64
    assert all(image is None for image in found[:12])
    np.testing.assert_array_equal(found[12:], straight[12:])
    assert [*numbered_frames.read(str(path), 10, 12)] == [None, None]
    with pytest.raises(ValueError, match="frame 0 cannot be decoded"):
        video.VideoReader(path)
