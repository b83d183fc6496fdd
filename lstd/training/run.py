"""One start of a run: its model, and what saves, measures and shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import tensorflow as tf
import tf_keras as keras

from lstd.base.progress import Progress
from lstd.base.terminal import interrupts
from lstd.config.config import Config
from lstd.config.train_config import FineTuneConfig
from lstd.fit import training_step
from lstd.fit.divergence import DivergedError
from lstd.losses import DetectionLoss
from lstd.models.build import build_model
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training import distribution, history, weights_file
from lstd.training import resume as resume_lib
from lstd.training.callbacks import EndRun, Quantize, ShowProgress, WriteHistory
from lstd.training.keep_weights import Averages, KeepWeights
from lstd.training.optimizers import build_optimizer
from lstd.training.run_folder import RunFolder
from lstd.training.tensorboard import Events, WriteSamples, WriteScalars

_ASKED = "stopping after this step, or what is measured after it; Ctrl-C again stops at once"
_NO_BATCH = "Unexpected result of `train_function`"  # What Keras says of an empty dataset.


class Run:
    """Model, optimizer and what saves them, with the weights that the run starts from.

    Those are of the `checkpoint`, else what `train.fine_tune` says. `dry_steps`: of a run of one
    epoch; 0: as the config says.

    Raises:
        ValueError: weights or checkpoint do not fit the config.
    """

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        *,
        dataset: Iterable[Any],
        evaluations: Sequence[keras.callbacks.Callback],
        checkpoint: str | None,
        place: resume_lib.DataPlace,
        same_data: bool,
        strategy: tf.distribute.Strategy,
        dry_steps: int,
        say: Callable[[str], None],
    ) -> None:
        train = config.train
        self.config, self.folder, self.say = config, folder, say
        self.worker, self.workers = distribution.workers_of(strategy)
        self.is_chief = self.worker == 0
        with strategy.scope():
            self.model = _compiled(config, say)
            if checkpoint is None:
                _load_initial_weights(self.model, train.fine_tune, say)
            decay = train.moving_average_decay
            averages = Averages(self.model.weights, decay=decay) if decay else None
        self.checkpoints = resume_lib.Checkpoints(
            folder.checkpoints,
            self.model,
            averages=averages,
            keep=train.keep_checkpoints,
            place=place,
            batches_per_step=train.accumulate_steps,
            state=self.model.training_state,
            writes=self.is_chief,
        )
        if checkpoint is not None:
            self.checkpoints.restore(checkpoint, same_data=same_data)
            resume_lib.apply_constant_rate(self.model.optimizer, train.learning_rate)
            say(f"going on after step {self._step()}, from {checkpoint}")
        self.events = Events(folder.tensorboard)
        # What is evaluated is shown, else what is trained on, unless it can be read only once.
        shown = next((each.dataset for each in evaluations if hasattr(each, "dataset")), dataset)
        samples = WriteSamples(
            shown if iter(shown) is not shown else (),
            self.events,
            loss=self.model.loss,
            min_score=config.evaluation.min_score_threshold,
            step=self._step,
            say=say,
        )
        self.keep = KeepWeights(
            folder,
            build_model(config.model, precision="float32"),
            averages=averages,
            prefer_averages=config.evaluation.use_moving_averages,
            evaluations=[*evaluations, samples],
            writes=self.is_chief,
        )
        self.first_step = self._step()  # it starts after this one
        self.last_step = self.first_step + dry_steps if dry_steps else train.steps
        self._steps_per_epoch = dry_steps or train.steps_per_epoch
        self._done = 0 if dry_steps else place.steps  # of the epoch that is under way

    def is_over(self) -> bool:
        """Returns whether nothing is left to do, by the steps or the history, and says why."""
        if self._stops_early():
            return True
        if self.first_step < self.last_step:
            return False
        steps = f"{self.first_step} of {self.last_step} steps"
        self.say(f"{self.folder.path}: already has {steps}; nothing to do")
        return True

    def fit(
        self,
        data: Any,
        *,
        callbacks: Sequence[keras.callbacks.Callback],
        stream: TextIO | None,
        say: Callable[[str], None],
    ) -> None:
        """Trains to the last step on endless batches; `callbacks` come before those that save.

        Raises:
            KeyboardInterrupt: after Ctrl-C, when the step under way is done and saved; after a
                second one at once.
            DivergedError: a loss or gradient is not finite; says what is left of the run.
            ValueError: there is no batch; or another worker has gone, with what is left.
        """
        epoch = int(self.checkpoints.epoch.numpy())
        first_end = self.first_step + max(1, self._steps_per_epoch - self._done)
        more = max(0, self.last_step - first_end)
        train, clips = self.config.train, self.config.data.train
        frames = train.accumulate_steps * clips.batch_size * clips.unroll_length
        progress = Progress(
            "training",
            total=self.last_step,
            done=self.first_step,
            rate=("frames", frames),
            stream=stream,
        )
        shows = [
            WriteHistory(self.folder.history),
            WriteScalars(self.events, before=self._done),
            ShowProgress(progress),
        ]

        def save() -> None:
            self.keep.check()
            self.checkpoints.save_within_epoch()

        asks = train.quantization
        quantize = [Quantize(asks, steps=self.last_step)] if asks else []
        alone = self.workers == 1  # Several would have to save together.
        try:
            with interrupts(_ASKED) if alone else contextlib.nullcontext() as asked:
                end = EndRun(
                    self.last_step,
                    epoch_end=first_end if self._done else 0,
                    asked=asked,
                    save=save,
                    is_over=self._stops_early if self.is_chief else lambda: False,
                )
                self.model.fit(
                    data,
                    initial_epoch=epoch,
                    epochs=epoch + 1 + -(-more // self._steps_per_epoch),
                    steps_per_epoch=self._steps_per_epoch,
                    verbose=0,
                    callbacks=[  # in the order in which they depend on each other
                        keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: self.keep.check()),
                        *quantize,
                        *callbacks,
                        self.keep,
                        *(shows if self.is_chief else []),
                        self.checkpoints,
                        end,
                    ],
                )
        except KeyboardInterrupt:
            step, kept = self._step(), self._kept()
            behind = step - resume_lib.step_of(kept)
            lost = f"; the {behind} steps after it are lost" if kept and behind else ""
            say(
                f"stopped after step {step}; {self._what_is_kept()}{lost}; --resume (resume=True) "
                "goes on from there"
            )
            raise
        except DivergedError as error:
            raise DivergedError(f"{error}; {self._what_is_kept()}") from None
        except distribution.GONE as error:
            if alone:
                raise
            raise ValueError(
                f"worker {self.worker} of {self.workers} cannot go on, another one has gone: "
                f"{str(error).splitlines()[0][:200]}; {self._what_is_kept()}. Look at the messages "
                "of the others, then start all of them again with --resume (resume=True)"
            ) from None
        except ValueError as error:
            if not str(error).startswith(_NO_BATCH):
                raise
            raise ValueError(
                "the training dataset gave no batch; expected batches of (ClipBatch, GroundTruth) "
                "without end"
            ) from None

    def _stops_early(self) -> bool:
        stopping = self.config.train.early_stopping
        return stopping is not None and history.is_over(self.folder.history, stopping, say=self.say)

    def _step(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def _kept(self) -> str | None:
        return resume_lib.last_checkpoint(self.folder.checkpoints)

    def _what_is_kept(self) -> str:
        kept = self._kept()
        return f"the last checkpoint is {kept}" if kept else "no checkpoint had been written"


def _compiled(config: Config, say: Callable[[str], None]) -> LSTMSSD:
    model = build_model(
        config.model,
        stateful=config.train.carry_state,
        batch_size=config.data.train.batch_size,
        precision=config.train.precision,
    )
    frozen = model.freeze(config.train.freeze)
    if frozen:
        say(f"frozen: {len(frozen)} of {len(model.weights)} variables")
    idle = training_step.idle_network(model)
    if idle:
        schedule = config.model.train_schedule
        say(f"the {idle} network is never run by train_schedule {schedule} and stays as it is")
    model.compile(
        optimizer=build_optimizer(config.train),
        loss=DetectionLoss.from_config(config.model),
        accumulate_steps=config.train.accumulate_steps,
        gradient_checkpointing=config.train.gradient_checkpointing,
    )
    return model


def _load_initial_weights(
    model: LSTMSSD, config: FineTuneConfig, say: Callable[[str], None]
) -> None:
    """Fills the model as the config says: a run, checkpoints over it, backbones over these."""
    # Here, because a run that starts from nothing needs neither.
    from lstd.checkpoints.keras_applications import load_backbone_weights
    from lstd.checkpoints.tf1 import CheckpointReport, load_tf1_checkpoint

    def tell(report: CheckpointReport, source: str) -> None:
        missing, unused = (
            f"{len(names)} (such as {names[0]})" if names else "0"
            for names in (report.missing + report.mismatched, report.unused)
        )
        say(
            f"fine-tuning from {source}: {len(report.restored)} variables restored, {missing} keep "
            f"their initial values, {unused} of what is there not used"
        )

    if config.run:
        report = weights_file.load_weights(model, config.run, on_mismatch="skip")
        tell(report, config.run)
        lacking = report.missing + report.mismatched
        anew = {place.split("/")[2] for place in lacking}

        def is_of_small(places: Iterable[str]) -> bool:
            return any(place.startswith("small/") for place in places)

        # The ranges of training in 8 bits are missing beside what is restored.
        no_small = is_of_small(report.missing) and not is_of_small(report.restored)
        if no_small or is_of_small(report.mismatched):
            say("the small network starts anew, since that run has none of its width")
        if "box_heads" in anew:
            alone = anew <= {"box_heads", "class_heads"}
            say(f"heads start anew{', since the anchors are others' if alone else ''}")
        elif "class_heads" in anew:
            say("the class heads start anew, since the classes are others")
    if config.checkpoints:
        report = load_tf1_checkpoint(
            model,
            list(config.checkpoints),
            moving_averages=config.moving_averages,
            kind=config.kind,
        )
        tell(report, ", ".join(config.checkpoints))
    if config.large_backbone:
        filled = load_backbone_weights(model, "large", config.large_backbone).filled
        say(f"large backbone: {len(filled)} variables from {config.large_backbone}")
    if config.small_backbone:
        filled = load_backbone_weights(model, "small", config.small_backbone).filled
        say(f"small backbone: {len(filled)} variables from {config.small_backbone}")
