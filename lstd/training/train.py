"""A training run: from a config to a folder with weights, curves and checkpoints."""

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import tensorflow as tf
import tf_keras as keras

from lstd.config.config import Config
from lstd.models.lstm_ssd import LSTMSSD
from lstd.tf1.load_config import load_config
from lstd.training import distribution, weights_file
from lstd.training import resume as resume_lib
from lstd.training.history import check_metric, read_history
from lstd.training.run import Run
from lstd.training.run_folder import RunFolder

_DRY_STEPS = 2


def train(
    config: Config,
    run_folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    dry_run: bool = False,
    dataset: Iterable[Any] | None = None,
    evaluations: Sequence[keras.callbacks.Callback] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    command: Sequence[str] = (),
    say: Callable[[str], None] = print,
    stream: TextIO | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> LSTMSSD:
    """Returns the trained model; everything else is in the run folder.

    Args:
        config: what to train, on what, for how long.
        run_folder: where to; see `lstd.training.run_folder` for what comes to lie there.
        resume: goes on from the folder's last checkpoint as if there had been no interruption:
            weights, optimizer, averages, carried LSTM state, random schedule, and the next batch of
            the data. With `train.deterministic` the numbers are the same to the last bit. Where
            `train.seed` or the settings of the training data have changed, the data starts anew.
        dry_run: two steps through everything that a run does, in a temporary folder.
        dataset: endless batches of `(ClipBatch, GroundTruth)`; None: what `config.data.train` says.
            A given one is taken from its beginning, also by a run that is resumed.
        evaluations: callbacks that measure. At the end of each epoch they see a stateless copy of
            the model with the weights that are saved (the averages, with
            `evaluation.use_moving_averages`), and what they add to the logs decides which epoch is
            the best: COCO's average precision if it is there, else the training loss.
        callbacks: others, for `fit`. An epoch that ends with broken weights ends before them.
        command: what the user called, for the record.
        say: is told what happens.
        stream: where the progress goes; None: standard error.
        strategy: of several devices or workers; None: what `config.train.distribution` names. With
            several workers, each calls this with the same arguments; the first one writes.

    Raises:
        ValueError: the folder holds a run and `resume` is False; there is nothing to resume, or
            the config does not fit it; data or initial weights cannot be used; another worker has
            gone.
        DivergedError: a loss or a gradient is not finite; a ValueError, too.
        OSError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C, when the step under way is done and a checkpoint saved.
    """
    folder = RunFolder(run_folder)
    config = check_folder(folder.path, config, resume=resume)
    if config.train.fine_tune.run and not resume:
        weights_file.file_of(config.train.fine_tune.run)  # misspelt, it shows before data is read
    if config.train.early_stopping is not None and not callbacks:
        check_metric(config.train.early_stopping.metric, is_evaluated=bool(evaluations))
    strategy = strategy or distribution.strategy_of(config.train.distribution)
    if not distribution.is_chief(strategy):
        say, stream = _say_nothing, io.StringIO()
    checkpoint = resume_lib.last_checkpoint(folder.checkpoints) if resume else None
    place, changes = resume_lib.place_after(checkpoint, config)
    if resume and checkpoint is None:
        say(f"{folder.path}: no checkpoint yet; starting from the beginning")
    if changes:
        say(f"the data starts anew, in another order: {'; '.join(changes)}")
    keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with contextlib.ExitStack() as stack:
        if dry_run:
            temporary = tempfile.TemporaryDirectory(prefix="lstd-dry-run-")
            folder = RunFolder(stack.enter_context(temporary))
        data: Any = dataset
        if dataset is None:
            dataset, config = _open_dataset(config, place, strategy, say)
            data = distribution.dealt(dataset, strategy)
        run = Run(
            config,
            folder,
            dataset=dataset,
            evaluations=evaluations,
            checkpoint=checkpoint,
            place=place,
            same_data=not changes,
            strategy=strategy,
            dry_steps=_DRY_STEPS if dry_run else 0,
            say=say,
        )
        if not dry_run:
            if run.is_over():
                return run.model
            say(_summary(config, run, strategy))
        if run.is_chief:
            folder.start(config, command=command, step=run.first_step)
        run.fit(data, callbacks=callbacks, stream=stream, say=_say_nothing if dry_run else say)
        if dry_run and run.is_chief:
            weights_file.load(run.keep.snapshot, folder.weights("best"))
            files = [path for path in folder.path.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files) / 1e6
            evaluated = f"{len(evaluations)} evaluation(s), " if evaluations else ""
            say(
                f"dry run: {_DRY_STEPS} steps, {evaluated}checkpoint, weights written and read back"
                f" ({len(files)} files, {size:.1f} MB in a temporary folder, now removed); all well"
            )
    return run.model


def check_folder(run_folder: str | os.PathLike[str], config: Config, *, resume: bool) -> Config:
    """Returns the config if a run of it can start, or go on, in the folder.

    A run that goes on has the anchors that it found in its data (`model.anchors.auto`).

    Raises:
        ValueError: its name is one under which TensorFlow finds no checkpoint; the folder holds a
            run and `resume` is False; the config of a new run contradicts itself; there is nothing
            to resume; the run that is there has another model or optimizer, or its record or
            history is damaged.
    """
    folder = RunFolder(run_folder)
    # TensorFlow reads the name of a checkpoint as a pattern, in which these two have a meaning.
    pattern = next((c for c in "[\\" if c != os.sep and c in str(folder.path)), None)
    if pattern:
        raise ValueError(
            f"{folder.path}: a run cannot be resumed from a folder with a {pattern} in its name: "
            "TensorFlow would not find its checkpoints; use another name"
        )
    if not resume:
        if folder.config.exists() or folder.checkpoints.exists():
            raise ValueError(
                f"{folder.path}: already holds a run; use --resume (resume=True) to go on with it, "
                "or another folder"
            )
        if config.model.int8 and config.train.quantization is None:
            raise ValueError(
                "model.int8 is true, but train.quantization null: in 8 bits, a run needs --set "
                "train.quantization={}, in float32 --set model.int8=false"
            )
        return config
    if not folder.config.exists():
        raise ValueError(
            f"{folder.path}: nothing to resume: there is no {folder.config.name}; start without "
            "--resume (resume=False)"
        )
    folder.read_record()  # what is damaged shows now, and not after the first epoch
    read_history(folder.history)
    known = load_config(folder.config)
    found = known.model.anchors
    if config.model.anchors.auto and found.num_layers == config.model.anchors.num_layers:
        model = dataclasses.replace(config.model, anchors=found)
        config = dataclasses.replace(config, model=model)
    resume_lib.refuse_other_model(known, config, where=str(folder.path))
    return config


def _summary(config: Config, run: Run, strategy: tf.distribute.Strategy) -> str:
    """Returns what is about to be trained, on what, for how long, and where it goes."""
    model, clips = config.model, config.data.train
    size = f"{model.input_height} x {model.input_width}, {run.model.count_params():,} parameters"
    classes = "1 class" if model.num_classes == 1 else f"{model.num_classes} classes"
    sources = ", ".join(clips.input_path) or "as given"
    frames = f"{clips.batch_size} clips of {clips.unroll_length} frames"
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return "\n".join(
        (
            f"model: {model.backbone}, {size}, {classes}",
            f"data: {sources}; {frames} in a batch, schedule {model.train_schedule}",
            f"steps {run.first_step + 1} to {run.last_step} on {strategy.num_replicas_in_sync} "
            f"{device}; results go to {run.folder.path}",
        )
    )


def _open_dataset(
    config: Config,
    place: resume_lib.DataPlace,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], None],
) -> tuple[tf.data.Dataset, Config]:
    """Returns this worker's training data from the batch on that is due, and the config.

    The data is looked over, and decides the anchors that the config leaves open.
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
    return split.dataset, data_check.check(split.videos, config, say=say)


def _say_nothing(message: str) -> None:
    """Leaves it to the first worker, or unsaid."""
