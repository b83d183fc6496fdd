"""How a detector fits into the stock Keras `fit`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.losses import LossSums
from lstd.models import freezing, keras_3, replica_batches, replicas, variable_names
from lstd.models.divergence import DivergedError, FiniteGuard
from lstd.models.replica_batches import packed
from lstd.models.training_step import TrainingStep, real_frames, with_l2
from lstd.types import ClipBatch, GroundTruth, Output

_PARTS = ("loss", "localization", "classification", "regularization")


class DetectionTraining(keras.Model):
    """A model that learns from `(ClipBatch, GroundTruth)` with a `lstd.DetectionLoss`.

    Ground truth and output differ in structure, which Keras's own losses and metrics do not expect;
    so both are replaced here. The metrics are the running means of the loss and its parts, and in
    training of the norm of all gradients together, before they are clipped.

    Frames of padding, whose `ClipBatch.frame_index` is below 0, count in no loss, neither in
    training nor in validation.

    A step whose loss or gradients are not finite changes no weight and ends `fit`.

    In the scope of a `tf.distribute.Strategy` a batch is that of all replicas together: the loss is
    normalised, and gradients are clipped, over all of them. Batch norm sees its replica's part.
    """

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_frozen", frozenset())
        object.__setattr__(self, "_accumulate_steps", 1)
        super().__init__(**kwargs)
        # Not through Keras's own __setattr__: running means are no weights of the model.
        object.__setattr__(self, "_loss_parts", [keras.metrics.Mean(name=name) for name in _PARTS])
        object.__setattr__(self, "_gradient_norm", keras.metrics.Mean(name="gradient_norm"))
        object.__setattr__(self, "_guard", FiniteGuard())
        self.distribute_reduction_method = "first"  # Of replicas: their metrics agree already.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        accumulate_steps: int = 1,
        gradient_checkpointing: bool = False,
        **kwargs: Any,
    ) -> None:
        """Configures the model for `fit`, as `keras.Model.compile` does.

        Args:
            optimizer: of `tf_keras.optimizers`, or what `lstd.build_optimizer` returns.
            loss: a `lstd.DetectionLoss`.
            metrics: none; they would have to understand ground truth and predictions.
            accumulate_steps: batches for each update. `fit` then takes so many from its dataset for
                one step; the update is that of one batch as large as all of them, but for the
                statistics of batch norm, which see one batch at a time.
            gradient_checkpointing: the backbones keep only what enters each of their blocks, and
                compute the rest again for the gradient: less memory, more time, the same numbers.
            **kwargs: as in Keras.

        Raises:
            ValueError: an object of Keras 3, another loss, or metrics.
        """
        for what, given in (("optimizer", optimizer), ("loss", loss), ("metrics", metrics)):
            keras_3.refuse(what, given)
        if loss is not None and not hasattr(loss, "components"):
            raise ValueError(
                f"loss must be a lstd.DetectionLoss, got {loss!r}: "
                "lstd.DetectionLoss.from_config(config.model)"
            )
        metrics = metrics or kwargs.pop("weighted_metrics", None)
        if metrics:
            raise ValueError(
                f"metrics must be left out, got {metrics!r}: fit shows "
                "the parts of the loss; lstd.evaluation.callback.EvaluationCallback measures "
                "detections after each epoch"
            )
        if accumulate_steps < 1:
            raise ValueError(f"accumulate_steps must be at least 1, got {accumulate_steps}")
        object.__setattr__(self, "_accumulate_steps", accumulate_steps)
        for module in self.submodules:
            if hasattr(module, "recomputes_activations"):
                module.recomputes_activations = gradient_checkpointing
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        if hasattr(self.optimizer, "build"):
            # With the slots made here and not in the first step, that step is traced only once.
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains, as `keras.Model.fit` does.

        Raises:
            ValueError: a callback of Keras 3, a model compiled without a loss, or a dataset with
                sample weights.
            DivergedError: the loss or a gradient was not finite; says in which step, with which
                clips, and what broke first.
        """
        self._check_loss("fit")
        arguments = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        keras_3.refuse("callbacks", arguments.get("callbacks"))
        strategy = self.distribute_strategy
        arguments["x"] = replica_batches.for_training(
            arguments.get("x"), strategy, accumulate_steps=self._accumulate_steps
        )
        arguments["validation_data"], arguments["validation_steps"] = (
            replica_batches.for_evaluation(
                arguments.get("validation_data"),
                strategy,
                steps=arguments.get("validation_steps"),
            )
        )
        self._guard.reset()
        try:
            return super().fit(**{k: v for k, v in arguments.items() if k != "self"})
        except tf.errors.OpError:  # Replicas that are told to stop say that they were cancelled.
            if not self._guard.finding:
                raise
        raise DivergedError(self._guard.finding)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss and its parts, as `keras.Model.evaluate` does.

        Several workers have to be told `steps` where the dataset does not know how many it has;
        the same holds for `validation_steps` of `fit`.

        Raises:
            ValueError: a model compiled without a loss, or a dataset with sample weights.
        """
        self._check_loss("evaluate")
        arguments = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        more = arguments.pop("kwargs", {})
        arguments["x"], arguments["steps"] = replica_batches.for_evaluation(
            arguments.get("x"), self.distribute_strategy, steps=arguments.get("steps")
        )
        return super().evaluate(**{k: v for k, v in arguments.items() if k != "self"}, **more)

    def _check_loss(self, caller: str) -> None:
        if self._is_compiled and not self.loss:  # Keras makes {} of none
            raise ValueError(
                f"{caller} needs a loss, and the model was compiled without one: "
                "model.compile(optimizer, loss=lstd.DetectionLoss.from_config(config.model))"
            )

    def freeze(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Returns the names of the variables that keep their values in training from now on.

        A frozen variable does not change, the statistics of batch norm included: with frozen
        statistics, a batch norm uses them in training too. L2 of frozen weights stays in the loss.

        Args:
            patterns: regular expressions, searched for in names such as
                `large/block_3/expand/kernel`. `^large/` is the whole large backbone, `/moving_` the
                statistics of every batch norm. They take the place of those of an earlier call.

        Raises:
            ValueError: a pattern that is no regular expression or matches nothing; nothing is left
                to train; the model is compiled already.
        """
        if self._is_compiled:
            raise ValueError("freeze: the model is compiled already; freeze first, then compile")
        names = freezing.matching(self, patterns)
        variables = variable_names.names_of(self)
        object.__setattr__(self, "_frozen", {id(variables[name]) for name in names})
        freezing.freeze_statistics(self, names)
        if not self.trainable_weights:
            raise ValueError(f"freeze: {list(patterns)} leaves nothing to train")
        return names

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """What an optimizer changes: Keras's, without those that are frozen."""
        return [v for v in super().trainable_weights if id(v) not in self._frozen]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """All other variables."""
        frozen = [v for v in super().trainable_weights if id(v) in self._frozen]
        return [*frozen, *super().non_trainable_weights]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the loss and its parts, and of the gradients' norm."""
        return [*self._loss_parts, self._gradient_norm]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Returns the running means after one update; see `keras.Model.train_step`."""
        clip, truth = _unpacked(data)
        steps = TrainingStep(self, self._guard, accumulate_steps=self._accumulate_steps)
        step = steps.of(clip, truth)
        self._note(step.losses)
        # Gradients that overflow float16 make no update.
        counts = tf.math.is_finite(step.gradient_norm)
        norm = tf.where(counts, step.gradient_norm, 0.0)
        self._gradient_norm.update_state(norm, tf.cast(counts, tf.float32))
        with tf.control_dependencies([step.finite]):
            pairs = zip(step.gradients, self.trainable_variables, strict=True)
            # Those of several replicas are summed already.
            summed = {"experimental_aggregate_gradients": False} if replicas.count() > 1 else {}
            self.optimizer.apply_gradients(pairs, **summed)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Returns the running means after one batch; see `keras.Model.test_step`."""
        return super().test_step(_unpacked(data))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: None = None,
    ) -> tf.Tensor:
        """Returns the loss of `compile` over the real frames, plus L2, and notes both."""
        sums = LossSums(*replicas.summed(self.loss.sums(y, y_pred, real=real_frames(x))))
        losses = with_l2(self, self.loss.normalized(sums))
        self._note(losses)
        return losses["loss"]

    def _note(self, losses: dict[str, tf.Tensor]) -> None:
        for metric in self._loss_parts:
            metric.update_state(losses[metric.name])

    def compute_metrics(
        self, x: Any, y: GroundTruth, y_pred: Output, sample_weight: None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the running means; the detections themselves are scored by `lstd.evaluate`."""
        return {metric.name: metric.result() for metric in self._loss_parts}


def _unpacked(data: Any) -> tuple[Any, Any]:
    """Returns clips and ground truth of an element of the dataset."""
    clip, truth, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError(
            "a dataset of (ClipBatch, GroundTruth) is expected, got one with sample weights, which "
            "a detection loss does not know: leave them out"
        )
    return packed(clip, ClipBatch), packed(truth, GroundTruth)
