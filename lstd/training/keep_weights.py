"""What becomes of the weights at the end of an epoch: saved, evaluated, and perhaps the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from lstd.training import weights_file
from lstd.training.averages import Averages
from lstd.training.run_folder import RunFolder


class Monitor(NamedTuple):
    """The number that says which epoch is the best.

    Attributes:
        name: in the logs of an epoch.
        largest: whether the largest is best, else the smallest.
    """

    name: str
    largest: bool

    def is_better(self, value: float, best: float | None) -> bool:
        """Returns whether `value` beats `best`; anything beats no number."""
        if best is None or math.isnan(best):
            return True
        return value > best if self.largest else value < best


def choose_monitor(logs: dict[str, Any]) -> Monitor:
    """Returns COCO's average precision where it was measured, else the training loss.

    Where several schedules were evaluated, the first one counts.
    """
    for name in logs:
        if name.startswith("val_") and name.endswith("coco/ap"):
            return Monitor(name, largest=True)
    return Monitor("loss", largest=False)


class KeepWeights(keras.callbacks.Callback):
    """Saves the last, the average and the best weights of a run, and has them evaluated.

    `fit` trains a model that carries an LSTM state of the training batch, and has an optimizer.
    What is saved and evaluated is a snapshot without either: a second model of the same config
    that takes over the values of the variables.

    Args:
        folder: of the run.
        snapshot: a model with the same variables, in the same order, as the one that is trained.
        averages: of the variables of the trained model, or None.
        prefer_averages: the averages are evaluated, and the best weights are averages.
        evaluations: callbacks that see the snapshot as their model, at the end of each epoch, and
            add to the logs what they find.
        writes: False for all workers but one. They take part, because values that replicas keep for
            themselves have to be brought together, and neither write nor evaluate.
    """

    def __init__(
        self,
        folder: RunFolder,
        snapshot: keras.Model,
        *,
        averages: Averages | None = None,
        prefer_averages: bool = False,
        evaluations: Sequence[keras.callbacks.Callback] = (),
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.snapshot = snapshot
        self.averages = averages
        self.writes = writes
        self.prefer_averages = prefer_averages and averages is not None
        self.evaluations = tuple(evaluations)
        for evaluation in self.evaluations:
            evaluation.set_model(snapshot)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves, evaluates, and keeps the weights if they are the best."""
        logs = {} if logs is None else logs
        averages = None if self.averages is None else _read(self.averages.values)
        last = _read(self.model.weights)
        if not self.writes:
            return
        # Before the weights: who waits for these finds then what is said of them.
        self.folder.update_record(
            last={"epoch": epoch, "step": int(self.model.optimizer.iterations.numpy())}
        )
        if averages is not None:
            _fill(self.snapshot, averages)
            weights_file.save(self.snapshot, self.folder.weights("average"))
        _fill(self.snapshot, last)
        weights_file.save(self.snapshot, self.folder.weights("last"))
        if self.prefer_averages and averages is not None:
            _fill(self.snapshot, averages)
        for evaluation in self.evaluations:
            evaluation.on_epoch_end(epoch, logs)
        self._keep_best(epoch, logs)

    def _keep_best(self, epoch: int, logs: dict[str, Any]) -> None:
        monitor = choose_monitor(logs)
        value = float(logs[monitor.name])
        before = self.folder.read_record().get("best", {})
        best = before.get("value") if before.get("name") == monitor.name else None
        if not monitor.is_better(value, best):
            return
        weights_file.save(self.snapshot, self.folder.weights("best"))
        step = int(self.model.optimizer.iterations.numpy())
        # JSON has no NaN, which COCO gives where there is nothing to find.
        noted = None if math.isnan(value) else value
        self.folder.update_record(
            best={"epoch": epoch, "step": step, "name": monitor.name, "value": noted}
        )


def _read(variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
    """Returns the values; those that replicas keep for themselves are brought together here."""
    return [tf.convert_to_tensor(variable) for variable in variables]


def _fill(model: keras.Model, values: Sequence[tf.Tensor]) -> None:
    for variable, value in zip(model.weights, values, strict=True):
        variable.assign(value)
