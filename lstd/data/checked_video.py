"""The videos that training reads: frames by number, with cleaned boxes and without the bad ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lstd.base.types import GroundTruth
from lstd.data import decode
from lstd.data.clean_boxes import clean
from lstd.data.problems import OF_FRAMES, Checks
from lstd.data.source_checks import FrameOpener
from lstd.data.sources import Image, SourceFrame, SourceVideo

_LOG = logging.getLogger(__name__)

CHUNK, LARGEST_CHUNK = 32, 256
"""Frames that are read at once when a video is walked through backwards, at least and most.

Encoders set key frames some 250 frames apart, and each chunk is decoded from the one before it: the
larger a chunk, the fewer frames are decoded twice.
"""

_CHUNK_BYTES = 128 << 20
"""What the frames of a chunk may take in memory, if they are more than `CHUNK`."""

_GOING_ON = 64
"""Frames that are rather read on the way than skipped by opening the video anew."""


class CheckedVideo:
    """A video whose frames are cleaned, and the bad ones left out or replaced if so chosen.

    The problems of a frame are counted once, however often it is read; the first of each kind is
    logged, too. `size` is height and width of its frames, pixels, or (0, 0): only the images tell.
    """

    def __init__(self, video: SourceVideo, checks: Checks, *, classes: int | None = None) -> None:
        """Reads nothing yet; `classes` is how many there are, None: any number."""
        self.name, self._video = video.name, video
        self.where, self.size = video.where, (video.height, video.width)
        self._checks, self._classes = checks, classes
        self._counted: set[int] = set()
        self._shown: Sequence[int] | None = None
        if all(checks.policy[kind] == "error" for kind in OF_FRAMES):
            self._shown = range(video.num_frames)

    @property
    def num_frames(self) -> int:
        """How many frames are shown; all are decoded for it if a bad one is no error."""
        return len(self._find_shown())

    @property
    def known_frames(self) -> int | None:
        """How many frames are shown; None where they have to be decoded for it."""
        return None if self._shown is None else len(self._shown)

    @property
    def has_tracks(self) -> bool:
        """Whether it brings track ids; may have to read."""
        return self._video.has_tracks

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a new place in the video, from which going back by `keep` frames is cheap."""
        return Reel(self._read, self._find_shown(), keep=keep)

    def _read(self, start: int, stop: int | None) -> Iterator[SourceFrame]:
        for number, frame in enumerate(self._video.read(start, stop), start=start):
            yield frame._replace(truth=self._cleaned(number, frame))

    def _cleaned(self, number: int, frame: SourceFrame) -> GroundTruth:
        """Returns the ground truth of a frame, none of whose columns is None."""
        checks = Checks(self._checks.policy, max_boxes=self._checks.max_boxes)
        truth = clean(frame, checks, labels=self._classes)
        found, report = checks.report, self._checks.report
        if found and number not in self._counted:
            self._counted.add(number)
            new = found.counts.keys() - report.counts.keys()
            report.merge(found)
            for kind, answer in new:
                _LOG.warning(
                    "%s: %s; answer: %s. More of this kind are counted without a word.",
                    *(kind, found.examples[kind][0], answer),
                )
        if truth.track_ids is None:
            truth = truth._replace(track_ids=np.full(len(truth.classes), -1, np.int32))
        return truth

    def _find_shown(self) -> Sequence[int]:
        """Returns the numbers of the frames to show, in order; a good one may stand twice."""
        if self._shown is None:
            opener = FrameOpener(self._video, self._checks, open=decode.pixels)
            places: list[int] = []  # -1: to be replaced
            for number, frame in enumerate(self._video.read()):
                opened, kind, message = opener.look(frame)
                if not kind or self._checks.meet(kind, message) == "repair":
                    places.append(-1 if opened is None else number)  # a size is mended on decoding
            good = [place for place in places if place >= 0]
            self._shown = np.maximum.accumulate([good[0], *places])[1:].tolist() if good else []
            if not good:
                told = f"{self.where}: video {self.name!r} has no frames that can be shown"
                self._checks.meet("empty_video", told)
        return self._shown


class Reel:
    """One place in a video: going on is cheap, and going back to the frames that are kept.

    Backwards it reads a chunk at a time, forwards within it.
    """

    def __init__(
        self,
        read: Callable[[int, int | None], Iterator[SourceFrame]],
        numbers: Sequence[int],
        *,
        keep: int,
    ) -> None:
        """Opens nothing yet; `numbers` says which frame of the medium each one is."""
        self._read, self._numbers, self._keep = read, numbers, keep
        self._running: Iterator[SourceFrame] | None = None
        self._next = 0
        self._recent: dict[int, SourceFrame] = {}

    def frame(self, number: int) -> SourceFrame:
        """Returns a frame by its number."""
        number = self._numbers[number]
        if self._recent and number < min(self._recent):
            self._read_chunk(number)
        if number in self._recent:
            return self._recent[number]
        if self._running is None or not self._next <= number <= self._next + _GOING_ON:
            self.close()
            self._running, self._next = self._read(number, None), number
        while self._next <= number:
            for old in [place for place in self._recent if place < self._next - self._keep]:
                del self._recent[old]
            self._recent[self._next] = next(self._running)
            self._next += 1
        return self._recent[number]

    def close(self) -> None:
        """Lets go of open files."""
        if self._running is not None:
            self._running.close()  # type: ignore[attr-defined]
        self._running, self._recent = None, {}

    def _read_chunk(self, last: int) -> None:
        largest = max((_bytes_in(frame.image) for frame in self._recent.values()), default=1)
        chunk = min(max(CHUNK, _CHUNK_BYTES // largest), LARGEST_CHUNK)
        first = max(0, last + 1 - chunk)
        self.close()
        numbers = range(first, last + 1)
        self._recent = dict(zip(numbers, self._read(first, last + 1), strict=True))


def _bytes_in(image: Image) -> int:
    if isinstance(image, np.ndarray):
        return image.nbytes
    return max(1, len(image)) if isinstance(image, bytes) else 1
