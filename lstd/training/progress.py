"""What a training run tells whoever watches it."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

import tf_keras as keras

_PARTS = ("localization", "classification", "regularization")
_SHOWN = ("coco/ap", "coco/ap50")  # Of what is measured; history.csv has all of it.


class Progress(keras.callbacks.Callback):
    """Prints steps, speed, losses and the time that is left.

    On a terminal one line is rewritten twice a second; elsewhere (a log file) a line comes every
    half minute. The end of an epoch always has a line of its own.

    Args:
        last_step: of the run.
        frames_per_step: of all batches that a step takes: B * T * `train.accumulate_steps`.
        stream: where to; None: standard error.
        seconds: between two lines; None: as above.
    """

    def __init__(
        self,
        *,
        last_step: int,
        frames_per_step: int,
        stream: TextIO | None = None,
        seconds: float | None = None,
    ) -> None:
        super().__init__()
        self.last_step = last_step
        self.frames_per_step = frames_per_step
        self.stream = stream or sys.stderr
        self.is_terminal = self.stream.isatty()
        self.seconds = seconds if seconds is not None else (0.5 if self.is_terminal else 30.0)
        self._supports_tf_logs = True  # The logs are only looked at when a line is due.
        self._clock = _Clock()
        self._printed = 0.0
        self._width = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock again: what lies between two epochs is not training."""
        self._clock.pause()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints a line when one is due."""
        self._clock.tick()
        now = time.monotonic()
        if now - self._printed >= self.seconds:
            self._printed = now
            self._print(self._line(logs or {}), final=not self.is_terminal)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's line, with the best known of what was measured."""
        logs = logs or {}
        measured = "".join(
            f", {name.removeprefix('val_')} {float(value):.4g}"
            for name, value in logs.items()
            if name.startswith("val_") and name.endswith(_SHOWN)
        )
        self._print(f"epoch {epoch + 1}: {self._line(logs)}{measured}", final=True)

    def _line(self, logs: dict[str, Any]) -> str:
        step = int(self.model.optimizer.iterations.numpy())
        words = [f"step {step}/{self.last_step}"]
        if self._clock.seconds_per_step:
            words.append(f"{self.frames_per_step / self._clock.seconds_per_step:.1f} frames/s")
        if "loss" in logs:
            parts = ", ".join(f"{name} {float(logs[name]):.4g}" for name in _PARTS if name in logs)
            words.append(f"loss {float(logs['loss']):.4g}" + (f" ({parts})" if parts else ""))
        if self._clock.seconds_per_step and step < self.last_step:
            left = (self.last_step - step) * self._clock.seconds_per_step
            words.append(f"{readable_time(left)} left")
        return ", ".join(words)

    def _print(self, line: str, *, final: bool) -> None:
        if self.is_terminal:
            padded = line.ljust(self._width)
            self._width = 0 if final else len(line)
            self.stream.write("\r" + padded + ("\n" if final else ""))
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


class _Clock:
    """Seconds per step, averaged over about the last hundred; tracing and evaluation left out."""

    def __init__(self) -> None:
        self.seconds_per_step = 0.0
        self._steps = 0
        self._last: float | None = None

    def pause(self) -> None:
        self._last = None

    def tick(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            self._steps = min(self._steps + 1, 100)
            self.seconds_per_step += (now - self._last - self.seconds_per_step) / self._steps
        self._last = now


def readable_time(seconds: float) -> str:
    """Returns a duration in its two largest units.

    >>> readable_time(7384)
    '2 h 3 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
