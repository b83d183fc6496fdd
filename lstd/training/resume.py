"""Checkpoints that a run can go on from, as if it had not been interrupted."""

import json
import operator
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.checkpoints.named_arrays import reading
from lstd.config import config as config_lib
from lstd.config.config import Config
from lstd.config.train_config import LearningRateConfig
from lstd.fit import replicas
from lstd.training.callbacks import RunCallback
from lstd.training.keep_weights import Averages

_NAME = "step"
_PLACE = "place/.ATTRIBUTES/VARIABLE_VALUE"


class DataPlace(NamedTuple):
    """A place in the training data, and in the epoch that is under way."""

    settings: dict[str, Any]  # by dotted key: all that decides which batch comes when
    seed: int
    batches: int  # taken since the beginning of the data
    steps: int = 0  # done in the epoch; 0 between two of them
    means: Mapping[str, Sequence[float]] = MappingProxyType({})  # what the running ones are made of


def first_place(config: Config) -> DataPlace:
    """Returns the beginning of the data of a new run."""
    settings = {f"data.train.{k}": v for k, v in config_lib.to_dict(config.data.train).items()}
    return DataPlace({"train.seed": config.train.seed, **settings}, config.train.seed, batches=0)


def place_after(checkpoint: str | None, config: Config) -> tuple[DataPlace, list[str]]:
    """Returns where in the data a run goes on after a checkpoint, and what settings have changed.

    Where any has, the data starts anew, in an order of its own.

    Raises:
        ValueError: the checkpoint cannot be read, or is not of a run.
    """
    anew = first_place(config)
    if checkpoint is None:
        return anew, []
    with _reading(checkpoint):
        place = DataPlace(**json.loads(tf.train.load_variable(checkpoint, _PLACE)))
    changes = [*_changes(place.settings, anew.settings)]
    if not changes:
        return place, []
    return anew._replace(seed=anew.seed + step_of(checkpoint)), changes


