"""How far a command is, how fast, and how long it will still take: one line on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from lstd.base.terminal import StatusLine


class Progress:
    """A line of progress: `evaluating 120/600 frames, 24.1 frames/s, 0:20 left`.

    A terminal has the line redrawn in place; anything else, such as a log file, gets a line every
    30 seconds and one at the end. Use it as a context manager, so that the last line stands.

    Args:
        label: what is done.
        total: how many there will be; None: not known, then neither is the time left.
        unit: what is counted, in the plural.
        stream: None: stderr, so that a command's results on stdout stay clean.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        label: str,
        *,
        total: int | None = None,
        unit: str = "steps",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._clock = clock
        self._started = clock()
        self._status = StatusLine(stream, clock=clock)
        self._status.is_due()  # The first line, too, comes after a while.
        self._done = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Counts what is done, and reports when the last report is long enough ago.

        Args:
            count: done since the last call.
            note: to stand at the end of the line, such as "loss 3.21".
        """
        self._done += count
        if self._status.is_due():
            self._status.show(self._line(self._clock() - self._started, note))

    def close(self) -> None:
        """Writes the last line: how many, how long, how fast."""
        seconds = self._clock() - self._started
        count = self._done if self._total in (None, self._done) else f"{self._done}/{self._total}"
        rate = f" ({self._done / seconds:.3g} {self._unit}/s)" if seconds > 0 and self._done else ""
        line = f"{self._label} {count} {self._unit} in {clock_text(seconds)}{rate}"
        self._status.show(line, stays=True)

    def _line(self, seconds: float, note: str) -> str:
        total = "" if self._total is None else f"/{self._total}"
        parts = [f"{self._label} {self._done}{total} {self._unit}"]
        if seconds > 0 and self._done:
            rate = self._done / seconds
            parts.append(f"{rate:.3g} {self._unit}/s")
            if self._total is not None:
                parts.append(f"{clock_text(max(self._total - self._done, 0) / rate)} left")
        return ", ".join([*parts, note] if note else parts)


def clock_text(seconds: float) -> str:
    """Returns a duration as people write it, `0:07` or `1:02:03`.

    >>> clock_text(3723.4)
    '1:02:03'
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
