"""What ends a run: its last step, Ctrl-C, or weights that are no numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.fit.divergence import DivergedError


class StopAtStep(keras.callbacks.Callback):
    """Ends `fit` after a number of optimizer steps, even in the midst of an epoch.

    Args:
        step: the last step, counted from the beginning of the run.
        epoch_end: the step after which the first epoch ends, where it has fewer than the others.
    """

    def __init__(self, step: int, *, epoch_end: int = 0) -> None:
        super().__init__()
        self.step = step
        self.epoch_end = epoch_end
        self._supports_tf_logs = True  # Keras need not convert the logs for this callback.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops if this was the last step, of the run or of the first epoch."""
        step = int(self.model.optimizer.iterations.numpy())
        if step >= self.step or step == self.epoch_end:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Goes on if only the epoch was to end."""
        step = int(self.model.optimizer.iterations.numpy())
        if step == self.epoch_end and step < self.step:
            self.model.stop_training = False


class RefuseBrokenWeights(keras.callbacks.Callback):
    """Raises at the end of an epoch when a weight is not finite, before anything of it is saved.

    Stands before the callbacks that save. A loss that is not finite ends training by itself; this
    is for weights that the last update broke, and for statistics that training does not look at.

    Args:
        others: variables that are saved besides those of model and optimizer.
    """

    def __init__(self, others: Sequence[tf.Variable] = ()) -> None:
        super().__init__()
        self.others = tuple(others)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at all of them."""
        self.check()

    def check(self) -> None:
        """Looks at all variables.

        Raises:
            DivergedError: names the first that are broken, and what may help.
        """
        variables = [*self.model.weights, *self.model.optimizer.variables, *self.others]
        broken = [
            variable.name.split(":")[0]
            for variable in variables
            if variable.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(variable))
        ]
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            step = int(self.model.optimizer.iterations.numpy())
            raise DivergedError(
                f"training diverged: after step {step} there are "
                f"numbers that are not finite in {', '.join(broken[:3])}{more}; nothing of this "
                "epoch was saved; lower train.learning_rate.initial"
            )


class StopWhenAsked(keras.callbacks.Callback):
    """Raises KeyboardInterrupt after the step in which that was asked for, when all is saved.

    A step that ends an epoch is followed by what every epoch ends with. Stands behind the callbacks
    that change something in a step, and behind the one that saves at the end of an epoch.

    Args:
        asked: is set for it.
        save: saves after a step that ends no epoch.
    """

    def __init__(self, asked: threading.Event, save: Callable[[], None]) -> None:
        super().__init__()
        self.asked, self.save = asked, save
        self._supports_tf_logs = True  # Keras need not convert the logs for this callback.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves and stops if that was asked for.

        Raises:
            KeyboardInterrupt: it was.
        """
        ends_epoch = self.model.stop_training or batch + 1 == self.params["steps"]
        if self.asked.is_set() and not ends_epoch:
            self.save()
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops if that was asked for, and there are more epochs.

        Raises:
            KeyboardInterrupt: it was.
        """
        if self.asked.is_set() and not self.model.stop_training:
            raise KeyboardInterrupt
