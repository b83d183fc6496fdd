"""How long networks take: several models in turns, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.config import schedule_names
from lstd.runtime import network_schedule


class Subject(NamedTuple):
    """Something that is timed.

    Attributes:
        name: for the table.
        calls: one for each network, or "run" for a file that is not ours. Each does a frame, or a
            clip of `frames_per_call`.
        schedule: which of them runs on which frame; "" where there is one only.
        multiply_adds: of each call, as far as it is known.
        data_type: in which it computes, of a `.tflite` "float32", "int8" and so on, else with "in
            TensorFlow"; "" where it is not known.
        frames: in a turn, whatever the others have; None: as many as they.
        frames_per_call: each counts as an equal part of its call.
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    schedule: str = ""
    multiply_adds: dict[str, int] = {}  # noqa: RUF012 - never written to
    data_type: str = ""
    frames: int | None = None
    frames_per_call: int = 1

    def order(self, num_frames: int) -> list[str]:
        """Returns the calls of a turn: whole clips, and whole periods of the schedule."""
        num_frames = -(-(self.frames or num_frames) // self.frames_per_call)
        if not self.schedule or len(self.calls) == 1:
            return [next(iter(self.calls))] * num_frames
        period = (schedule_names.skip_of(self.schedule) or 0) + 1
        rounded = -(-num_frames // period) * period
        return [
            network_schedule.network_of(self.schedule, number, seed=0) for number in range(rounded)
        ]


class Timing(NamedTuple):
    """Milliseconds of one network, or of all frames under the schedule."""

    frames: int
    average_ms: float
    median_ms: float
    p95_ms: float
    worst_ms: float


class Ratio(NamedTuple):
    """How many times as long one subject takes as another, on the average frame.

    Attributes:
        median: over the turns.
        lowest: of a turn.
        highest: of a turn.
        turns: all of them.
    """

    median: float
    lowest: float
    highest: float
    turns: tuple[float, ...]


class Times(NamedTuple):
    """What was measured of a subject: in each turn, the network of each call and a frame's ms."""

    subject: Subject
    turns: list[list[tuple[str, float]]]

    def timings(self) -> dict[str, Timing]:
        """Returns the timing of each network that ran, then of the schedule where there are two."""
        rows = [row for turn in self.turns for row in turn]
        networks = [name for name in self.subject.calls if any(name == ran for ran, _ in rows)]
        each = self.subject.frames_per_call
        found = {name: _timing([ms for ran, ms in rows if ran == name], each) for name in networks}
        if self.subject.schedule and len(self.subject.calls) > 1:
            found[self.subject.schedule] = _timing([ms for _, ms in rows], each)
        return found

    def averages_ms(self) -> list[float]:
        """Returns the average frame of each turn."""
        return [statistics.fmean(ms for _, ms in turn) for turn in self.turns]

    def multiply_adds(self) -> dict[str, float]:
        """Returns those of an average frame, for the rows of `timings` where they are known."""
        known: dict[str, float] = {
            name: done / self.subject.frames_per_call
            for name, done in self.subject.multiply_adds.items()
        }
        rows = [ran for turn in self.turns for ran, _ in turn]
        if self.subject.schedule and all(ran in known for ran in rows):
            known[self.subject.schedule] = statistics.fmean(known[ran] for ran in rows)
        return {name: known[name] for name in self.timings() if name in known}


def measure(
    subjects: Sequence[Subject],
    *,
    turns: int,
    frames: int,
    warm_up: int,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], None] = lambda: None,
) -> list[Times]:
    """Returns the times of all subjects, which take turns.

    In every second turn they come in the opposite order, so that none always has the better place.

    Args:
        subjects: what is timed.
        turns: how many turns each of them has.
        frames: in a turn, rounded up to whole clips and periods of the schedule.
        warm_up: calls of each network before the first turn, not timed.
        clock: seconds, for tests.
        progress: called after each turn of a subject.
    """
    for subject in subjects:
        for call in subject.calls.values():
            for _ in range(warm_up):
                call()
    results = [Times(subject, []) for subject in subjects]
    for turn in range(turns):
        for result in results if turn % 2 == 0 else reversed(results):
            rows = []
            for network in result.subject.order(frames):
                call = result.subject.calls[network]
                started = clock()
                call()
                milliseconds = (clock() - started) * 1e3
                rows.append((network, milliseconds / result.subject.frames_per_call))
            result.turns.append(rows)
            progress()
    return results


def ratio(of: Times, to: Times) -> Ratio:
    """Returns how many times as long `of` takes as `to`, from turns that stood side by side."""
    each = [a / b for a, b in zip(of.averages_ms(), to.averages_ms(), strict=True)]
    return Ratio(statistics.median(each), min(each), max(each), tuple(each))


def _timing(times_ms: list[float], frames_per_call: int) -> Timing:
    return Timing(
        frames=len(times_ms) * frames_per_call,
        average_ms=statistics.fmean(times_ms),
        median_ms=statistics.median(times_ms),
        p95_ms=float(np.percentile(times_ms, 95)),
        worst_ms=max(times_ms),
    )
