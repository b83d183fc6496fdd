"""Curves for TensorBoard: losses, learning rate, norm of the gradients, evaluations."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from lstd.training.events import Events


class WriteScalars(keras.callbacks.Callback):
    """Writes the losses every few steps and at the end of an epoch, and what the epoch measured.

    The tags: `train/<part of the loss>` and `train/gradient_norm`, their means since the point
    before; `train/learning_rate`; and at the end of an epoch `evaluation/<name>` for what the logs
    call `val_<name>`. All are placed by the number of the step.

    Args:
        events: where to; closed at the end of training.
        every: steps between two points.
        before: steps of the first epoch that were done before.
    """

    def __init__(self, events: Events, *, every: int = 100, before: int = 0) -> None:
        super().__init__()
        self._done = before
        self.events = events
        self.every = every
        self._supports_tf_logs = True  # The logs are only looked at every few steps.
        self._before: tuple[int, dict[str, float]] = (0, {})
        self._last: tuple[int, dict[str, Any]] = (0, {})

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Forgets the epoch before, as the means in the logs do."""
        self._before = self._last = (0, {})

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes a point every few steps."""
        self._last = (self._done + batch + 1, logs or {})
        if self._last[0] % self.every == 0:
            self._write_losses()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the losses of its last steps, and what the epoch measured."""
        if self._last[0] > self._before[0]:
            self._write_losses()
        step = int(self.model.optimizer.iterations.numpy())
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                self.events.scalar("evaluation/" + name.removeprefix("val_"), value, step)
        self.events.flush()
        self._done = 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file."""
        self.events.close()

    def _write_losses(self) -> None:
        """Writes means since the point before, from means since the beginning of the epoch."""
        step = int(self.model.optimizer.iterations.numpy())
        (before, old), (count, logs) = self._before, self._last
        means = {name: float(value) for name, value in logs.items()}
        for name, mean in means.items():
            recent = (mean * count - old.get(name, 0.0) * before) / (count - before)
            self.events.scalar("train/" + name, recent, step)
        rate = float(self.model.optimizer.learning_rate.numpy())
        self.events.scalar("train/learning_rate", rate, step)
        self._before = (count, means)
