"""What one training step of a detector works out before its update: losses and gradients."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, GroundTruth
from lstd.config import schedule_names
from lstd.fit import replicas
from lstd.losses import LossSums

Gradients = list["tf.Tensor | None"]


class Step(NamedTuple):
    """What a training step has before its update.

    Attributes:
        losses: "localization", "classification", "regularization", and "loss", their sum.
        gradients: of the trainable variables, in their order; None where there is none.
        own: where several replicas train together, what this one has added to both.
    """

    losses: dict[str, tf.Tensor]
    gradients: Gradients
    own: list[tf.Tensor]


def of(model: keras.Model, clip: ClipBatch, truth: GroundTruth, *, accumulate_steps: int) -> Step:
    """Returns the step of a batch `[B, T, ...]`, of several `[accumulate_steps, B, T, ...]`.

    Where replicas train together, each gives its part, and all get the same. Several batches are as
    if they were one, but for batch norm.
    """
    if accumulate_steps > 1 or replicas.count() > 1:
        return _of_sums(model, clip, truth, count=accumulate_steps)
    with tf.GradientTape() as tape:
        output = model(clip, training=True)
        losses = with_l2(model, model.loss.components(truth, output, real=real_frames(clip)))
        scaled = _scaled(model, losses["loss"])
    return Step(losses, _unscaled(model, tape.gradient(scaled, model.trainable_variables)), [])


def _of_sums(model: keras.Model, clips: ClipBatch, truths: GroundTruth, *, count: int) -> Step:
    """Returns the step of sums that are divided, and get their L2, when all are known."""
    variables = model.trainable_variables

    def of_batch(batch: Any) -> tuple[LossSums, Gradients]:
        clip, truth = batch
        with tf.GradientTape() as tape:
            sums = model.loss.sums(truth, model(clip, training=True), real=real_frames(clip))
            scaled = _scaled(model, sums.localization + sums.classification)
        return sums, _unscaled(model, tape.gradient(scaled, variables))

    batches = (clips, truths)
    own_sums, own = of_batch(batches) if count == 1 else _added(of_batch, batches, count, variables)
    together = replicas.summed([*own_sums, *own])
    sums = LossSums(*together[: len(own_sums)])
    with tf.GradientTape() as tape:
        losses = with_l2(model, model.loss.normalized(sums))
    of_l2 = tape.gradient(losses["regularization"], variables)
    normalizer = model.loss.normalizer(sums)
    gradients = [
        l2 if total is None else total / normalizer + (0.0 if l2 is None else l2)
        for total, l2 in zip(together[len(own_sums) :], of_l2, strict=True)
    ]
    mine = [tensor for tensor in (*own_sums, *own) if tensor is not None]
    return Step(losses, gradients, mine if replicas.count() > 1 else [])


def _added(
    of_batch: Callable[[Any], tuple[LossSums, Gradients]],
    batches: Any,
    count: int,
    variables: Sequence[tf.Variable],
) -> tuple[LossSums, Gradients]:
    """Returns the sums and float32 gradients of several batches, one after the other.

    None stands for a variable that no batch leads to.
    """
    has_gradient = [False] * len(variables)

    def add(number: tf.Tensor, sums: list[tf.Tensor], totals: list[tf.Tensor]) -> Any:
        batch = tf.nest.map_structure(lambda part: None if part is None else part[number], batches)
        values, gradients = of_batch(batch)
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                has_gradient[index] = True
                totals[index] += tf.cast(gradient, tf.float32)
        return number + 1, [a + b for a, b in zip(sums, values, strict=True)], totals

    zeros = [tf.zeros(variable.shape) for variable in variables]
    _, sums, totals = tf.while_loop(
        lambda number, *_: number < count,
        add,
        (tf.constant(0), [tf.constant(0.0)] * len(LossSums._fields), zeros),
        parallel_iterations=1,
        maximum_iterations=count,
    )
    known = zip(totals, has_gradient, strict=True)
    return LossSums(*sums), [total if has else None for total, has in known]


def idle_network(model: keras.Model) -> str:
    """Returns the network that the schedule of training never runs; "" where there is none."""
    if len(model.networks) == 1 or model.config.train_backbone_frames == "all":
        return ""
    running = schedule_names.networks_of(model.train_schedule)
    return next((network for network in model.networks if network not in running), "")


def idle_variables(model: keras.Model) -> set[int]:
    """Returns the ids of the variables that no loss leads to, since their network never runs.

    L2 alone would have the kernels dwindle, under Adam to nothing.
    """
    idle = idle_network(model)
    names = (idle, f"{idle}_bottleneck", f"{idle}_fine")
    parts = [getattr(model, name, None) for name in names] if idle else []
    return {id(variable) for part in parts if part is not None for variable in part.weights}


def scales_loss(model: keras.Model) -> bool:
    """Returns whether Keras has wrapped the optimizer, as it does for float16."""
    return isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)


def _scaled(model: keras.Model, loss: tf.Tensor) -> tf.Tensor:
    """Returns the loss as gradients are to be taken of it: float16 loses small ones."""
    return model.optimizer.get_scaled_loss(loss) if scales_loss(model) else loss


def _unscaled(model: keras.Model, gradients: Gradients) -> Gradients:
    return model.optimizer.get_unscaled_gradients(gradients) if scales_loss(model) else gradients


def real_frames(clip: Any) -> tf.Tensor | None:
    """Returns bool `[B, T]`, False for padding, which no loss counts; None for bare frames."""
    return clip.frame_index >= 0 if isinstance(clip, ClipBatch) else None


def with_l2(model: keras.Model, components: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the parts of the loss, L2 last, then "loss", their sum."""
    l2 = tf.add_n(model.losses) if model.losses else tf.constant(0.0)
    parts = {**components, "regularization": l2}
    return {**parts, "loss": tf.add_n(list(parts.values()))}