class Checkpoints(RunCallback):
    """Saves a checkpoint after each epoch, or when it is asked to, and restores the last one.

    Has to come after all callbacks that change or write something: what it saves counts as done.
    `state` is what else training changes and goes on from, such as `LSTMSSD.training_state`; one of
    several workers `writes`, the others take part in making what is saved.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        *,
        averages: Averages | None = None,
        keep: int = 1,
        place: DataPlace = DataPlace({}, 0, 0),  # noqa: B008 (a value)
        batches_per_step: int = 1,
        state: Mapping[str, Any] = MappingProxyType({}),
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False, name="epoch")
        self._place, self._batches_per_step, self._steps = place, batches_per_step, 0
        self._saved_place = tf.Variable("", trainable=False, name="place")
        self._model, self._averages, self._state = model, averages, dict(state)
        if writes:
            try:
                tf.train.get_checkpoint_state(str(folder))
            except UnicodeDecodeError:  # The list of them is damaged, and can be done without.
                (folder / "checkpoint").unlink()
            for left in folder.glob(f"{_NAME}-*_temp"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        # Every worker saves in the same way, since all take part in making what is saved.
        self._scratch = None if writes else tempfile.TemporaryDirectory(prefix="lstd-worker-")
        # The slots have to exist before they can be restored.
        model.optimizer.build(model.trainable_variables)
        self._parts = {
            "model": model,
            "optimizer": model.optimizer,
            "epoch": self.epoch,
            "place": self._saved_place,
            **({} if averages is None else {"averages": averages}),
        }
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**self._parts, **self._state),
            str(folder) if self._scratch is None else self._scratch.name,
            max_to_keep=keep if writes else 1,
            checkpoint_name=_NAME,
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras has just reset the means; in the midst of an epoch they go on.
        self._steps = 0
        for metric in self.model.metrics:
            means = self._place.means.get(metric.name, ())
            for variable, value in zip(metric.variables, means, strict=False):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.assign(epoch + 1)
        self._place = self._now()._replace(steps=0, means={})
        self._save(self._place)

    def save_within_epoch(self) -> None:
        """Saves after a step that does not end the epoch."""
        means = {m.name: [float(v.numpy()) for v in m.variables] for m in self.model.metrics}
        self._save(self._now()._replace(means=means))

    def _now(self) -> DataPlace:
        return self._place._replace(
            batches=self._place.batches + self._steps * self._batches_per_step,
            steps=self._place.steps + self._steps,
        )

    def _save(self, place: DataPlace) -> None:
        self._saved_place.assign(json.dumps({**place._asdict(), "means": dict(place.means)}))
        averages = [] if self._averages is None else self._averages.values
        replicas.share_means([*self._model.weights, *averages])
        _call(self._model, "collect_training_state")
        self._manager.save(checkpoint_number=self.model.optimizer.iterations)

    def restore(self, path: str, *, same_data: bool = True) -> None:
        """Fills everything from a checkpoint; `state` only where the `same_data` goes on.

        Averages that the checkpoint lacks (the run had none until now) start at its weights.

        Raises:
            ValueError: the checkpoint cannot be read, or was made for another model or optimizer.
        """
        with _reading(path):
            names = [name for name, _ in tf.train.list_variables(path)]
        lacks = self._averages is not None and not any(n.startswith("averages/") for n in names)
        _restore(
            {**self._parts, **(self._state if same_data else {})},
            path,
            whole=not lacks,
            of="this model and optimizer; resume with the config of the run",
        )
        if same_data:
            _call(self._model, "spread_training_state")
        if self._averages is not None and lacks:
            self._averages.restart()


def _call(model: keras.Model, method: str) -> None:
    """Calls a method of a detector; other models have no such state."""
    getattr(model, method, lambda: None)()


def restore_model(model: keras.Model, path: str) -> None:
    """Fills a model from a checkpoint of its run, without what else resuming needs.

    Raises:
        ValueError: the checkpoint cannot be read, or is of another model.
    """
    _restore({"model": model}, path, whole=True, of="the model of its run")


def _restore(parts: dict[str, Any], path: str, *, whole: bool, of: str) -> None:
    with _reading(path):
        try:
            status = tf.train.Checkpoint(**parts).restore(path)
            if whole:
                status.assert_existing_objects_matched()
            status.expect_partial()  # What is no longer asked for is left there.
            return
        except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
            reason = str(error).strip().splitlines()[0][:300]
    raise ValueError(f"{path}: does not fit {of}: {reason}")


def _reading(path: str) -> AbstractContextManager[None]:
    remedy = f"; without {Path(path).name}.* the one before it counts"
    return reading(path, "checkpoint", remedy=remedy)


def last_checkpoint(folder: Path) -> str | None:
    """Returns the prefix of the newest whole checkpoint of a folder (the index comes last)."""
    found = [str(path.with_suffix("")) for path in folder.glob(f"{_NAME}-*.index")]
    whole = [prefix for prefix in found if prefix.rpartition("-")[2].isdecimal()]
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: str | None) -> int:
    """Returns after which step a checkpoint was written; 0 without one."""
    return int(checkpoint.rpartition("-")[2]) if checkpoint else 0


def apply_constant_rate(optimizer: keras.optimizers.Optimizer, config: LearningRateConfig) -> None:
    """Sets a rate that never changes to the config's: as a variable, it was restored."""
    if _never_changes(config):
        optimizer.learning_rate = config.initial


def _never_changes(rate: LearningRateConfig) -> bool:
    return rate.schedule == "constant" and not rate.warmup_steps


def refuse_other_model(before: Config, now: Config, *, where: str) -> None:
    """Raises unless a run that was started with one config can go on with the other.

    The checkpoint has slots for the variables that were trained, in their order; float16 also has
    the scale of the loss. The ValueError names the keys that differ, and both values.
    """
    keys = ["optimizer.name", "precision", "freeze"]
    # A rate that never changes is a variable, any other one is none.
    if len({_never_changes(config.train.learning_rate) for config in (before, now)}) == 2:
        keys += ["learning_rate.schedule", "learning_rate.warmup_steps"]
    anew = first_place(before).settings != first_place(now).settings  # with a state of zeros
    if now.train.carry_state and not anew:  # which was saved only if it was carried
        keys += ["carry_state"]
    was, is_now = (
        {
            "model": config_lib.to_dict(config.model),
            **{f"train.{key}": operator.attrgetter(key)(config.train) for key in keys},
        }
        for config in (before, now)
    )
    lines = [*_changes(was, is_now)]
    if lines:
        raise ValueError(
            f"{where}: cannot resume with another config: {'; '.join(lines)}; leave these keys as "
            "they were, or start a new run"
        )


def _changes(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields what differs, each with its dotted key and both values."""
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key} was {old!r}, is {new!r}"
