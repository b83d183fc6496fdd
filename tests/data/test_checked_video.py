"""Videos by frame number: what is read of the medium, from records and from other sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lstd.base.types import GroundTruth
from lstd.data import decode, problems, record_files
from lstd.data.checked_video import CHUNK, LARGEST_CHUNK, CheckedVideo, Reel
from lstd.data.problems import Checks
from lstd.data.record_content import Part
from lstd.data.sources import Image, ImageFile, SourceFrame, SourceVideo
from tests.data import records


class FakeVideo:
    """A source's video that notes what is read of it; the pixels of frame n are n."""

    name, where, height, width, has_tracks, random_access = "v", "v.mp4", 2, 2, True, False

    def __init__(self, num_frames: int, *, side: int = 2) -> None:
        self.num_frames, self.side = num_frames, side
        self.opened: list[int] = []
        self.decoded = self.closed = 0

    def read(
        self, start: int = 0, stop: int | None = None, *, images: bool = True
    ) -> Iterator[SourceFrame]:
        self.opened.append(start)
        try:
            for number in range(start, self.num_frames if stop is None else stop):
                self.decoded += 1
                truth = GroundTruth(np.float32([[0, 0, 1, 1]]), np.int32([0]), np.int32([number]))
                pixels = np.broadcast_to(np.uint8(number), [self.side, self.side, 3])
                yield SourceFrame(pixels, truth, f"v.mp4, frame {number}")
        finally:
            self.closed += 1


def checked(video: SourceVideo) -> CheckedVideo:
    return CheckedVideo(video, Checks(problems.policy()))


def shown(reel: Reel, numbers: list[int]) -> None:
    for number in numbers:
        frame = reel.frame(number)
        assert frame.image[0, 0, 0] == number
        assert frame.truth.track_ids.tolist() == [number]
        assert frame.truth.is_crowd.tolist() == [False]


def test_a_video_is_opened_once_however_wide_the_stride() -> None:
    video = FakeVideo(200)
    reel = checked(video).open()
    shown(reel, list(range(20, 200, 7)))
    assert video.opened == [20]
    assert video.decoded == 197 - 20 - 1  # up to frame 195
    reel.close()
    assert video.closed == 1


def test_a_far_frame_is_looked_up() -> None:
    video = FakeVideo(250)
    shown(checked(video).open(), [0, 1, 240])
    assert video.opened == [0, 240]
    assert video.decoded == 3


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    ("side", "chunk"),
    [(2, LARGEST_CHUNK), (580, 132), (1500, CHUNK)],  # 128 MiB hold 132 frames of 580 x 580
)
def test_backwards_a_video_is_read_in_chunks(stride: int, side: int, chunk: int) -> None:
    video = FakeVideo(200, side=side)
    shown(checked(video).open(), list(range(199, -1, -stride)))
    assert len(video.opened) <= -(-199 // chunk) + 1  # the last frame, and the chunks before it
    assert len(video.opened) >= 199 // (chunk + stride)
    assert video.decoded <= 201


def test_frames_that_are_kept_are_not_read_again() -> None:
    video = FakeVideo(100)
    reel = checked(video).open(keep=6)
    for first in range(0, 80, 4):
        shown(reel, list(range(first, first + 10)))
    assert video.opened == [0]
    assert video.decoded == 86


def test_each_record_is_read_once_on_the_way_through_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = records.write(tmp_path / "a", records.video_of("v", 12))
    (video,) = record_files.list_videos([path])
    found = checked(video)
    assert found.num_frames == 12
    assert found.has_tracks
    read: list[int] = []
    content_of = record_files.read

    def noting(part: Part) -> bytes:
        read.append(part.number)
        return content_of(part)

    monkeypatch.setattr(record_files, "read", noting)
    for numbers in ([0, 4, 5, 6, 11], [*range(11, -1, -1)]):
        read.clear()
        reel = found.open()
        assert [reel.frame(number).where.partition(": ")[2] for number in numbers] == [
            f"record {n // 5} (from 0), frame {n % 5}" for n in numbers
        ]
        assert sorted(read) == sorted(set(read))


@pytest.mark.parametrize(
    "image", [np.arange(18, dtype=np.uint8).reshape(3, 2, 3), b"12 3\n", ImageFile("a b.png"), None]
)
def test_an_image_is_unpacked_as_it_was_packed(image: Image) -> None:
    found = decode.unpacked(decode.packed(image))

    assert type(found) is type(image)
    np.testing.assert_array_equal(found, image)
