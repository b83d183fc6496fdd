"""What ends a run: its last step, or weights that are no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.models.divergence import DivergedError


class StopAtStep(keras.callbacks.Callback):
    """Ends `fit` after a number of optimizer steps, even in the midst of an epoch.

    Args:
        step: the last step, counted from the beginning of the run.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step
        self._supports_tf_logs = True  # Keras need not convert the logs for this callback.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops if this was the last step."""
        if int(self.model.optimizer.iterations.numpy()) >= self.step:
            self.model.stop_training = True


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
        """Looks at all of them.

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
