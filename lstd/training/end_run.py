"""What ends a run, or its first epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.training import distribution

_EPOCH = 2  # Like True, Keras ends the epoch for it; a callback may add its own by |=.


class EndRun(keras.callbacks.Callback):
    """Ends `fit` after the last step, after Ctrl-C, or where no epoch has got better for long.

    Stands behind all other callbacks: at the end of an epoch everything is saved before. After
    Ctrl-C the step under way is done and saved; one that ends an epoch is followed by what every
    epoch ends with. Several workers end `fit` together.

    Args:
        step: the last one, counted from the beginning of the run.
        epoch_end: the step after which the first epoch ends, where it has fewer than the others.
        asked: is set by Ctrl-C.
        save: saves after a step that ends no epoch.
        is_over: whether the epochs so far are enough; None: they never are.
    """

    def __init__(
        self,
        step: int,
        *,
        epoch_end: int = 0,
        asked: threading.Event | None = None,
        save: Callable[[], None] = lambda: None,
        is_over: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__()
        self.step, self.epoch_end = step, epoch_end
        self.asked, self.save, self.is_over = asked or threading.Event(), save, is_over
        self._supports_tf_logs = True  # Keras need not convert the logs for this callback.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops if this was the last step, of the run or of the first epoch, or after Ctrl-C.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
        """
        step = int(self.model.optimizer.iterations.numpy())
        if step >= self.step:
            self.model.stop_training = True
        elif step == self.epoch_end:
            self.model.stop_training = self.model.stop_training or _EPOCH
        ends_epoch = self.model.stop_training or batch + 1 == self.params["steps"]
        if self.asked.is_set() and not ends_epoch:
            self.save()
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks whether this was the last one.

        Raises:
            KeyboardInterrupt: after Ctrl-C, where it was not.
        """
        stop = self.model.stop_training not in (False, _EPOCH)
        stop |= self.is_over is not None and self.is_over()
        strategy = tf.distribute.get_strategy()
        if distribution.workers_of(strategy)[1] > 1:
            # Only the first worker evaluates; one that went on alone would wait forever.
            own = float(stop and distribution.is_chief(strategy))
            said = strategy.run(lambda: tf.constant(own))
            stop = float(strategy.reduce("SUM", said, axis=None)) > 0
        self.model.stop_training = stop
        if self.asked.is_set() and not stop:
            raise KeyboardInterrupt
