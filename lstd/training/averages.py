"""Moving averages of all variables of a model, those of batch norm included."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class Averages(tf.Module):
    """The moving averages of some variables; a `tf.train.Checkpoint` can save them.

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
        self.values = [
            tf.Variable(
                variable,
                trainable=False,
                name=f"average_{index}",
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=_aggregation_of(variable),
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


def _aggregation_of(variable: tf.Variable) -> tf.VariableAggregation:
    """Returns how the averages of replicas become one: as the variable itself does."""
    if variable.synchronization == tf.VariableSynchronization.ON_READ:
        return variable.aggregation
    return tf.VariableAggregation.ONLY_FIRST_REPLICA  # The others are the same.
