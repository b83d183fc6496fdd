"""Videos by frame number: what is read of the medium, from records and from other sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lstd.base.types import GroundTruth
from lstd.data import problems, record_frames
from lstd.data.footage import CHUNK, LARGEST_CHUNK, RecordFootage, Reel, SourceFootage
from lstd.data.problems import ProblemError
from lstd.data.record_files import Part
from lstd.data.record_frames import Video
from lstd.data.rows import Cleaner
from lstd.data.sources import SourceFrame
from tests.data import records


class FakeVideo:
    """A source's video that notes what is read of it; the pixels of frame n are n."""

    name, where, height, width, has_tracks = "v", "v.mp4", 2, 2, True

    def __init__(self, num_frames: int, *, random_access: bool, side: int = 2) -> None:
        self.side = side
        self.num_frames, self.random_access = num_frames, random_access
        self.opened: list[int] = []
        self.decoded = 0
        self.closed = 0

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


def shown(reel: Reel, numbers: list[int]) -> None:
    for number in numbers:
        row = reel.row(number)
        assert row.image[0, 0, 0] == number
        assert row.track_ids.tolist() == [number]


def footage(video: FakeVideo) -> SourceFootage:
    return SourceFootage(video, name="v", cleaner=Cleaner())


def test_a_video_file_is_opened_once_however_wide_the_stride() -> None:
    video = FakeVideo(200, random_access=False)
    reel = footage(video).open()
    shown(reel, list(range(20, 200, 7)))
    assert video.opened == [20]
    assert video.decoded == 197 - 20 - 1  # up to frame 195
    reel.close()
    assert video.closed == 1


def test_a_far_frame_of_a_video_file_is_looked_up() -> None:
    video = FakeVideo(250, random_access=False)
    reel = footage(video).open()
    shown(reel, [0, 1, 240])
    assert video.opened == [0, 240]
    assert video.decoded == 3


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    ("side", "chunk"),
    [(2, LARGEST_CHUNK), (580, 132), (1500, CHUNK)],  # 128 MiB hold 132 frames of 580 x 580
)
def test_backwards_a_video_file_is_decoded_in_chunks(stride: int, side: int, chunk: int) -> None:
    video = FakeVideo(200, random_access=False, side=side)
    reel = footage(video).open()
    shown(reel, list(range(199, -1, -stride)))
    assert len(video.opened) <= -(-199 // chunk) + 1  # the last frame, and the chunks before it
    assert len(video.opened) >= 199 // (chunk + stride)
    assert video.decoded <= 201


def test_frames_that_are_kept_are_not_decoded_again() -> None:
    video = FakeVideo(100, random_access=False)
    reel = footage(video).open(keep=6)
    for first in range(0, 80, 4):
        shown(reel, list(range(first, first + 10)))
    assert video.opened == [0]
    assert video.decoded == 86


def test_a_folder_of_frames_is_read_frame_by_frame() -> None:
    video = FakeVideo(200, random_access=True)
    shown(footage(video).open(), [5, 90, 3])
    assert video.opened == [5, 90, 3]
    assert video.decoded == 3


def test_frames_are_found_in_their_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = records.write(tmp_path / "a", records.video_of("v", 12))
    (video,) = record_frames.list_videos([path])
    found = RecordFootage(video, Cleaner())
    assert found.num_frames == 12
    assert found.has_tracks
    read: list[int] = []

    def noting(part: Part) -> list[SourceFrame]:
        read.append(part.number)
        return frames_of(part)

    frames_of = record_frames.frames_of
    monkeypatch.setattr(record_frames, "frames_of", noting)
    reel = found.open()
    wheres = [reel.row(number).where for number in (0, 4, 5, 4, 11, 10, 5)]
    assert [where.partition(": ")[2] for where in wheres] == [
        f"record {n // 5} (from 0), frame {n % 5}" for n in (0, 4, 5, 4, 11, 10, 5)
    ]
    assert read == [0, 1, 2]  # the last two stay in memory


def test_frames_that_no_record_holds_are_missing(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a", records.video_of("v", 12))
    (video,) = record_frames.list_videos([path])
    first, _, last = video.parts
    gap = Video("v", (first, last))
    with pytest.raises(ProblemError, match=r"record 2 .* begins at frame 10, expected 5"):
        RecordFootage(gap, Cleaner()).open()

    answers = problems.policy({"missing_frame": "skip"})
    found = RecordFootage(gap, Cleaner(answers=answers))
    reel = found.open()
    assert found.num_frames == 12
    assert [reel.row(number).image is None for number in range(4, 11)] == [
        False, True, True, True, True, True, False
    ]  # fmt: skip
