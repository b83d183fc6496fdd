"""A training run: from a config to a folder with weights, curves and checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import tensorflow as tf
import tf_keras as keras

from lstd import config_io
from lstd.config import Config
from lstd.models.divergence import DivergedError
from lstd.models.lstm_ssd import LSTMSSD
from lstd.train_config import EarlyStoppingConfig
from lstd.training import distribution, weights_file
from lstd.training import resume as resume_lib
from lstd.training.averages import UpdateAverages
from lstd.training.distribution import StopTogether
from lstd.training.early_stopping import StopEarly, check_metric
from lstd.training.history import WriteHistory
from lstd.training.limits import RefuseBrokenWeights, StopAtStep
from lstd.training.progress import Progress
from lstd.training.run_folder import RunFolder
from lstd.training.run_parts import Run, assemble, dealt, open_dataset, start_of
from lstd.training.scalars import WriteScalars

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
    """
    folder = RunFolder(Path(run_folder))
    check_folder(folder.path, config, resume=resume)
    strategy = strategy or distribution.strategy_of(config.train.distribution)
    if not distribution.is_chief(strategy):
        say, stream = _say_nothing, io.StringIO()
    start = start_of(folder, config, resume=resume, say=say)
    keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with contextlib.ExitStack() as stack:
        if dry_run:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lstd-dry-run-")))
            folder = RunFolder(place)
        if dataset is None:
            dataset = open_dataset(config, start.place, strategy, say)
            data = dealt(dataset, strategy)
        else:
            data = dataset
        run = assemble(config, folder, dataset, evaluations, start, strategy, say)
        step, epoch = run.position()
        last_step = step + _DRY_STEPS if dry_run else config.train.steps
        stop = _early_stopping(config.train.early_stopping, run, bool(callbacks), say)
        if not dry_run and stop is not None and stop.is_over():
            return run.model
        if step >= last_step:
            say(f"{folder.path}: already has {step} of {last_step} steps; nothing to do")
            return run.model
        if run.is_chief:
            folder.start(config, command=command, step=step)
        steps_per_epoch = _DRY_STEPS if dry_run else config.train.steps_per_epoch
        _fit_or_say_what_is_kept(
            run,
            data,
            last_step=last_step,
            steps_per_epoch=steps_per_epoch,
            epochs=epoch + -(-(last_step - step) // steps_per_epoch),
            before=callbacks,
            after=[] if stop is None else [stop],
            progress=Progress(
                last_step=last_step,
                frames_per_step=config.train.accumulate_steps
                * config.data.train.batch_size
                * config.data.train.unroll_length,
                stream=stream,
            ),
        )
        if dry_run and run.is_chief:
            _report_dry_run(run, folder, say)
    return run.model


def check_folder(run_folder: str | os.PathLike[str], config: Config, *, resume: bool) -> None:
    """Raises unless a run of this config can start, or go on, in the folder.

    Raises:
        ValueError: the folder holds a run and `resume` is False; there is nothing to resume; the
            run that is there has another model or optimizer.
    """
    folder = RunFolder(Path(run_folder))
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
    before = config_io.load_config(folder.config)
    resume_lib.refuse_other_model(before, config, where=str(folder.path))


def _say_nothing(message: str) -> None:
    """Leaves it to the first worker."""


def _early_stopping(
    config: EarlyStoppingConfig | None, run: Run, own_callbacks: bool, say: Callable[[str], None]
) -> StopEarly | None:
    if config is None:
        return None
    check_metric(config.metric, num_evaluations=run.num_evaluations, own_callbacks=own_callbacks)
    return StopEarly(run.folder.history, **dataclasses.asdict(config), say=say)


def _fit_or_say_what_is_kept(run: Run, dataset: Iterable[Any], **options: Any) -> None:
    """Calls `_fit`; when training diverges, the error also says what is left of it."""
    try:
        _fit(run, dataset, **options)
    except DivergedError as error:
        raise DivergedError(f"{error}; {_what_is_kept(run)}") from None
    except distribution.GONE as error:
        number, workers = distribution.workers_of(run.strategy)
        if workers == 1:
            raise
        raise ValueError(
            f"worker {number} of {workers} cannot go on, another one has gone: "
            f"{str(error).splitlines()[0][:200]}; {_what_is_kept(run)}. Look at the messages of "
            "the others, then start all of them again with --resume (resume=True)"
        ) from None


def _what_is_kept(run: Run) -> str:
    kept = resume_lib.last_checkpoint(run.folder.checkpoints)
    return f"the last checkpoint is {kept}" if kept else "no checkpoint had been written"


def _fit(
    run: Run,
    dataset: Iterable[Any],
    *,
    last_step: int,
    steps_per_epoch: int,
    epochs: int,
    before: Sequence[keras.callbacks.Callback],
    after: Sequence[keras.callbacks.Callback],
    progress: Progress,
) -> None:
    """Calls `fit` with all callbacks, in the order in which they depend on each other."""
    step, epoch = run.position()
    averages = [] if run.averages is None else [UpdateAverages(run.averages)]
    writing = [WriteHistory(run.folder.history), WriteScalars(run.events), progress]
    together = [StopTogether()] if distribution.workers_of(run.strategy)[1] > 1 else []
    run.model.fit(
        dataset,
        initial_epoch=epoch,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        verbose=0,
        callbacks=[
            StopAtStep(last_step),
            RefuseBrokenWeights(run.averages.values if run.averages else ()),
            *averages,
            *before,
            run.keep,
            *(writing if run.is_chief else []),
            run.checkpoints,
            *(after if run.is_chief else []),
            *together,
        ],
    )
    done, _ = run.position()
    if done == step:
        raise ValueError("the training dataset gave no batch; check data.train")


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
