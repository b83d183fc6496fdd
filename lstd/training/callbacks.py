"""What a run does beside training: it writes its history, shows how far it is, and ends."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base.progress import Progress
from lstd.base.whole_file import write_whole
from lstd.config.train_config import QuantizationConfig
from lstd.layers.fake_quant import FakeQuant
from lstd.training import distribution
from lstd.training.history import read_history

_PARTS = ("localization", "classification", "regularization")
_SHOWN = ("coco/ap", "coco/ap50")  # Of what is measured; history.csv has all of it.
_EPOCH = 2  # Like True, Keras ends the epoch for it; a callback may add its own by |=.


class RunCallback(keras.callbacks.Callback):
    """A callback that knows the number of the step, and takes logs as tensors, which is quicker."""

    def __init__(self) -> None:
        super().__init__()
        self._supports_tf_logs = True

    @property
    def step(self) -> int:
        """Of the run, from its beginning."""
        return int(self.model.optimizer.iterations.numpy())


class Quantize(RunCallback):
    """Lets a model in 8 bits begin to round, and to fold batch norm, when their steps have come."""

    def __init__(self, config: QuantizationConfig, *, steps: int) -> None:
        super().__init__()
        self.config, self._fold_after = config, config.fold_after(steps)
        self._phase: tuple[bool, bool] | None = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        rounds, folds = self.step >= self.config.delay, self.step >= self._fold_after
        if (rounds, folds) == self._phase:
            return
        for module in self.model.submodules:
            if hasattr(module, "rounds"):
                module.rounds = rounds
            if isinstance(module, FakeQuant):
                module.decay = self.config.range_decay
            elif folds and hasattr(module, "frozen_statistics"):
                module.frozen_statistics = True
        if self._phase is not None:  # Keras calls what was traced before.
            self.model.make_train_function(force=True)
        self._phase = rounds, folds


class WriteHistory(RunCallback):
    """Adds each epoch's numbers to a CSV file.

    The file is written anew each time: columns may come and go when a run is resumed, and epochs
    that are done again after an interruption replace what they had.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row: dict[str, Any] = {
            "epoch": epoch,
            "step": self.step,
            "seconds": round(time.monotonic() - self._began, 3),
            "learning_rate": float(self.model.optimizer.learning_rate.numpy()),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        rows = [*(old for old in read_history(self.path) if int(old["epoch"]) < epoch), row]
        text = io.StringIO()
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue())


class ShowProgress(RunCallback):
    """Shows steps, speed, the time that is left and losses; each epoch's last line stays."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.progress.pause()  # What lies between two epochs is not training.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self.step - self.progress.done
        self.progress.advance(done, note=lambda: _losses(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        measured = [
            f"{name.removeprefix('val_')} {float(value):.4g}"
            for name, value in (logs or {}).items()
            if name.startswith("val_") and name.endswith(_SHOWN)
        ]
        note = ", ".join(filter(None, [_losses(logs or {}), *measured]))
        self.progress.keep(f"epoch {epoch + 1},", note)


def _losses(logs: dict[str, Any]) -> str:
    parts = ", ".join(f"{name} {float(logs[name]):.4g}" for name in _PARTS if name in logs)
    if "loss" not in logs:
        return ""
    return f"loss {float(logs['loss']):.4g}" + (f" ({parts})" if parts else "")


class EndRun(RunCallback):
    """Ends `fit` after the last step, after Ctrl-C, or where no epoch has got better for long.

    Stands behind all other callbacks: at the end of an epoch everything is saved before. After
    Ctrl-C, which sets `asked`, the step under way is done; one that ends no epoch is saved by
    `save`, and KeyboardInterrupt raised. `epoch_end` is the step after which the first epoch ends,
    where it has fewer than the others. Several workers end `fit` together.
    """

    def __init__(
        self,
        last_step: int,
        *,
        epoch_end: int = 0,
        asked: threading.Event | None = None,
        save: Callable[[], None] = lambda: None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.last_step, self.epoch_end = last_step, epoch_end
        self.asked, self.save, self.is_over = asked or threading.Event(), save, is_over

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = self.step
        if step >= self.last_step:
            self.model.stop_training = True
        elif step == self.epoch_end:
            self.model.stop_training = self.model.stop_training or _EPOCH
        ends_epoch = self.model.stop_training or batch + 1 == self.params["steps"]
        if self.asked.is_set() and not ends_epoch:
            self.save()
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        stop = self.model.stop_training not in (False, _EPOCH)
        stop |= self.is_over()
        strategy = tf.distribute.get_strategy()
        number, workers = distribution.workers_of(strategy)
        if workers > 1:
            # Only the first worker evaluates; one that went on alone would wait forever.
            said = strategy.run(lambda: tf.constant(float(stop and number == 0)))
            stop = float(strategy.reduce("SUM", said, axis=None)) > 0
        self.model.stop_training = stop
        if self.asked.is_set() and not stop:
            raise KeyboardInterrupt
