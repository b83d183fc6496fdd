"""The optimizers: the original's RMSProp, Adam and AdamW."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import TrainConfig
from lstd.training import fused
from lstd.training.learning_rate import Schedule, build_learning_rate

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
            optimizer = fused.Adam(**common)
        else:
            optimizer = fused.AdamW(**(common | {"weight_decay": config.weight_decay}))
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(_WITHOUT_DECAY))
    return optimizer


@keras.saving.register_keras_serializable(package="lstd")
class RMSProp(fused.FusedOptimizer):
    """RMSProp of TensorFlow 1, whose mean square starts at 1 (Keras's starts at 0).

        mean_square = decay * mean_square + (1 - decay) * g^2
        step = momentum * step + learning_rate * g / sqrt(mean_square + epsilon)
        variable -= step

    So the first steps are cautious, where Keras's would be as large as the learning rate allows.

    Args:
        learning_rate: a float or a Keras schedule.
        decay: of the mean square.
        momentum: of the step.
        epsilon: inside the root.
        **kwargs: of `keras.optimizers.Optimizer`, such as `clipnorm`.

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
