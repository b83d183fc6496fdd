"""The parts of a training run: its start, its data, its model, and what saves and measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.config.config import Config
from lstd.losses import DetectionLoss
from lstd.models.build import build_model
from lstd.models.lstm_ssd import LSTMSSD
from lstd.ops import anchors as anchor_ops
from lstd.training import distribution
from lstd.training import resume as resume_lib
from lstd.training.averages import Averages
from lstd.training.events import Events
from lstd.training.fine_tune import load_initial_weights
from lstd.training.keep_weights import KeepWeights
from lstd.training.optimizers import build_optimizer
from lstd.training.resume import Checkpoints, DataPlace
from lstd.training.run_folder import RunFolder
from lstd.training.samples import WriteSamples


class Run(NamedTuple):
    """The parts of a run.

    Attributes:
        model: compiled, with the weights that the run starts from.
        folder: of the run.
        checkpoints: the callback that saves what can be resumed.
        keep: the callback that saves and evaluates weights.
        averages: of the weights; None: the config asks for none.
        events: the curves.
        num_evaluations: that are made after each epoch.
        strategy: of the replicas.
        steps_in_epoch: done before in the epoch that it starts in.
    """

    model: LSTMSSD
    folder: RunFolder
    checkpoints: Checkpoints
    keep: KeepWeights
    averages: Averages | None
    events: Events
    num_evaluations: int
    strategy: tf.distribute.Strategy
    steps_in_epoch: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return distribution.is_chief(self.strategy)

    def position(self) -> tuple[int, int]:
        """Returns the steps and the epochs done so far."""
        return int(self.model.optimizer.iterations.numpy()), int(self.checkpoints.epoch.numpy())


class Start(NamedTuple):
    """Where a run starts from.

    Attributes:
        checkpoint: prefix, None at the very beginning.
        place: in the data.
        same_data: the data goes on where it was.
    """

    checkpoint: str | None
    place: DataPlace
    same_data: bool = True


def start_of(
    folder: RunFolder, config: Config, *, resume: bool, say: Callable[[str], None]
) -> Start:
    """Returns where a run in the folder starts from: its last checkpoint, if it is to resume.

    Args:
        folder: of the run.
        config: as it is now; where settings of the data have changed, the data starts anew.
        resume: False: at the very beginning.
        say: is told what happens.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    checkpoint = resume_lib.last_checkpoint(folder.checkpoints) if resume else None
    if checkpoint is None:
        if resume:
            say(f"{folder.path}: no checkpoint yet; starting from the beginning")
        return Start(None, resume_lib.first_place(config))
    place, changes = resume_lib.place_after(checkpoint, config)
    if changes:
        say(f"the data starts anew, in another order: {'; '.join(changes)}")
    return Start(checkpoint, place, not changes)


def open_dataset(
    config: Config,
    place: DataPlace,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], None],
) -> Iterable[Any]:
    """Returns this worker's training data, looked over, from the batch on that is due.

    Args:
        config: what to read, for which model.
        place: in the data, where the run goes on.
        strategy: says which worker this is.
        say: is told what was found.

    Raises:
        ValueError: the data cannot be read, or cannot train this model; says where and why.
    """
    # Here, because a given dataset needs no reader.
    from lstd.data.pipeline import open_split
    from lstd.training import data_check

    split = open_split(
        config.data,
        "train",
        seed=place.seed,
        num_classes=config.model.num_classes,
        labels=config.model.labels,
        skip_batches=place.batches,
        input_context=distribution.input_context(strategy),
    )
    data_check.check(
        split.videos,
        batch_size=config.data.train.batch_size,
        unroll_length=config.data.train.unroll_length,
        num_frames=config.train.check_frames,
        anchors=data_check.AnchorCheck(
            anchor_ops.from_config(config.model),
            config.model.matching.matched_threshold,
            config.train.min_anchor_share,
        ),
        say=say,
    )
    return split.dataset


