"""What one training step of a detector works out before its update: losses and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, GroundTruth, Output
from lstd.fit import accumulation, replicas, variable_names
from lstd.fit.divergence import FiniteGuard
from lstd.losses import LossSums


class Step(NamedTuple):
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


class TrainingStep:
    """Works out the steps of a compiled model."""

    def __init__(self, model: keras.Model, guard: FiniteGuard, *, accumulate_steps: int) -> None:
        """`guard` refuses what is not finite; `accumulate_steps` batches make one step."""
        self._model = model
        self._guard = guard
        self._count = accumulate_steps

    def of(self, clip: ClipBatch, truth: GroundTruth) -> Step:
        """Returns the step of a batch `[B, T, ...]`, of several `[accumulate_steps, B, T, ...]`.

        Where replicas train together, each gives its part, and all get the same.
        """
        if replicas.count() > 1:
            return self._of_replica(clip, truth)
        return (self._of_batch if self._count == 1 else self._of_batches)(clip, truth)

    def _of_batch(self, clip: ClipBatch, truth: GroundTruth) -> Step:
        """Returns what one batch gives."""
        with tf.GradientTape() as tape:
            output = self._model(clip, training=True)
            components = self._model.loss.components(truth, output, real=real_frames(clip))
            losses = with_l2(self._model, components)
            scaled = self._scaled(losses["loss"])
        gradients = self._unscaled(tape.gradient(scaled, self._model.trainable_variables))
        halves = self._half_squares(gradients)
        finite = self._finite(clip, truth, output, losses, halves)
        return Step(losses, gradients, _norm(halves), finite)

    def _of_batches(self, clips: ClipBatch, truths: GroundTruth) -> Step:
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
        return Step(losses, gradients, norm, finite=sums.matches)

    def _of_replica(self, clips: ClipBatch, truths: GroundTruth) -> Step:
        """Returns what the batches of all replicas give together, but for batch norm.

        One number is not finite on all replicas or on none, so all of them go on, or none.
        """
        output: Output | None = None
        if self._count == 1:
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
        return Step(losses, gradients, _norm(halves), finite)

    def _unnormalized(
        self, clip: ClipBatch, truth: GroundTruth
    ) -> tuple[Output, LossSums, list[tf.Tensor | None]]:
        """Returns output, sums of the loss, and their gradients, without L2, of one batch."""
        with tf.GradientTape() as tape:
            output = self._model(clip, training=True)
            sums = self._model.loss.sums(truth, output, real=real_frames(clip))
            scaled = self._scaled(sums.localization + sums.classification)
        return output, sums, self._unscaled(tape.gradient(scaled, self._model.trainable_variables))

    def _accumulated(
        self, of_batch: Callable[[Any], Any], clips: ClipBatch, truths: GroundTruth
    ) -> tuple[LossSums, list[tf.Tensor | None]]:
        """Returns the sums and gradients of several batches."""
        values, totals = accumulation.summed(
            of_batch,
            (clips, truths),
            count=self._count,
            num_sums=len(LossSums._fields),
            variables=self._model.trainable_variables,
        )
        return LossSums(*values), totals

    def _normalized(
        self, sums: LossSums, totals: Sequence[tf.Tensor | None]
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Returns the losses and their gradients, with L2, from sums over all clips of a step."""
        with tf.GradientTape() as tape:
            losses = with_l2(self._model, self._model.loss.normalized(sums))
        of_l2 = tape.gradient(losses["regularization"], self._model.trainable_variables)
        normalizer = self._model.loss.normalizer(sums)
        return losses, [
            l2 if total is None else total / normalizer + (0.0 if l2 is None else l2)
            for total, l2 in zip(totals, of_l2, strict=True)
        ]

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss as gradients are to be taken of it: float16 loses small ones."""
        return self._model.optimizer.get_scaled_loss(loss) if self._scales_loss else loss

    def _unscaled(self, gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
        return (
            self._model.optimizer.get_unscaled_gradients(gradients)
            if self._scales_loss
            else gradients
        )

    @property
    def _scales_loss(self) -> bool:
        """Whether Keras has wrapped the optimizer, as it does for float16."""
        return isinstance(self._model.optimizer, keras.mixed_precision.LossScaleOptimizer)

    def _half_squares(self, gradients: list[tf.Tensor | None]) -> dict[str, tf.Tensor]:
        """Returns half the square of each gradient's norm, by the name of its variable."""
        name_of = {id(v): name for name, v in variable_names.names_of(self._model).items()}
        return {
            name_of[id(variable)]: tf.nn.l2_loss(gradient)
            for gradient, variable in zip(gradients, self._model.trainable_variables, strict=True)
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
            can_fall = self._model.optimizer.loss_scale > 1.0
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
            step=self._model.optimizer.iterations + 1,
            own=[tensor for tensor in own if tensor is not None],
        )


def real_frames(clip: Any) -> tf.Tensor | None:
    """Returns bool `[B, T]`, False for padding, which no loss counts; None for bare frames."""
    return clip.frame_index >= 0 if isinstance(clip, ClipBatch) else None


def with_l2(model: keras.Model, components: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the parts of the loss, L2 last, then "loss", their sum."""
    l2 = tf.add_n(model.losses) if model.losses else tf.constant(0.0)
    parts = {**components, "regularization": l2}
    return {**parts, "loss": tf.add_n(list(parts.values()))}


def _norm(halves: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns the norm of all gradients together, from half the squares of each."""
    return tf.sqrt(2.0 * tf.add_n(list(halves.values())))
