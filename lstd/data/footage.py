"""Videos that lanes walk through: frames by number, from records or from a reader's source.

A `Footage` is what is known of a video, a `Reel` one place in it. Going on from frame to frame is
cheap for every reel; what else is cheap depends on the medium.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from lstd.data import problems
from lstd.data.record_files import Part, Video
from lstd.data.rows import Cleaner, Row, RowReader, frames_of
from lstd.data.sources import SourceVideo

CHUNK = 32
"""Frames that are decoded at once when a video file is walked through backwards."""

_GOING_ON = 64
"""Frames of a video file that are rather decoded on the way than looked up by a seek."""


class Reel(Protocol):
    """One place in a video."""

    def row(self, number: int) -> Row:
        """Returns a frame by its number."""
        ...

    def close(self) -> None:
        """Lets go of open files."""
        ...


class Footage(Protocol):
    """A video: its length and its frames.

    Attributes:
        name: no other video has it.
        shard: the file that its first frame is in.
        sizes: the heights and widths, pixels, that the medium tells; (0, 0): not told.
    """

    name: str
    shard: str
    sizes: frozenset[tuple[int, int]]

    @property
    def num_frames(self) -> int:
        """How many frames it has; may have to read."""
        ...

    @property
    def has_tracks(self) -> bool:
        """Whether it brings track ids; may have to read."""
        ...

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a new reel, on which going back by `keep` frames is cheap, too."""
        ...


class RecordFootage:
    """A video in the records of TFRecord files.

    Args:
        video: where its records are.
        reader: reads one.
    """

    def __init__(self, video: Video, reader: RowReader) -> None:
        self.name = video.name
        self.shard = video.parts[0].path
        self.sizes = frozenset((part.height, part.width) for part in video.parts)
        self._parts, self._reader = video.parts, reader
        self._bounds: list[int] | None = None

    @property
    def num_frames(self) -> int:
        """How many frames; the length of a record that does not tell it is read once."""
        return self._bounds_of_parts()[-1]

    @property
    def has_tracks(self) -> bool:
        """Whether its first frame brings track ids."""
        self._bounds_of_parts()  # leaves out records that cannot be read, where that is the answer
        return frames_of(self._parts[0])[0].truth.track_ids is not None if self._parts else False

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a reel that keeps the last two records."""
        bounds = self._bounds_of_parts()
        return _RecordReel(self._parts, bounds, self._reader, self.name)

    def _bounds_of_parts(self) -> list[int]:
        """Returns where each part begins, and the end after the last one."""
        if self._bounds is None:
            policy = self._reader.cleaner.policy
            if policy["damaged_record"] != "error":
                self._parts = tuple(part for part in self._parts if self._is_sound(part))
                if not self._parts:
                    message = f"{self.shard}: video {self.name!r} has no record that can be read"
                    self._meet("empty_video", message)
            else:
                self._check_order()
            if policy["damaged_record"] != "error" or policy["missing_frame"] != "error":
                # What follows a gap moves up to it.
                lengths = [_length_of(part) for part in self._parts]
            else:
                lengths = [
                    after.first_frame - part.first_frame
                    for part, after in itertools.pairwise(self._parts)
                ] + [_length_of(self._parts[-1])]
            self._bounds = [0, *itertools.accumulate(lengths)]
        return self._bounds

    def _is_sound(self, part: Part) -> bool:
        try:
            frames_of(part)
        except problems.ProblemError as error:
            self._meet(error.kind, error.message)
            return False
        return True

    def _check_order(self) -> None:
        """Meets frames that are missing between the parts, as far as the records tell."""
        expected = 0
        for part in self._parts:
            missing = part.first_frame - expected if expected >= 0 else 0
            if missing < 0:
                raise ValueError(_gap(part, self.name, expected))
            if missing:
                self._meet("missing_frame", _gap(part, self.name, expected), count=missing)
            expected = part.first_frame + part.num_frames if part.num_frames else -1

    def _meet(self, kind: str, message: str, *, count: int = 1) -> None:
        cleaner = self._reader.cleaner
        problems.meet(kind, message, policy=cleaner.policy, report=cleaner.report, count=count)


def _length_of(part: Part) -> int:
    return part.num_frames or len(frames_of(part))


def _gap(part: Part, name: str, expected: int) -> str:
    return (
        f"{part.path}: record {part.number} (from 0) of video {name!r} begins at frame "
        f"{part.first_frame}, expected {expected}: frames are missing or there twice"
    )


class _RecordReel:
    def __init__(
        self, parts: Sequence[Part], bounds: Sequence[int], reader: RowReader, name: str
    ) -> None:
        self._parts, self._bounds, self._reader, self._name = parts, bounds, reader, name
        self._recent: collections.OrderedDict[int, list[Row]] = collections.OrderedDict()

    def row(self, number: int) -> Row:
        index = int(np.searchsorted(self._bounds, number, side="right")) - 1
        if index not in self._recent:
            while len(self._recent) > 1:  # a clip may lie across two records
                self._recent.popitem(last=False)
            self._recent[index] = self._reader(self._parts[index])
            found = self._bounds[index] + len(self._recent[index])
            if found != self._bounds[index + 1]:  # the record does not tell its length
                raise ValueError(_gap(self._parts[index + 1], self._name, found))
        return self._recent[index][number - self._bounds[index]]

    def close(self) -> None:
        self._recent.clear()


class SourceFootage:
    """A video of a reader's source.

    Args:
        video: the source's.
        name: which no other video has.
        cleaner: makes rows of its frames.
    """

    def __init__(self, video: SourceVideo, *, name: str, cleaner: Cleaner) -> None:
        self.name = name
        self.shard = video.where
        self.sizes = frozenset([(video.height, video.width)])
        self._video, self._cleaner = video, cleaner

    @property
    def num_frames(self) -> int:
        """How many frames."""
        return self._video.num_frames

    @property
    def has_tracks(self) -> bool:
        """Whether the format brings track ids."""
        return self._video.has_tracks

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a reel: of single frames where that is cheap, else one that reads on."""
        if self._video.random_access:
            return _FrameReel(self._rows)
        return _RunningReel(self._rows, keep=keep)

    def _rows(self, start: int, stop: int | None) -> Iterator[Row]:
        frames = self._video.read(start, stop)
        return self._cleaner.rows(frames, place=(f"{self._video.where}\n{self.name}", start))


