"""The large network beside the frames: in a thread of its own, or with delays that are given."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np

from lstd.base.types import LSTMState
from lstd.runtime import frame_resize
from lstd.runtime.entry_points import EntryPoint

Delay = int | Sequence[int | None]
"""Frames from a large turn to the arrival of its state: one number, or one for each turn that ran;
None: it never arrives."""


class _Turn(NamedTuple):
    """A run of the large network, on a frame, whose state has not been taken."""

    frame_number: int
    future: futures.Future[LSTMState]
    due: float | None = None  # From this frame on the state counts; None: when it is there.


class BackgroundNetwork:
    """Runs the large network on some frames while the others go on; one video at a time.

    At most one run is under way. A turn that comes while the last one is still under way is skipped
    (`skipped_turns`), not queued: the large network then starts at its next turn, on a frame that
    is fresh.

    Without a delay a thread runs it, and its state arrives when it is finished. Otherwise it runs
    on the spot, and the state is held back for that many frames: the same results as from a thread
    that had these delays. Nothing else may hold its interpreter for long.

    Raises:
        ValueError: a delay is not a whole number of at least 1.
    """

    def __init__(self, point: EntryPoint, delay: Delay | None) -> None:
        self._point = point
        self._delay: Delay | None = None
        if isinstance(delay, Sequence) and not isinstance(delay, str):
            self._delay = tuple(None if each is None else _whole(each, delay) for each in delay)
        elif delay is not None:
            self._delay = _whole(delay, delay)
        self._executor: futures.ThreadPoolExecutor | None = None
        self._turn: _Turn | None = None
        self.reset()

    def twin(self) -> BackgroundNetwork:
        """Returns another one for another video, with a thread of its own."""
        return BackgroundNetwork(self._point, self._delay)

    def reset(self) -> None:
        """Forgets the video; the state of a run that is still under way is thrown away."""
        if self._turn is not None:
            self._turn.future.cancel()
        self._turn = None
        self._arrived: list[int] = []
        self.skipped_turns = 0

    @property
    def delays(self) -> tuple[int | None, ...]:
        """One for each run: frames until its state was taken; None for one still under way."""
        return (*self._arrived, *([] if self._turn is None else [None]))

    def start(self, frame_number: int, frame: np.ndarray, state: LSTMState) -> None:
        """Starts the large network on a frame, which may change afterwards, unless it is at work.

        `state` is the newest that it wrote.

        Raises:
            ValueError: the list of delays has none for this run.
        """
        if self._turn is not None:
            self.skipped_turns += 1
        elif self._delay is None:
            if self._executor is None:
                self._executor = futures.ThreadPoolExecutor(1, thread_name_prefix="lstd-large")
            future = self._executor.submit(self._state_after, frame.copy(), state)
            self._turn = _Turn(frame_number, future)
        else:
            due = frame_number + self._next_delay(frame_number)
            future = futures.Future()
            try:
                future.set_result(self._state_after(frame, state))
            except Exception as error:  # Raised where the state would be taken.
                future.set_exception(error)
            self._turn = _Turn(frame_number, future, due)

    def take(self, frame_number: int) -> tuple[int, LSTMState] | None:
        """Returns frame number and state of a run whose time has come, once; else None.

        What went wrong in that run is raised; the next turn starts another one.
        """
        turn = self._turn
        if turn is None or not (
            turn.future.done() if turn.due is None else frame_number >= turn.due
        ):
            return None
        self._turn = None
        self._arrived.append(frame_number - turn.frame_number)
        return turn.frame_number, turn.future.result()

    def wait(self, timeout: float | None) -> bool:
        """Waits up to `timeout` seconds (None: any), and returns whether no run is under way."""
        if self._turn is None or self._delay is not None:
            return True
        return not futures.wait([self._turn.future], timeout).not_done

    def close(self) -> None:
        """Ends the thread, after the run that is under way."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _state_after(self, frame: np.ndarray, state: LSTMState) -> LSTMState:
        return self._point.run(lambda image: frame_resize.fit(frame, image), state)[1]

    def _next_delay(self, frame_number: int) -> float:
        delay, run = self._delay, len(self._arrived)
        if isinstance(delay, Sequence):
            if run >= len(delay):
                raise ValueError(
                    f"delay has {len(delay)} values, but at frame {frame_number} the large network "
                    f"runs for the time number {run + 1}; give one for each run, None for one "
                    "whose state never arrives"
                )
            delay = delay[run]
        return math.inf if delay is None else delay


def _whole(value: object, delay: object) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise ValueError(
            f"delay must be a whole number of at least 1, or one for each run, got {delay!r}"
        )
    return number
