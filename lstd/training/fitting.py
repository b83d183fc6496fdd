"""The call of `fit` for a run: how long, with which callbacks, and what is said when it fails."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tf_keras as keras

from lstd.base.interrupts import interrupts
from lstd.config.train_config import TrainConfig
from lstd.fit.divergence import DivergedError
from lstd.training import distribution
from lstd.training import resume as resume_lib
from lstd.training.averages import UpdateAverages
from lstd.training.distribution import StopTogether
from lstd.training.early_stopping import StopEarly
from lstd.training.history import WriteHistory
from lstd.training.progress import Progress
from lstd.training.run_end import RefuseBrokenWeights, StopAtStep, StopWhenAsked
from lstd.training.run_parts import Run
from lstd.training.scalars import WriteScalars

_ASKED = "stopping after this step, or what is measured after it; Ctrl-C again stops at once"
_NO_BATCH = "Unexpected result of `train_function`"  # What Keras says of an empty dataset.


class Length(NamedTuple):
    """How far a run goes.

    Attributes:
        step: that it starts after.
        last_step: that it ends with.
        epoch: that it starts with, from 0.
        epochs: when it has ended; the last one may be shorter.
        steps_per_epoch: of all others.
        done: steps of the first epoch that an earlier start has made.
    """

    step: int
    last_step: int
    epoch: int
    epochs: int
    steps_per_epoch: int
    done: int = 0

    @property
    def first_end(self) -> int:
        """The step that ends the first epoch."""
        return self.step + max(1, self.steps_per_epoch - self.done)


def length_of(run: Run, config: TrainConfig, *, dry_steps: int = 0) -> Length:
    """Returns how far a run goes from where it is; `dry_steps` are one epoch, and all there is."""
    step, epoch = run.position()
    last_step = step + dry_steps if dry_steps else config.steps
    steps_per_epoch = dry_steps or config.steps_per_epoch
    done = 0 if dry_steps else run.steps_in_epoch
    length = Length(step, last_step, epoch, epoch, steps_per_epoch, done)
    more = max(0, last_step - length.first_end)
    return length._replace(epochs=epoch + 1 + -(-more // steps_per_epoch))


def fit(
    run: Run,
    dataset: Iterable[Any],
    length: Length,
    *,
    before: Sequence[keras.callbacks.Callback],
    stop: StopEarly | None,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Trains.

    Args:
        run: with a compiled model.
        dataset: endless batches.
        length: at least one step.
        before: callbacks that come before those that save.
        stop: what may end the run early.
        progress: what is shown.
        say: is told what is kept of a run that Ctrl-C ended.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the step under way is done and saved; after a second
            one at once.
        DivergedError: a loss or gradient is not finite; says what is left of the run.
        ValueError: there is no batch; or another worker has gone, with what is left.
    """
    alone = distribution.workers_of(run.strategy)[1] == 1  # Several would have to save together.
    try:
        with interrupts(_ASKED) if alone else contextlib.nullcontext(threading.Event()) as asked:
            _call_fit(run, dataset, length, _callbacks(run, length, before, stop, progress, asked))
    except KeyboardInterrupt:
        say(_what_was_stopped(run))
        raise
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


def _what_was_stopped(run: Run) -> str:
    step, _ = run.position()
    kept = resume_lib.last_checkpoint(run.folder.checkpoints)
    saved = int(kept.rpartition("-")[2]) if kept else 0
    lost = f"; the {step - saved} steps after it are lost" if step > saved else ""
    return (
        f"stopped after step {step}; {_what_is_kept(run)}{lost}; --resume (resume=True) goes on "
        "from there"
    )


def _what_is_kept(run: Run) -> str:
    kept = resume_lib.last_checkpoint(run.folder.checkpoints)
    return f"the last checkpoint is {kept}" if kept else "no checkpoint had been written"


def _callbacks(
    run: Run,
    length: Length,
    before: Sequence[keras.callbacks.Callback],
    stop: StopEarly | None,
    progress: Progress,
    asked: threading.Event,
) -> list[keras.callbacks.Callback]:
    """Returns all callbacks, in the order in which they depend on each other."""
    averages = [] if run.averages is None else [UpdateAverages(run.averages)]
    scalars = WriteScalars(run.events, before=length.done)
    writing = [WriteHistory(run.folder.history), scalars, progress]
    stopping = [] if stop is None else [stop]
    together = [StopTogether()] if distribution.workers_of(run.strategy)[1] > 1 else []
    sound = RefuseBrokenWeights(run.averages.values if run.averages else ())

    def save() -> None:
        sound.check()
        run.checkpoints.save_within_epoch()

    return [
        StopAtStep(length.last_step, epoch_end=length.first_end if length.done else 0),
        sound,
        *averages,
        *before,
        run.keep,
        *(writing if run.is_chief else []),
        run.checkpoints,
        StopWhenAsked(asked, save),
        *(stopping if run.is_chief else []),
        *together,
    ]


def _call_fit(
    run: Run,
    dataset: Iterable[Any],
    length: Length,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    try:
        run.model.fit(
            dataset,
            initial_epoch=length.epoch,
            epochs=length.epochs,
            steps_per_epoch=length.steps_per_epoch,
            verbose=0,
            callbacks=callbacks,
        )
    except ValueError as error:
        if not str(error).startswith(_NO_BATCH):
            raise
        raise ValueError(
            "the training dataset gave no batch; expected batches of (ClipBatch, GroundTruth) "
            "without end"
        ) from None
