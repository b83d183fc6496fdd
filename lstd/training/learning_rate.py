"""The learning rate over the steps: Keras's schedules, and two wrappers for what they lack."""

from __future__ import annotations

from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import LearningRateConfig

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


def build_learning_rate(config: LearningRateConfig, *, steps: int) -> float | Schedule:
    """Returns the learning rate of a run of `steps` steps.

        constant     initial
        exponential  initial * decay_factor ^ (step / decay_steps), the exponent rounded down with
                     `staircase`
        cosine       initial until `hold_fraction * steps` or the end of the warm-up, whichever is
                     later; then initial * (1 + cos(pi * share of the rest that is done)) / 2

    In the first `warmup_steps` each of them is multiplied by step / warmup_steps.

    Args:
        config: what to follow.
        steps: the length of the run; only cosine looks at it.

    Returns:
        A float for a rate that never changes, so that it can be set later (as
        `keras.callbacks.ReduceLROnPlateau` does); else a Keras schedule.
    """
    rate = _without_warmup(config, steps)
    return WarmUp(rate, config.warmup_steps) if config.warmup_steps else rate


def _without_warmup(config: LearningRateConfig, steps: int) -> float | Schedule:
    schedules = keras.optimizers.schedules
    if config.schedule == "constant":
        return config.initial
    if config.schedule == "exponential":
        return schedules.ExponentialDecay(
            config.initial, config.decay_steps, config.decay_factor, staircase=config.staircase
        )
    hold_steps = max(round(config.hold_fraction * steps), config.warmup_steps)
    falling = schedules.CosineDecay(config.initial, max(steps - hold_steps, 1))
    return Hold(falling, hold_steps) if hold_steps else falling


@keras.saving.register_keras_serializable(package="lstd")
class WarmUp(Schedule):
    """A learning rate that rises linearly from 0 in its first steps.

    Args:
        after: the rate to be scaled by min(step / warmup_steps, 1).
        warmup_steps: above 0.
    """

    def __init__(self, after: float | Schedule, warmup_steps: int) -> None:
        super().__init__()
        self.after = after
        self.warmup_steps = warmup_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of a step."""
        share = tf.cast(step, tf.float32) / float(self.warmup_steps)
        after = self.after(step) if callable(self.after) else self.after
        return tf.minimum(share, 1.0) * after

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, ready for JSON."""
        after = self.after
        if callable(after):
            after = keras.saving.serialize_keras_object(after)
        return {"after": after, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Returns what `get_config` describes."""
        return cls(_restored(config["after"]), config["warmup_steps"])


@keras.saving.register_keras_serializable(package="lstd")
class Hold(Schedule):
    """A schedule that stays at its beginning for some steps before it starts to run.

    Args:
        then: the schedule that starts after `hold_steps`.
        hold_steps: above 0.
    """

    def __init__(self, then: Schedule, hold_steps: int) -> None:
        super().__init__()
        self.then = then
        self.hold_steps = hold_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of a step."""
        return self.then(tf.maximum(tf.cast(step, tf.int64) - self.hold_steps, 0))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, ready for JSON."""
        then = keras.saving.serialize_keras_object(self.then)
        return {"then": then, "hold_steps": self.hold_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Hold:
        """Returns what `get_config` describes."""
        return cls(_restored(config["then"]), config["hold_steps"])


def _restored(value: Any) -> Any:
    """Returns the schedule that `value` describes; a plain number as it is."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
