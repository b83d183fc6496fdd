"""How a detector fits into the stock Keras `fit`."""

import contextlib
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import GroundTruth, Output
from lstd.fit import batches, first_batches, refusals, replicas, training_step, variables
from lstd.fit.divergence import DivergedError, FiniteGuard
from lstd.fit.first_batches import FirstBatches
from lstd.losses import LossSums

_LIBRARY = Path(__file__).parent.parent
_PARTS = ("loss", "localization", "classification", "regularization")


class _Fitting:
    """What a model keeps for its training."""

    def __init__(self) -> None:
        self.frozen: set[int] = set()
        self.freeze_patterns: tuple[str, ...] = ()
        self.accumulate_steps = 1
        self.gradient_checkpointing = False
        self.parts = [keras.metrics.Mean(name=name) for name in _PARTS]
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")
        self.guard = FiniteGuard()


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
        # Not through Keras's own __setattr__: running means are no weights of the model.
        object.__setattr__(self, "_fitting", _Fitting())
        super().__init__(**kwargs)
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
            ValueError: an object of Keras 3, another loss, or one of another model; metrics or
                weights of losses.
        """
        for what, given in (("optimizer", optimizer), ("loss", loss), ("metrics", metrics)):
            refusals.refuse_keras_3(what, given)
        if loss is not None:
            self._check_loss(loss)
        if kwargs.get("loss_weights"):
            raise ValueError(
                f"loss_weights must be left out, got {kwargs['loss_weights']!r}: a "
                "lstd.DetectionLoss has classification_weight and localization_weight"
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
        self._fitting.accumulate_steps = accumulate_steps
        self._fitting.gradient_checkpointing = gradient_checkpointing
        for module in self.submodules:
            if hasattr(module, "recomputes_activations"):
                module.recomputes_activations = gradient_checkpointing
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        if hasattr(self.optimizer, "build"):
            # With the slots made here and not in the first step, that step is traced only once.
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def _check_loss(self, loss: Any) -> None:
        """Raises unless it is a loss of the same anchors, classes and box coder."""
        cure = "lstd.DetectionLoss.from_config(config.model)"
        if not hasattr(loss, "components"):
            raise ValueError(f"loss must be a lstd.DetectionLoss, got {loss!r}: {cure}")
        cure += ", of the config that made the model"
        for name in ("num_classes", "box_scale_factors"):
            ours = getattr(self, name)
            theirs = getattr(loss, name.removeprefix("box_"), ours)  # of a user's own there is none
            if not np.array_equal(ours, theirs):
                raise ValueError(f"the loss has {name} {theirs}, the model {ours}: {cure}")
        anchors = np.asarray(getattr(loss, "anchors", self.anchors))
        if anchors.shape != self.anchors.shape:
            counts = f"{len(anchors)} anchors, the model {len(self.anchors)}"
            raise ValueError(f"the loss has {counts}: {cure}")
        apart = np.abs(anchors - self.anchors).max(axis=-1)
        if apart.max() > 1e-5:
            row = int(apart.argmax())
            raise ValueError(
                f"the loss has other anchors than the model, such as {anchors[row]} in the place "
                f"of {self.anchors[row]}: {cure}"
            )

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains, as `keras.Model.fit` does.

        The first batches are looked at before a step is made with them, see `FirstBatches`.

        Raises:
            ValueError: a callback of Keras 3, or one that would do nothing, or would end the run at
                its first epoch; a model compiled without a loss; a dataset of something else than
                clips and ground truth, or whose frames or boxes are meant in another way.
            DivergedError: the loss or a gradient was not finite; says in which step, and with
                which clips.
        """
        arguments = self._arguments("fit", args, kwargs)
        if arguments.get("class_weight"):
            raise ValueError(
                "class_weight is for labels of whole pictures, and a detection loss has none: "
                "leave it out; against rare objects model.loss: {classification: focal} helps"
            )
        refusals.refuse_callbacks(arguments.get("callbacks"), self.optimizer)
        looks, strategy = [self._look(arguments), self._look({})], self.distribute_strategy
        steps = self._fitting.accumulate_steps
        arguments["x"] = batches.for_training(
            arguments.get("x"), strategy, accumulate_steps=steps, look=looks[0]
        )
        arguments["validation_data"], arguments["validation_steps"] = batches.for_evaluation(
            arguments.get("validation_data"),
            strategy,
            steps=arguments.get("validation_steps"),
            look=looks[1],
        )
        self._fitting.guard.reset()
        self._eval_data_handler = None  # Keras would go on with that of a fit that has failed.
        with self._explained(*looks):
            return super().fit(**arguments)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss and its parts, as `keras.Model.evaluate` does.

        Several workers have to be told `steps` where the dataset does not know how many it has;
        the same holds for `validation_steps` of `fit`.

        Raises:
            ValueError: a model compiled without a loss, or a dataset with sample weights.
        """
        arguments = self._arguments("evaluate", args, kwargs)
        more = arguments.pop("kwargs", {})
        ours = more.get("_use_cached_eval_dataset")  # fit calls, which looks itself
        look = self._look({} if ours else arguments)
        if not ours:
            arguments["x"], arguments["steps"] = batches.for_evaluation(
                arguments.get("x"),
                self.distribute_strategy,
                steps=arguments.get("steps"),
                look=look,
            )
        with self._explained(look):
            return super().evaluate(**arguments, **more)

    def _arguments(self, method: str, args: Any, kwargs: Any) -> dict[str, Any]:
        """Returns the arguments of a method of Keras by name, where there is a loss for it."""
        if self._is_compiled and not self.loss:  # Keras makes {} of none
            raise ValueError(
                f"{method} needs a loss, and the model was compiled without one: "
                "model.compile(optimizer, loss=lstd.DetectionLoss.from_config(config.model))"
            )
        bound = inspect.signature(getattr(keras.Model, method)).bind(self, *args, **kwargs)
        return {name: value for name, value in bound.arguments.items() if name != "self"}

    def _look(self, arguments: dict[str, Any]) -> FirstBatches:
        """Returns what looks at the data, and has looked at arrays x and y."""
        carries = getattr(self, "carried_batch_size", None) is not None
        look = FirstBatches(num_classes=self.num_classes, stateful=carries)
        if arguments.get("y") is not None:
            look.watch((arguments.get("x"), arguments["y"]))
        return look

    @contextlib.contextmanager
    def _explained(self, *looks: FirstBatches) -> Iterator[None]:
        """Raises what the data or a step was found to be like, in place of TensorFlow's errors."""
        try:
            yield
        except Exception as error:
            for look in looks:
                if look.error is not None:
                    raise look.error from None
            # Replicas that are told to stop say that they were cancelled.
            if isinstance(error, tf.errors.OpError) and self._fitting.guard.finding:
                raise DivergedError(self._fitting.guard.finding) from None
            told = batches.uneven(error) or _ours(error)
            if told:
                raise ValueError(told) from None
            raise

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns what `compile_from_config` needs, ready for JSON; None of an uncompiled model."""
        config = super().get_compile_config()
        return config and {
            **config,
            "accumulate_steps": self._fitting.accumulate_steps,
            "gradient_checkpointing": self._fitting.gradient_checkpointing,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as the one was from which `get_compile_config` came."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the whole model, as `keras.Model.save` does, in the form `.keras`.

        What a stateful model carries is not saved.

        Raises:
            ValueError: another form.
        """
        refusals.refuse_form(filepath, "save")
        super().save(filepath, *args, **kwargs)

    def export(self, filepath: Any) -> None:
        """Refers to `lstd.export_saved_model`, whose files hand the LSTM state in and out.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"export: {filepath}: lstd.export_saved_model(model, {str(filepath)!r}) writes what "
            "can be served, with the LSTM state as input and output"
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
        frozen = variables.matching(self, patterns)
        self._fitting.frozen = set(map(id, frozen.values()))
        self._fitting.freeze_patterns = tuple(patterns)
        variables.freeze_statistics(self, self._fitting.frozen)
        if not self.trainable_weights:
            raise ValueError(f"freeze: {list(patterns)} leaves nothing to train")
        return tuple(frozen)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """What an optimizer changes: Keras's, without those that are frozen."""
        return [v for v in super().trainable_weights if id(v) not in self._fitting.frozen]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """All other variables."""
        frozen = [v for v in super().trainable_weights if id(v) in self._fitting.frozen]
        return [*frozen, *super().non_trainable_weights]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the loss and its parts, and of the gradients' norm."""
        return [*self._fitting.parts, self._fitting.gradient_norm]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Returns the running means after one update; see `keras.Model.train_step`.

        Raises:
            ValueError: all variables are frozen or of a network that the schedule never runs.
        """
        clip, truth = first_batches.unpacked(data)
        step = training_step.of(self, clip, truth, accumulate_steps=self._fitting.accumulate_steps)
        self._note(step.losses)
        idle = training_step.idle_variables(self)
        both = zip(step.gradients, self.trainable_variables, strict=True)
        pairs = [(gradient, variable) for gradient, variable in both if id(variable) not in idle]
        if not pairs:
            raise ValueError(
                f"nothing is left to train: {self.train_schedule} never runs the "
                f"{training_step.idle_network(self)} network, and all else is frozen"
            )
        # Gradients that overflow float16 make no update.
        norm = tf.linalg.global_norm([gradient for gradient, _ in pairs])
        counts = tf.math.is_finite(norm)
        known = tf.where(counts, norm, 0.0)
        self._fitting.gradient_norm.update_state(known, tf.cast(counts, tf.float32))
        if training_step.scales_loss(self):  # They only lower its scale, while that is possible.
            norm = tf.where(self.optimizer.loss_scale > 1.0, known, norm)
        finite = self._fitting.guard.check(
            {**step.losses, "gradient norm": norm},
            clip=clip,
            step=self.optimizer.iterations + 1,
            own=step.own,
        )
        with tf.control_dependencies([finite]):
            # Those of several replicas are summed already.
            summed = {"experimental_aggregate_gradients": False} if replicas.count() > 1 else {}
            self.optimizer.apply_gradients(pairs, **summed)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Returns the running means after one batch; see `keras.Model.test_step`."""
        return super().test_step(first_batches.unpacked(data))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: None = None
    ) -> tf.Tensor:
        """Returns the loss of `compile` over the real frames, plus L2, and notes both."""
        own = self.loss.sums(y, y_pred, real=training_step.real_frames(x))
        sums = LossSums(*replicas.summed(own))
        losses = training_step.with_l2(self, self.loss.normalized(sums))
        self._note(losses)
        return losses["loss"]

    def _note(self, losses: dict[str, tf.Tensor]) -> None:
        for metric in self._fitting.parts:
            metric.update_state(losses[metric.name])

    def compute_metrics(
        self, x: Any, y: GroundTruth, y_pred: Output, sample_weight: None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the running means; the detections themselves are scored by `lstd.evaluate`."""
        return {metric.name: metric.result() for metric in self._fitting.parts}


def _ours(error: Exception) -> str:
    """Returns a ValueError of lstd without what AutoGraph and Keras's layers put around it."""
    metadata = getattr(error, "ag_error_metadata", None)
    if metadata is None or not isinstance(error, ValueError):
        return ""
    if not metadata.translated_stack[0].filename.startswith(str(_LIBRARY)):
        return ""
    text = metadata.cause_message.removeprefix("ValueError: ")
    in_layer = re.match(r"Exception encountered .*?\n\n(.*)\n\nCall arguments", text, re.DOTALL)
    return in_layer.group(1) if in_layer else text