_ReadRows = Callable[[int, int | None], Iterator[Row]]


class _FrameReel:
    """Frame by frame, such as from a folder of images."""

    def __init__(self, rows: _ReadRows) -> None:
        self._rows = rows

    def row(self, number: int) -> Row:
        return next(self._rows(number, number + 1))

    def close(self) -> None:
        return None


class _RunningReel:
    """Reads on from where it is, such as from a video file; keeps the latest frames.

    Backwards it reads a chunk at a time, forwards within it.
    """

    def __init__(self, rows: _ReadRows, *, keep: int) -> None:
        self._rows, self._keep = rows, keep
        self._running: Iterator[Row] | None = None
        self._next = 0
        self._recent: dict[int, Row] = {}

    def row(self, number: int) -> Row:
        if number in self._recent:
            return self._recent[number]
        if self._recent and number < min(self._recent):
            self._read_chunk(number)
            return self._recent[number]
        if self._running is None or not self._next <= number <= self._next + _GOING_ON:
            self.close()
            self._running, self._next = self._rows(number, None), number
        while self._next <= number:
            for old in [place for place in self._recent if place < self._next - self._keep]:
                del self._recent[old]
            self._recent[self._next] = next(self._running)
            self._next += 1
        return self._recent[number]

    def _read_chunk(self, last: int) -> None:
        first = max(0, last + 1 - CHUNK)
        self.close()
        rows = self._rows(first, last + 1)
        self._recent = dict(zip(range(first, last + 1), rows, strict=True))

    def close(self) -> None:
        if self._running is not None:
            self._running.close()  # type: ignore[attr-defined]
        self._running, self._recent = None, {}
