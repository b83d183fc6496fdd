"""What a training run tells whoever watches it."""

from __future__ import annotations

import time
from typing import Any

import tf_keras as keras

from lstd.base.terminal import StatusLine

_PARTS = ("localization", "classification", "regularization")
_SHOWN = ("coco/ap", "coco/ap50")  # Of what is measured; history.csv has all of it.


class Progress(keras.callbacks.Callback):
    """Prints steps, speed, losses and the time that is left; each epoch's last line stays.

    `frames_per_step` counts those of all batches that a step takes.
    """

    def __init__(self, *, last_step: int, frames_per_step: int, line: StatusLine) -> None:
        super().__init__()
        self.last_step, self.frames_per_step, self.line = last_step, frames_per_step, line
        self._supports_tf_logs = True  # The logs are only looked at when a line is due.
        self._seconds_per_step = 0.0  # Over about the last hundred; tracing, evaluation left out.
        self._steps = 0
        self._last: float | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock again: what lies between two epochs is not training."""
        self._last = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints a line when one is due."""
        now = time.monotonic()
        if self._last is not None:
            self._steps = min(self._steps + 1, 100)
            self._seconds_per_step += (now - self._last - self._seconds_per_step) / self._steps
        self._last = now
        if self.line.is_due():
            self.line.show(self._text(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's line, with the best known of what was measured."""
        logs = logs or {}
        measured = "".join(
            f", {name.removeprefix('val_')} {float(value):.4g}"
            for name, value in logs.items()
            if name.startswith("val_") and name.endswith(_SHOWN)
        )
        self.line.show(f"epoch {epoch + 1}: {self._text(logs)}{measured}", stays=True)

    def _text(self, logs: dict[str, Any]) -> str:
        step = int(self.model.optimizer.iterations.numpy())
        words = [f"step {step}/{self.last_step}"]
        if self._seconds_per_step:
            words.append(f"{self.frames_per_step / self._seconds_per_step:.1f} frames/s")
        if "loss" in logs:
            parts = ", ".join(f"{name} {float(logs[name]):.4g}" for name in _PARTS if name in logs)
            words.append(f"loss {float(logs['loss']):.4g}" + (f" ({parts})" if parts else ""))
        if self._seconds_per_step and step < self.last_step:
            left = (self.last_step - step) * self._seconds_per_step
            words.append(f"{readable_time(left)} left")
        return ", ".join(words)


def readable_time(seconds: float) -> str:
    """Returns a duration in its two largest units.

    >>> readable_time(7384)
    '2 h 3 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((place for place, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {name}" for count, name in units[first : first + 2])
