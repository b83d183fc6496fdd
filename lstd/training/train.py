"""A training run: from a config to a folder with weights, curves and checkpoints."""

from __future__ import annotations

import contextlib
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
from lstd.training.best_epoch import check_metric
from lstd.training.history import read_history
from lstd.training.run import Run
from lstd.training.run_folder import RunFolder
from lstd.training.start import open_dataset, start_of

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
        callbacks: others, for `fit`.
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
    check_folder(folder.path, config, resume=resume)
    if config.train.early_stopping is not None:
        check_metric(
            config.train.early_stopping.metric,
            num_evaluations=len(evaluations),
            own_callbacks=bool(callbacks),
        )
    strategy = strategy or distribution.strategy_of(config.train.distribution)
    if not distribution.is_chief(strategy):
        say, stream = _say_nothing, io.StringIO()
    start = start_of(folder, config, resume=resume, say=say)
    keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with contextlib.ExitStack() as stack:
        if dry_run:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="lstd-dry-run-"))
            folder = RunFolder(place)
        if dataset is None:
            dataset = open_dataset(config, start.place, strategy, say)
            data = distribution.dealt(dataset, strategy)
        else:
            data = dataset
        run = Run(
            config,
            folder,
            dataset=dataset,
            evaluations=evaluations,
            start=start,
            strategy=strategy,
            dry_steps=_DRY_STEPS if dry_run else 0,
            say=say,
        )
        if not dry_run and run.is_over():
            return run.model
        if run.is_chief:
            folder.start(config, command=command, step=run.step)
        run.fit(data, callbacks=callbacks, stream=stream, say=_say_nothing if dry_run else say)
        if dry_run and run.is_chief:
            _report_dry_run(run, folder, say)
    return run.model


def check_folder(run_folder: str | os.PathLike[str], config: Config, *, resume: bool) -> None:
    """Raises unless a run of this config can start, or go on, in the folder.

    Raises:
        ValueError: its name is one under which TensorFlow finds no checkpoint; the folder holds a
            run and `resume` is False; there is nothing to resume; the run that is there has another
            model or optimizer, or its record or history is damaged.
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
        if folder.holds_run():
            raise ValueError(
                f"{folder.path}: already holds a run; use --resume (resume=True) to go on with it, "
                "or another folder"
            )
        return
    if not folder.config.exists():
        raise ValueError(
            f"{folder.path}: nothing to resume: there is no {folder.config.name}; start without "
            "--resume (resume=False)"
        )
    folder.read_record()  # what is damaged shows now, and not after the first epoch
    read_history(folder.history)
    resume_lib.refuse_other_model(load_config(folder.config), config, where=str(folder.path))


def _say_nothing(message: str) -> None:
    """Leaves it to the first worker, or unsaid."""


def _report_dry_run(run: Run, folder: RunFolder, say: Callable[[str], None]) -> None:
    """Reads the weights back, and says what has been tried."""
    weights_file.load(run.keep.snapshot, folder.weights("best"))
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    evaluated = f"{run.num_evaluations} evaluation(s), " if run.num_evaluations else ""
    say(
        f"dry run: {_DRY_STEPS} steps, {evaluated}checkpoint, weights written and read back "
        f"({len(files)} files, {size:.1f} MB in a temporary folder, now removed); all well"
    )
