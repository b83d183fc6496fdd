"""How far a command is, how fast, and how long it will still take: one line on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

_REMEMBERED = 100  # advances, over about which the speed is measured


class Progress:
    """A line of progress: `evaluating 120/600 frames, 24.1 frames/s, 0:20 left`.

    A terminal has the line redrawn in place; anything else, such as a log file, gets a line every
    30 seconds and one at the end. Use it as a context manager, so that the last line stands. The
    first advance has warming up in it, so the speed is that of the later ones.

    Args:
        label: what is done.
        total: how many there will be; None: not known, then neither is the time left.
        unit: what is counted, in the plural.
        done: how many there are already.
        rate: of what the speed is told, and how many of them are in one of the units.
        stream: None: stderr, so that a command's results on stdout stay clean.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        label: str,
        *,
        total: int | None = None,
        unit: str = "steps",
        done: int = 0,
        rate: tuple[str, int] | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._rate = rate or (unit, 1)
        self._clock = clock
        self._started = clock()
        self._shown = self._started  # when a line was; the first one, too, comes after a while
        self._stream = stream or sys.stderr
        self._in_place, self._width = self._stream.isatty(), 0
        self.done = self._before = done
        self._last: float | None = None  # when the last advance came
        self._seconds, self._advances = 0.0, 0  # of one unit; behind it

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int = 1, *, note: Callable[[], str] = str) -> None:
        """Counts what is done, and reports when the last report is long enough ago.

        Args:
            count: done since the last call.
            note: called for what is to stand at the end of the line, such as "loss 3.21".
        """
        self.done += count
        now = self._clock()
        if self._last is not None and count > 0:
            self._advances = min(self._advances + 1, _REMEMBERED)
            self._seconds += ((now - self._last) / count - self._seconds) / self._advances
        self._last = now
        if now - self._shown >= (0.2 if self._in_place else 30.0):
            self._shown = now
            self._show(self._line(self._label, note()))

    def pause(self) -> None:
        """Leaves the time until the next advance out of the speed."""
        self._last = None

    def keep(self, label: str, note: str = "") -> None:
        """Writes a line that stays, under a label of its own."""
        self._show(self._line(label, note), stays=True)

    def close(self) -> None:
        """Writes the last line: how many, how long, how fast."""
        seconds, done = self._clock() - self._started, self.done - self._before
        count = self.done if self._total in (None, self.done) else f"{self.done}/{self._total}"
        speed = f" ({self._speed(done / seconds)})" if seconds > 0 and done else ""
        line = f"{self._label} {count} {self._unit} in {clock_text(seconds)}{speed}"
        self._show(line, stays=True)

    def _show(self, line: str, *, stays: bool = False) -> None:
        """Writes a line; the next one stands below it if it `stays`, else in its place."""
        if self._in_place:
            padded = line.ljust(self._width)
            self._width = 0 if stays else len(line)
            self._stream.write("\r" + padded + ("\n" if stays else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _line(self, label: str, note: str) -> str:
        total = "" if self._total is None else f"/{self._total}"
        parts = [f"{label} {self.done}{total} {self._unit}"]
        if self._seconds > 0:
            parts.append(self._speed(1 / self._seconds))
            if self._total is not None and self.done < self._total:
                parts.append(f"{clock_text((self._total - self.done) * self._seconds)} left")
        return ", ".join([*parts, note] if note else parts)

    def _speed(self, units: float) -> str:
        """Returns how fast so many units a second are."""
        name, each = self._rate
        return f"{speed_text(units * each)} {name}/s"


def clock_text(seconds: float) -> str:
    """Returns a duration as people write it, `0:07` or `1:02:03`.

    >>> clock_text(3723.4)
    '1:02:03'
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


def speed_text(number: float) -> str:
    """Returns how many a second, `1,250` or `2.35`."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
