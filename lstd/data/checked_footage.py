"""Videos with bad frames left out or replaced, where that is the answer that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from lstd.data import decode, problems
from lstd.data.footage import Footage, Reel
from lstd.data.problems import Policy, ProblemError, Report
from lstd.data.rows import Row


def needs_check(policy: Policy) -> bool:
    """Returns whether a bad frame is anything but an error, so that all have to be looked at."""
    return any(policy[kind] != "error" for kind in problems.OF_FRAMES)


def usable(footages: Sequence[Footage], *, policy: Policy, report: Report) -> list[Footage]:
    """Returns the videos, each under a name of its own, with their bad frames answered.

    Args:
        footages: in order; a second one of a name is renamed, or left out.
        policy: the answers.
        report: counts what is renamed, left out or replaced.

    Raises:
        ProblemError: a name is there twice, where that is an error.
    """
    kept: list[Footage] = []
    names: set[str] = set()
    for footage in footages:
        if needs_check(policy):
            footage = CheckedFootage(footage, policy=policy, report=report)
        name, number = footage.name, 1
        while name in names:
            if (
                number == 1
                and problems.meet(
                    "doubled_video",
                    f"{footage.shard}: video {footage.name!r}: two videos have this name",
                    policy=policy,
                    report=report,
                )
                == "skip"
            ):
                break
            number += 1
            name = f"{footage.name}~{number}"
        if name in names:
            continue
        footage.name = name
        names.add(name)
        kept.append(footage)
    return kept


class CheckedFootage:
    """A video whose bad frames are left out or replaced; all are decoded once to find them.

    Args:
        footage: the video as it is.
        policy: the answers.
        report: counts what was left out or replaced.
    """

    def __init__(self, footage: Footage, *, policy: Policy, report: Report) -> None:
        self.name, self.shard, self.sizes = footage.name, footage.shard, footage.sizes
        self._footage, self._policy, self._report = footage, policy, report
        self._shown: list[int] | None = None

    @property
    def num_frames(self) -> int:
        """How many frames are shown; the first time, all are decoded."""
        return len(self._frames())

    @property
    def known_frames(self) -> int | None:
        """How many frames are shown; None before they were decoded."""
        return None if self._shown is None else len(self._shown)

    @property
    def has_tracks(self) -> bool:
        """Whether the video brings track ids."""
        return self._footage.has_tracks

    def open(self, *, keep: int = 0) -> Reel:
        """Returns a reel over the frames that are shown."""
        return _MappedReel(self._footage.open(keep=keep), self._frames())

    def _frames(self) -> list[int]:
        """Returns the numbers of the frames to show, in order; a good one may stand twice."""
        if self._shown is None:
            places: list[int | None] = []  # None: to be replaced
            size: tuple[int, int] | None = None
            reel = self._footage.open()
            number_of_frames = self._footage.num_frames
            for number in range(number_of_frames):
                answer, size = self._check(reel.row(number), size)
                if answer != "skip":
                    places.append(None if answer == "repair" else number)
            reel.close()
            self._shown = _filled(places)
            if not self._shown and number_of_frames:
                message = f"{self.shard}: video {self.name!r} has no frames that can be shown"
                problems.meet("empty_video", message, policy=self._policy, report=self._report)
        return self._shown

    def _check(self, row: Row, size: tuple[int, int] | None) -> tuple[str, tuple[int, int] | None]:
        """Returns the answer to a frame, "" for a good one, and the size of the good ones."""
        try:
            frame = decode.pixels(*decode.packed(row.image, where=row.where), where=row.where)
        except ProblemError as error:
            answer = problems.meet(
                error.kind, error.message, policy=self._policy, report=self._report
            )
            return answer, size
        found = (frame.shape[0], frame.shape[1])
        if size is None or found == size:
            return "", found
        message = (
            f"{row.where}: the frame is {found[0]} x {found[1]} pixels, the ones before are "
            f"{size[0]} x {size[1]}"
        )
        answer = problems.meet("frame_size", message, policy=self._policy, report=self._report)
        return "skip" if answer == "skip" else "", size  # repaired where it is decoded


class _MappedReel:
    def __init__(self, reel: Reel, numbers: Sequence[int]) -> None:
        self._reel, self._numbers = reel, numbers

    def row(self, number: int) -> Row:
        return self._reel.row(self._numbers[number])

    def close(self) -> None:
        self._reel.close()


def _filled(places: Sequence[int | None]) -> list[int]:
    """Returns the numbers with each None replaced by the one before, or by the first."""
    good = [place for place in places if place is not None]
    if not good:
        return []
    last, filled = good[0], []
    for place in places:
        last = last if place is None else place
        filled.append(last)
    return filled