def dealt(dataset: tf.data.Dataset, strategy: tf.distribute.Strategy) -> Any:
    """Returns a worker's batches in the form in which `fit` takes them.

    Args:
        dataset: endless, of this worker's share.
        strategy: of the replicas; with a single one the dataset is taken as it is.
    """
    if strategy.num_replicas_in_sync == 1:
        return dataset
    # They never end: said so, since otherwise all workers ask each other before each step.
    endless = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return keras.utils.experimental.DatasetCreator(lambda context: endless)


def assemble(
    config: Config,
    folder: RunFolder,
    dataset: Iterable[Any],
    evaluations: Sequence[keras.callbacks.Callback],
    start: Start,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], None],
) -> Run:
    """Returns model, optimizer and what saves them, with the weights that the run starts from.

    Args:
        config: of the run.
        folder: where what is saved goes.
        dataset: batches, some of which are drawn into TensorBoard where nothing is evaluated.
        evaluations: callbacks that measure the weights that are saved.
        start: the checkpoint to go on from; without one, `train.fine_tune` says the weights.
        strategy: of the replicas.
        say: is told what happens.

    Raises:
        ValueError: weights or checkpoint do not fit the config.
    """
    train_config = config.train
    is_chief = distribution.is_chief(strategy)
    with strategy.scope():
        model = _compiled(config, say)
        if start.checkpoint is None:
            load_initial_weights(model, train_config.fine_tune, say=say)
        decay = train_config.moving_average_decay
        averages = Averages(model.weights, decay=decay) if decay else None
    checkpoints = Checkpoints(
        folder.checkpoints,
        model,
        averages=averages,
        keep=train_config.keep_checkpoints,
        place=start.place,
        batches_per_step=train_config.accumulate_steps,
        state=model.training_state,
        writes=is_chief,
    )
    if start.checkpoint is not None:
        checkpoints.restore(start.checkpoint, same_data=start.same_data)
        resume_lib.apply_constant_rate(model.optimizer, train_config.learning_rate)
        step = int(model.optimizer.iterations.numpy())
        say(f"going on after step {step}, from {start.checkpoint}")
    events = Events(folder.tensorboard)
    samples = WriteSamples(
        _first_batches(evaluations, dataset),
        events,
        loss=model.loss,
        min_score=config.evaluation.min_score_threshold,
        step=lambda: int(model.optimizer.iterations.numpy()),
        say=say,
    )
    keep = KeepWeights(
        folder,
        build_model(config.model, precision="float32"),
        averages=averages,
        prefer_averages=config.evaluation.use_moving_averages,
        evaluations=[*evaluations, samples],
        writes=is_chief,
    )
    return Run(
        model,
        folder,
        checkpoints,
        keep,
        averages,
        events,
        len(evaluations),
        strategy,
        start.place.steps,
    )


def _compiled(config: Config, say: Callable[[str], None]) -> LSTMSSD:
    """Returns the model, ready for `fit`."""
    model = build_model(
        config.model,
        stateful=config.train.carry_state,
        batch_size=config.data.train.batch_size,
        precision=config.train.precision,
    )
    frozen = model.freeze(config.train.freeze)
    if frozen:
        say(f"frozen: {len(frozen)} of {len(model.weights)} variables")
    model.compile(
        optimizer=build_optimizer(config.train),
        loss=DetectionLoss.from_config(config.model),
        accumulate_steps=config.train.accumulate_steps,
        gradient_checkpointing=config.train.gradient_checkpointing,
    )
    return model


def _first_batches(
    evaluations: Sequence[keras.callbacks.Callback], dataset: Iterable[Any]
) -> Iterable[Any]:
    """Returns the data that is evaluated, else that of training; none if it is read only once."""
    evaluated = next((each.dataset for each in evaluations if hasattr(each, "dataset")), dataset)
    return evaluated if iter(evaluated) is not evaluated else ()
