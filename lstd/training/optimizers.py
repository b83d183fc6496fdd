"""The optimizers: the original's RMSProp, Adam and AdamW; and their learning rates.

All run on TensorFlow's fused kernels, one operation for each variable and not some thirty: a
MobileNet has hundreds of small variables, and with Keras's own update most of the time that a first
step takes goes into tracing their bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import LearningRateConfig, TrainConfig
from lstd.fit import refusals

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule

# Weight decay pulls on kernels only: batch norm and biases are no cause of overfitting.
_WITHOUT_DECAY = (r"(^|/)(gamma|beta|bias|biases)(:\d+)?$",)


def build_optimizer(train: TrainConfig) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a training config, with its learning rate over the steps.

    Each variable's gradient is clipped by itself to the L2 norm `clip_norm`, before anything else.
    `weight_decay` is decoupled, `variable -= rate * weight_decay * variable`, and leaves batch norm
    and biases alone. Compilation with XLA is off: on a CPU it makes a step ten times slower.

    Args:
        train: of it count `optimizer`, `learning_rate` and `steps`.
    """
    config = train.optimizer
    common: dict[str, Any] = {
        "learning_rate": build_learning_rate(train.learning_rate, steps=train.steps),
        "epsilon": config.epsilon,
        "clipnorm": config.clip_norm or None,
        "weight_decay": config.weight_decay or None,
        "jit_compile": False,
    }
    if config.name == "rms_prop":
        optimizer = RMSProp(decay=config.decay, momentum=config.momentum, **common)
    else:
        common |= {"beta_1": config.beta_1, "beta_2": config.beta_2}
        if config.name == "adam":
            optimizer = Adam(**common)
        else:
            optimizer = AdamW(**(common | {"weight_decay": config.weight_decay}))
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(_WITHOUT_DECAY))
    return optimizer


def build_learning_rate(config: LearningRateConfig, *, steps: int) -> float | Schedule:
    """Returns the learning rate of a run of `steps` steps.

        constant     initial
        exponential  initial * decay_factor ^ (step / decay_steps), the exponent rounded down with
                     `staircase`
        cosine       initial until `hold_fraction * steps` or the end of the warm-up, whichever is
                     later; then initial * (1 + cos(pi * share of the rest that is done)) / 2

    In the first `warmup_steps` each of them is multiplied by step / warmup_steps.

    Returns:
        A float for a rate that never changes, so that it can be set later (as
        `keras.callbacks.ReduceLROnPlateau` does); else a Keras schedule.
    """
    schedules = keras.optimizers.schedules
    rate: float | Schedule = config.initial
    if config.schedule == "exponential":
        rate = schedules.ExponentialDecay(
            config.initial, config.decay_steps, config.decay_factor, staircase=config.staircase
        )
    elif config.schedule == "cosine":
        hold_steps = max(round(config.hold_fraction * steps), config.warmup_steps)
        rate = schedules.CosineDecay(config.initial, max(steps - hold_steps, 1))
        rate = Hold(rate, hold_steps) if hold_steps else rate
    return WarmUp(rate, config.warmup_steps) if config.warmup_steps else rate


@keras.saving.register_keras_serializable(package="lstd")
class WarmUp(Schedule):
    """The rate `after`, scaled by min(step / warmup_steps, 1)."""

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
        after = keras.saving.serialize_keras_object(after) if callable(after) else after
        return {"after": after, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Returns what `get_config` describes."""
        after = config["after"]
        if isinstance(after, dict):
            after = keras.saving.deserialize_keras_object(after)
        return cls(after, config["warmup_steps"])


@keras.saving.register_keras_serializable(package="lstd")
class Hold(Schedule):
    """The schedule `then`, which stays at its beginning for `hold_steps`."""

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
        return cls(keras.saving.deserialize_keras_object(config["then"]), config["hold_steps"])


class FusedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that clips all gradients in one go, each to its own L2 norm (`clipnorm`)."""

    def _build_learning_rate(self, learning_rate: Any) -> Any:
        refusals.refuse_keras_3("learning_rate", learning_rate)
        return super()._build_learning_rate(learning_rate)

    def _clip_gradients(self, grads: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
        if not self.clipnorm or any(isinstance(g, tf.IndexedSlices) for g in grads):
            return super()._clip_gradients(grads)
        present = [gradient for gradient in grads if gradient is not None]
        if not present:
            return list(grads)
        squares = tf.stack([tf.cast(tf.nn.l2_loss(g), tf.float32) for g in present])
        scales = tf.unstack(self.clipnorm / tf.maximum(tf.sqrt(2 * squares), self.clipnorm))
        clipped = iter([g * tf.cast(s, g.dtype) for g, s in zip(present, scales, strict=True)])
        return [None if gradient is None else next(clipped) for gradient in grads]


class _FusedAdam(FusedOptimizer):
    """The update that Adam and AdamW share."""

    def _internal_apply_gradients(self, grads_and_vars: Iterable[Any]) -> tf.Tensor:
        step = tf.cast(self.iterations + 1, tf.float32)
        self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        return super()._internal_apply_gradients(grads_and_vars)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable in place."""
        index = self._index_dict[self._var_key(variable)]
        kind = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.cast(self._powers[0], kind),
            beta2_power=tf.cast(self._powers[1], kind),
            lr=tf.cast(self.learning_rate, kind),
            beta1=tf.constant(self.beta_1, kind),
            beta2=tf.constant(self.beta_2, kind),
            epsilon=tf.constant(self.epsilon, kind),
            grad=tf.convert_to_tensor(gradient),
        )


@keras.saving.register_keras_serializable(package="lstd")
class Adam(_FusedAdam, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, the same numbers; without AMSGrad."""


@keras.saving.register_keras_serializable(package="lstd")
class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, the same numbers; without AMSGrad."""


@keras.saving.register_keras_serializable(package="lstd")
class RMSProp(FusedOptimizer):
    """RMSProp of TensorFlow 1, whose mean square starts at 1 (Keras's starts at 0).

        mean_square = decay * mean_square + (1 - decay) * g^2
        step = momentum * step + learning_rate * g / sqrt(mean_square + epsilon)
        variable -= step

    So the first steps are cautious, where Keras's would be as large as the learning rate allows.

    Source: `tf.train.RMSPropOptimizer`; Hinton, Neural Networks for Machine Learning, lecture 6.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.002,
        *,
        decay: float = 0.9,
        momentum: float = 0.9,
        epsilon: float = 1.0,
        weight_decay: float | None = None,
        jit_compile: bool = False,
        name: str = "RMSProp",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, weight_decay=weight_decay, jit_compile=jit_compile, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.decay = decay
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, var_list: list[tf.Variable]) -> None:
        """Creates the two slots of each variable."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._mean_squares = [
            self.add_variable_from_reference(
                variable, "mean_square", initial_value=tf.ones(variable.shape, variable.dtype)
            )
            for variable in var_list
        ]
        self._steps = [self.add_variable_from_reference(variable, "step") for variable in var_list]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable in place, with TensorFlow's fused kernel."""
        index = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=self._mean_squares[index].handle,
            mom=self._steps[index].handle,
            lr=tf.cast(self.learning_rate, gradient.dtype),
            rho=tf.cast(self.decay, gradient.dtype),
            momentum=tf.cast(self.momentum, gradient.dtype),
            epsilon=tf.cast(self.epsilon, gradient.dtype),
            grad=tf.convert_to_tensor(gradient),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, ready for JSON."""
        return {
            **super().get_config(),
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "decay": self.decay,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
