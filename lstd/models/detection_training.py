"""How a detector fits into the stock Keras `fit`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.losses import LossSums
from lstd.models import accumulation, freezing, keras_3, replicas, variable_names
from lstd.models.divergence import DivergedError, FiniteGuard
from lstd.types import ClipBatch, GroundTruth, Output

_PARTS = ("loss", "localization", "classification", "regularization")


class _Step(NamedTuple):
    """What a training step has before its update.

    Attributes:
        losses: "localization", "classification", "regularization", and "loss", their sum.
        gradients: of the trainable variables, in their order; None where there is none.
        gradient_norm: of all of them together.
        finite: what the update waits for; it fails unless all numbers are finite.
    """

    losses: dict[str, tf.Tensor]
    gradients: list[tf.Tensor | None]
    gradient_norm: tf.Tensor
    finite: tf.Tensor


class DetectionTraining(keras.Model):
    """A model that learns from `(ClipBatch, GroundTruth)` with a `lstd.DetectionLoss`.

    Ground truth and output differ in structure, which Keras's own losses and metrics do not expect;
    so both are replaced here. The metrics are the running means of the loss and its parts, and in
    training of the norm of all gradients together, before they are clipped.

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
            ValueError: a callback of Keras 3.
            DivergedError: the loss or a gradient was not finite; says in which step, with which
                clips, and what broke first.
        """
        arguments = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        keras_3.refuse("callbacks", arguments.get("callbacks"))
        arguments["x"] = self._for_replicas(arguments.get("x"), self._accumulate_steps)
        validation = self._for_workers(
            arguments.get("validation_data"), arguments.get("validation_steps")
        )
        arguments["validation_data"], arguments["validation_steps"] = validation
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
        """
        arguments = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        more = arguments.pop("kwargs", {})
        read = self._for_workers(arguments.get("x"), arguments.get("steps"))
        arguments["x"], arguments["steps"] = read
        return super().evaluate(**{k: v for k, v in arguments.items() if k != "self"}, **more)

    def _for_workers(self, data: Any, steps: int | None) -> tuple[Any, int | None]:
        """Returns what is evaluated, and how much of it; several workers each read their rows."""
        several = isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if not several or not isinstance(data, tf.data.Dataset):
            return data, steps
        count = int(data.cardinality())
        return self._for_replicas(data), count if steps is None and count > 0 else steps

    def _for_replicas(self, data: Any, count: int = 1) -> Any:
        """Returns what is read: `count` batches as one element, dealt to the replicas."""

        def prepare(dataset: tf.data.Dataset) -> tf.data.Dataset:
            return accumulation.stacked(dataset, count) if count > 1 else dataset

        if self.distribute_strategy.num_replicas_in_sync == 1:
            return prepare(data)
        return replicas.distributed(
            data, self.distribute_strategy, prepare=prepare, axis=int(count > 1)
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
        clip, truth, _ = keras.utils.unpack_x_y_sample_weight(data)
        clip, truth = replicas.packed(clip, ClipBatch), replicas.packed(truth, GroundTruth)
        several = replicas.count() > 1
        take = self._take_batch if self._accumulate_steps == 1 else self._take_batches
        step = (self._take_part if several else take)(clip, truth)
        self._note(step.losses)
        # Gradients that overflow float16 make no update.
        counts = tf.math.is_finite(step.gradient_norm)
        norm = tf.where(counts, step.gradient_norm, 0.0)
        self._gradient_norm.update_state(norm, tf.cast(counts, tf.float32))
        with tf.control_dependencies([step.finite]):
            pairs = zip(step.gradients, self.trainable_variables, strict=True)
            # Those of several replicas are summed already.
            summed = {"experimental_aggregate_gradients": False} if several else {}
            self.optimizer.apply_gradients(pairs, **summed)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Returns the running means after one batch; see `keras.Model.test_step`."""
        clip, truth, _ = keras.utils.unpack_x_y_sample_weight(data)
        parts = replicas.packed(clip, ClipBatch), replicas.packed(truth, GroundTruth)
        return super().test_step(parts)

    def _take_batch(self, clip: ClipBatch, truth: GroundTruth) -> _Step:
        """Returns what one batch gives."""
        with tf.GradientTape() as tape:
            output = self(clip, training=True)
            losses = self._losses_with_l2(self.loss.components(truth, output))
            scaled = self._scaled(losses["loss"])
        gradients = self._unscaled(tape.gradient(scaled, self.trainable_variables))
        halves = self._half_squares(gradients)
        finite = self._finite(clip, truth, output, losses, halves)
        return _Step(losses, gradients, _norm(halves), finite)

    def _take_batches(self, clips: ClipBatch, truths: GroundTruth) -> _Step:
        """Returns what several batches give as if they were one, but for batch norm."""

        def of_batch(batch: Any) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
            clip, truth = batch
            output, sums, gradients = self._unnormalized(clip, truth)
            losses = {"localization": sums.localization, "classification": sums.classification}
            halves = self._half_squares(gradients)
            with tf.control_dependencies([self._finite(clip, truth, output, losses, halves)]):
                return [tf.identity(value) for value in sums], gradients

        sums, totals = self._accumulated(of_batch, clips, truths)
        losses, gradients = self._normalized(sums, totals)
        norm = _norm(self._half_squares(gradients))
        return _Step(losses, gradients, norm, finite=sums.matches)

    def _take_part(self, clips: ClipBatch, truths: GroundTruth) -> _Step:
        """Returns what the batches of all replicas give together, but for batch norm.

        One number is not finite on all replicas or on none, so all of them go on, or none.
        """
        output: Output | None = None
        if self._accumulate_steps == 1:
            output, own_sums, own_gradients = self._unnormalized(clips, truths)
        else:

            def of_batch(batch: Any) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
                _, sums, gradients = self._unnormalized(*batch)
                return list(sums), gradients

            own_sums, own_gradients = self._accumulated(of_batch, clips, truths)
        together = replicas.summed([*own_sums, *own_gradients])
        sums = LossSums(*together[: len(own_sums)])
        losses, gradients = self._normalized(sums, together[len(own_sums) :])
        halves = self._half_squares(gradients)
        finite = self._finite(
            clips, truths, output, losses, halves, own=[*own_sums, *own_gradients]
        )
        return _Step(losses, gradients, _norm(halves), finite)

    def _unnormalized(
        self, clip: ClipBatch, truth: GroundTruth
    ) -> tuple[Output, LossSums, list[tf.Tensor | None]]:
        """Returns output, sums of the loss, and their gradients, without L2, of one batch."""
        with tf.GradientTape() as tape:
            output = self(clip, training=True)
            sums = self.loss.sums(truth, output)
            scaled = self._scaled(sums.localization + sums.classification)
        return output, sums, self._unscaled(tape.gradient(scaled, self.trainable_variables))

    def _accumulated(
        self, of_batch: Callable[[Any], Any], clips: ClipBatch, truths: GroundTruth
    ) -> tuple[LossSums, list[tf.Tensor | None]]:
        """Returns the sums and gradients of several batches."""
        values, totals = accumulation.summed(
            of_batch,
            (clips, truths),
            count=self._accumulate_steps,
            num_sums=len(LossSums._fields),
            variables=self.trainable_variables,
        )
        return LossSums(*values), totals

    def _normalized(
        self, sums: LossSums, totals: Sequence[tf.Tensor | None]
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Returns the losses and their gradients, with L2, from sums over all clips of a step."""
        with tf.GradientTape() as tape:
            losses = self._losses_with_l2(self.loss.normalized(sums))
        of_l2 = tape.gradient(losses["regularization"], self.trainable_variables)
        normalizer = self.loss.normalizer(sums)
        return losses, [
            l2 if total is None else total / normalizer + (0.0 if l2 is None else l2)
            for total, l2 in zip(totals, of_l2, strict=True)
        ]

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss as gradients are to be taken of it: float16 loses small ones."""
        return self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss

    def _unscaled(self, gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
        return self.optimizer.get_unscaled_gradients(gradients) if self._scales_loss else gradients

    @property
    def _scales_loss(self) -> bool:
        """Whether Keras has wrapped the optimizer, as it does for float16."""
        return isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)

    def _half_squares(self, gradients: list[tf.Tensor | None]) -> dict[str, tf.Tensor]:
        """Returns half the square of each gradient's norm, by the name of its variable."""
        name_of = {id(v): name for name, v in variable_names.names_of(self).items()}
        return {
            name_of[id(variable)]: tf.nn.l2_loss(gradient)
            for gradient, variable in zip(gradients, self.trainable_variables, strict=True)
            if gradient is not None
        }

    def _finite(
        self,
        clip: ClipBatch,
        truth: GroundTruth,
        output: Output | None,
        losses: dict[str, tf.Tensor],
        halves: dict[str, tf.Tensor],
        own: Sequence[tf.Tensor | None] = (),
    ) -> tf.Tensor:
        """Returns what the update waits for: all numbers of the batch are finite.

        `losses` and `halves` may be those of several replicas together, `own` this one's part.
        """
        if self._scales_loss:  # An overflow only lowers the scale, as long as that is possible.
            can_fall = self.optimizer.loss_scale > 1.0
            halves = {name: tf.where(can_fall, 0.0, half) for name, half in halves.items()}
        tensors = {
            "frames": clip.frames if isinstance(clip, ClipBatch) else clip,
            "true boxes": truth.boxes,
        }
        if output is not None:
            tensors |= {
                "numbers in the LSTM state (of a backbone or the memory)": output.state.h,
                "box encodings": output.predictions.box_encodings,
                "class logits": output.predictions.class_logits,
            }
        return self._guard.check(
            losses,
            halves,
            tensors=tensors,
            clip=clip,
            step=self.optimizer.iterations + 1,
            own=[tensor for tensor in own if tensor is not None],
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: None = None,
    ) -> tf.Tensor:
        """Returns the loss of `compile` plus L2, and notes both in the metrics."""
        sums = LossSums(*replicas.summed(self.loss.sums(y, y_pred)))
        losses = self._losses_with_l2(self.loss.normalized(sums))
        self._note(losses)
        return losses["loss"]

    def _losses_with_l2(self, components: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the parts of the loss, L2 last, then "loss", their sum."""
        l2 = tf.add_n(self.losses) if self.losses else tf.constant(0.0)
        parts = {**components, "regularization": l2}
        return {**parts, "loss": tf.add_n(list(parts.values()))}

    def _note(self, losses: dict[str, tf.Tensor]) -> None:
        for metric in self._loss_parts:
            metric.update_state(losses[metric.name])

    def compute_metrics(
        self, x: Any, y: GroundTruth, y_pred: Output, sample_weight: None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the running means; the detections themselves are scored by `lstd.evaluate`."""
        return {metric.name: metric.result() for metric in self._loss_parts}


def _norm(halves: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns the norm of all gradients together, from half the squares of each."""
    return tf.sqrt(2.0 * tf.add_n(list(halves.values())))
