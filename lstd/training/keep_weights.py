"""What becomes of the weights: averaged, checked, saved, evaluated, and perhaps the best."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.fit.divergence import DivergedError
from lstd.training import weights_file
from lstd.training.callbacks import RunCallback
from lstd.training.history import monitor_of
from lstd.training.run_folder import RunFolder


class Averages(tf.Module):
    """The moving averages of variables, batch norm's included; a `tf.train.Checkpoint` saves them.

        average = decay_n * average + (1 - decay_n) * variable
        decay_n = min(decay, (1 + n) / (10 + n)),  n: updates of the variables, this one included

    They start at the values the variables have when this object is made.

    Source: `tf.train.ExponentialMovingAverage` with `num_updates`, as the original's trainer uses
    it. There it is a race whether the average sees a variable before or after its update; here it
    is always after.
    """

    def __init__(self, variables: Sequence[tf.Variable], *, decay: float) -> None:
        super().__init__(name="averages")
        self.decay = decay
        # Not tracked: the model saves them already.
        object.__setattr__(self, "_variables", tuple(variables))
        on_read = tf.VariableSynchronization.ON_READ
        self.values = [
            tf.Variable(
                variable,
                trainable=False,
                name=f"average_{index}",
                synchronization=on_read,
                # Those of replicas become one as the variable's do; else they are all the same.
                aggregation=variable.aggregation
                if variable.synchronization == on_read
                else tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for index, variable in enumerate(variables)
        ]
        self._update = tf.function(self._update_everywhere)

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages after update number `step` (from 1) of the variables."""
        self._update(tf.cast(step, tf.float32))

    def _update_everywhere(self, step: tf.Tensor) -> None:
        """Lets each replica average what it has: nothing has to be exchanged before it is read."""

        def update() -> None:
            rest = 1.0 - tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
            for average, variable in zip(self.values, self._variables, strict=True):
                average.assign_sub(tf.cast(rest, average.dtype) * (average - variable))

        tf.distribute.get_strategy().run(update)

    def restart(self) -> None:
        """Sets the averages to what the variables are now."""
        for average, variable in zip(self.values, self._variables, strict=True):
            average.assign(variable)


class KeepWeights(RunCallback):
    """Averages the weights in each step; saves and evaluates the last, average and best ones.

    `fit` trains a model that carries an LSTM state of the training batch, and has an optimizer.
    What is saved and evaluated is a snapshot without either: a second model of the same config
    that takes over the values of the variables; `evaluations` add to the logs what they find. With
    `prefer_averages` these are evaluated, and the best weights are averages. One of several workers
    `writes` and evaluates; values that replicas keep for themselves are brought together by all.
    """

    def __init__(
        self,
        folder: RunFolder,
        snapshot: keras.Model,
        *,
        averages: Averages | None = None,
        prefer_averages: bool = False,
        evaluations: Sequence[keras.callbacks.Callback] = (),
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.folder, self.snapshot, self.averages, self.writes = folder, snapshot, averages, writes
        self.prefer_averages = prefer_averages
        self.evaluations = tuple(evaluations)
        for evaluation in self.evaluations:
            evaluation.set_model(snapshot)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.averages is not None:
            self.averages.update(self.model.optimizer.iterations)

    def check(self) -> None:
        """Looks at everything that is saved; has to come before anything saves it.

        This is for weights that the last update broke, and for what training does not look at: a
        loss that is not finite ends training by itself.

        Raises:
            DivergedError: names the first variables that are broken, and what may help.
        """
        averages = [] if self.averages is None else self.averages.values
        broken = [
            variable.name.split(":")[0]
            for variable in [*self.model.weights, *self.model.optimizer.variables, *averages]
            if variable.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(variable))
        ]
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            raise DivergedError(
                f"training diverged: after step {self.step} there are numbers that are not "
                f"finite in {', '.join(broken[:3])}{more}; nothing of this epoch was saved; lower "
                "train.learning_rate.initial"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        values = {"last": _read(self.model.weights)}
        if self.averages is not None:
            values = {"average": _read(self.averages.values), **values}
        if not self.writes:
            return
        # Before the weights: who waits for these finds then what is said of them.
        self.folder.update_record(last={"epoch": epoch, "step": self.step})
        for name, read in values.items():
            _fill(self.snapshot, read)
            weights_file.save(self.snapshot, self.folder.weights(name))
        if self.prefer_averages:
            _fill(self.snapshot, values.get("average", values["last"]))
        for evaluation in self.evaluations:
            evaluation.on_epoch_end(epoch, logs)
        self._keep_best(epoch, logs)

    def _keep_best(self, epoch: int, logs: dict[str, Any]) -> None:
        monitor = monitor_of("", logs)
        value = float(logs[monitor.name])
        before = self.folder.read_record().get("best", {})
        best = before.get("value") if before.get("name") == monitor.name else None
        if not monitor.is_better(value, best):
            return
        weights_file.save(self.snapshot, self.folder.weights("best"))
        # JSON has no NaN, which COCO gives where there is nothing to find.
        noted = None if math.isnan(value) else value
        best = {"epoch": epoch, "step": self.step, "name": monitor.name, "value": noted}
        self.folder.update_record(best={**best, "min_score": logs.get("val_min_score")})


def _read(variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
    """Returns the values; those that replicas keep for themselves are brought together here."""
    return [tf.convert_to_tensor(variable) for variable in variables]


def _fill(model: keras.Model, values: Sequence[tf.Tensor]) -> None:
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
