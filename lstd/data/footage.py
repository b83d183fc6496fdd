"""Videos that lanes walk through: frames by number, from records or from a reader's source.

A `Footage` is what is known of a video, a `Reel` one place in it. Going on from frame to frame is
cheap for every reel; what else is cheap depends on the medium.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from lstd.data import record_frames
from lstd.data.problems import ProblemError
from lstd.data.record_frames import Span, Video
from lstd.data.rows import Cleaner, Row
from lstd.data.sources import SourceVideo

CHUNK, LARGEST_CHUNK = 32, 256
"""Frames that are decoded at once when a video file is walked through backwards, at least and most.

Encoders set key frames some 250 frames apart, and each chunk is decoded from the one before it: the
larger a chunk, the fewer frames are decoded twice.
"""

_CHUNK_BYTES = 128 << 20
"""What the frames of a chunk may take in memory, if they are more than `CHUNK`."""

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
    def known_frames(self) -> int | None:
        """How many frames it has, as far as that is known without reading them; else None."""
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
        cleaner: makes rows of its frames.
    """

    def __init__(self, video: Video, cleaner: Cleaner) -> None:
        self.name = video.name
        self.shard = video.parts[0].path
        self.sizes = frozenset((part.height, part.width) for part in video.parts)
        self._parts, self._cleaner = video.parts, cleaner
        self._found: list[Span] | None = None

    @property
    def num_frames(self) -> int:
        """How many frames, those that are missing too; see `record_frames.spans`."""
        return self._spans()[-1].stop

    @property
    def known_frames(self) -> int | None:
        """How many frames."""
        return self.num_frames

    @property
    def has_tracks(self) -> bool:
        """Whether its first frame brings track ids."""
        record = next(span for span in self._spans() if span.part is not None)
        return record.frames()[0].truth.track_ids is not None

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a reel that keeps the last two records."""
        return _RecordReel(self._spans(), self._cleaner)

    def _spans(self) -> list[Span]:
        if self._found is None:
            self._found = record_frames.spans(self.name, self._parts)
            for span in self._found:
                if span.part is None and self._cleaner.policy["missing_frame"] == "error":
                    raise ProblemError("missing_frame", span.where)
        return self._found


class _RecordReel:
    def __init__(self, spans: Sequence[Span], cleaner: Cleaner) -> None:
        self._spans, self._cleaner = spans, cleaner
        self._starts = [span.start for span in spans]
        self._recent: collections.OrderedDict[int, list[Row]] = collections.OrderedDict()

    def row(self, number: int) -> Row:
        index = int(np.searchsorted(self._starts, number, side="right")) - 1
        if index not in self._recent:
            while len(self._recent) > 1:  # a clip may lie across two records
                self._recent.popitem(last=False)
            self._recent[index] = self._rows_of(self._spans[index])
        return self._recent[index][number - self._starts[index]]

    def close(self) -> None:
        self._recent.clear()

    def _rows_of(self, span: Span) -> list[Row]:
        labels = self._cleaner.labels
        if isinstance(labels, int):
            labels = tuple(str(number + 1) for number in range(labels))  # as records count them
        return [*self._cleaner.rows(span.frames(), place=(span.where, 0), labels=labels)]


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
    def known_frames(self) -> int | None:
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
        first = max(0, last + 1 - _chunk_of(self._recent.values()))
        self.close()
        rows = self._rows(first, last + 1)
        self._recent = dict(zip(range(first, last + 1), rows, strict=True))

    def close(self) -> None:
        if self._running is not None:
            self._running.close()  # type: ignore[attr-defined]
        self._running, self._recent = None, {}


def _chunk_of(rows: Iterable[Row]) -> int:
    """Returns how many frames like these are decoded at once."""
    sizes = [row.image.nbytes for row in rows if isinstance(row.image, np.ndarray)]
    return min(max(CHUNK, _CHUNK_BYTES // max(sizes, default=_CHUNK_BYTES)), LARGEST_CHUNK)
