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
    settings: dict[str, Any] = {
        "learning_rate": build_learning_rate(train.learning_rate, steps=train.steps),
        "epsilon": config.epsilon,
        "clipnorm": config.clip_norm or None,
        # Keras refuses an AdamW without any.
        "weight_decay": config.weight_decay or (0.0 if config.name == "adamw" else None),
        "jit_compile": False,
    }
    if config.name == "rms_prop":
        optimizer = RMSProp(decay=config.decay, momentum=config.momentum, **settings)
    else:
        kind = Adam if config.name == "adam" else AdamW
        optimizer = kind(beta_1=config.beta_1, beta_2=config.beta_2, **settings)
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


class _Wrapper(Schedule):
    """A schedule whose attributes are its arguments, of which others may be schedules."""

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {k: serialize(v) if callable(v) else v for k, v in vars(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Wrapper:
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{k: deserialize(v) if isinstance(v, dict) else v for k, v in config.items()})


@keras.saving.register_keras_serializable(package="lstd")
class WarmUp(_Wrapper):
    """The rate `after`, scaled by min(step / warmup_steps, 1)."""

    def __init__(self, after: float | Schedule, warmup_steps: int) -> None:
        self.after, self.warmup_steps = after, warmup_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        share = tf.cast(step, tf.float32) / float(self.warmup_steps)
        after = self.after(step) if callable(self.after) else self.after
        return tf.minimum(share, 1.0) * after


@keras.saving.register_keras_serializable(package="lstd")
class Hold(_Wrapper):
    """The schedule `then`, which stays at its beginning for `hold_steps`."""

    def __init__(self, then: Schedule, hold_steps: int) -> None:
        self.then, self.hold_steps = then, hold_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.then(tf.maximum(tf.cast(step, tf.int64) - self.hold_steps, 0))


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
        index, kind = self._index_dict[self._var_key(variable)], variable.dtype
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
        self.decay, self.momentum, self.epsilon = decay, momentum, epsilon

    def build(self, var_list: list[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        add = self.add_variable_from_reference
        self._mean_squares = [
            add(each, "mean_square", initial_value=tf.ones(each.shape, each.dtype))
            for each in var_list
        ]
        self._steps = [add(each, "step") for each in var_list]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        index, kind = self._index_dict[self._var_key(variable)], gradient.dtype
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=self._mean_squares[index].handle,
            mom=self._steps[index].handle,
            lr=tf.cast(self.learning_rate, kind),
            rho=tf.cast(self.decay, kind),
            momentum=tf.cast(self.momentum, kind),
            epsilon=tf.cast(self.epsilon, kind),
            grad=tf.convert_to_tensor(gradient),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "decay": self.decay,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
