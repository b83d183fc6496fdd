"""Ends a run that has stopped getting better, by what its history says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tf_keras as keras

from lstd.training.history import read_history
from lstd.training.keep_weights import Monitor, choose_monitor

_OF_TRAINING = ("loss", "localization", "classification", "regularization", "gradient_norm")
_ERRORS = (
    "confusion/false",
    "distance/fade_ap50",
    "flicker/lost",
    "flicker/rate",
    "sap/lag_frames",
    "sap/missed",
)


class StopEarly(keras.callbacks.Callback):
    """Ends `fit` when the best epoch lies `patience` epochs back.

    Stands behind the callback that writes the history, and behind the one that saves what can be
    resumed, since it raises where the history has no such metric. Nothing is remembered but the
    history, so a run that was interrupted ends where it would have ended.

    Args:
        history: the file, see `WriteHistory`.
        patience: epochs, above 0.
        metric: a column of it; "": what decides which weights are the best.
        min_delta: by how much an epoch must be better than the best before it.
        say: is told that the run ends.
    """

    def __init__(
        self,
        history: Path,
        *,
        patience: int,
        metric: str,
        min_delta: float,
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.history = history
        self.patience, self.metric, self.min_delta = patience, metric, min_delta
        self.say = say

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks whether this was the last one."""
        self.model.stop_training |= self.is_over()

    def is_over(self) -> bool:
        """Returns whether the epochs so far are enough, and says so if they are."""
        rows = read_history(self.history)
        if not rows:
            return False
        measured = {name: value for name, value in rows[-1].items() if value}
        monitor = monitor_of(self.metric, measured)
        values = [_measured(row[monitor.name], monitor) for row in rows]
        best = best_of(values, monitor, min_delta=self.min_delta)
        waited = len(values) - 1 - best
        if waited < self.patience:
            return False
        self.say(
            f"stopping early: {monitor.name} was best in epoch {int(rows[best]['epoch']) + 1} "
            f"({values[best]:.4g}) and has not improved by more than {self.min_delta:g} in "
            f"{waited} epochs"
        )
        return True


def check_metric(metric: str, *, num_evaluations: int, own_callbacks: bool) -> None:
    """Raises where it can be told before the first epoch that no epoch will have such a number.

    Args:
        metric: its name, or "".
        num_evaluations: after each epoch, whose numbers begin with "val_".
        own_callbacks: there are callbacks of the caller, which may give any number.

    Raises:
        ValueError: nothing gives that number.
    """
    if metric.startswith("val_"):
        if not num_evaluations and not own_callbacks:
            raise ValueError(
                f"train.early_stopping.metric is {metric!r}, but nothing is evaluated after an "
                "epoch; set train.evaluate, or take a metric of training such as loss"
            )
    elif metric and metric not in _OF_TRAINING and not own_callbacks:
        raise ValueError(
            f"train.early_stopping.metric is {metric!r}, expected {', '.join(_OF_TRAINING)}, or "
            "what is evaluated, with val_ before it, such as val_coco/ap"
        )


def monitor_of(metric: str, row: Mapping[str, Any]) -> Monitor:
    """Returns the number to look at.

    Args:
        metric: its name, or "".
        row: of the history, or logs of an epoch.

    Raises:
        ValueError: there is no such number.
    """
    if not metric:
        return choose_monitor(dict(row))
    if metric not in row:
        raise ValueError(
            f"train.early_stopping.metric: there is no {metric!r} in an epoch of this run; there "
            f"are {', '.join(row)}"
        )
    return Monitor(metric, largest=not _smallest_is_best(metric))


def _smallest_is_best(metric: str) -> bool:
    """Returns whether a number is a loss or an error; "val_" and a schedule may stand before it."""
    parts = metric.removeprefix("val_").split("/")
    return parts[-1] in _OF_TRAINING or "/".join(parts[-2:]) in _ERRORS


def _measured(cell: str, monitor: Monitor) -> float:
    """Returns a number of the history; NaN where there is none.

    Of an error, that is also -1: `lstd.evaluation` has it where there was nothing to measure.
    """
    value = float(cell or "nan")
    return math.nan if value < 0 and not monitor.largest else value


def best_of(values: Sequence[float], monitor: Monitor, *, min_delta: float) -> int:
    """Returns the place of the best value; a later one must be better by more than `min_delta`."""
    best = 0
    for place, value in enumerate(values):
        handicapped = value - min_delta if monitor.largest else value + min_delta
        if place and monitor.is_better(handicapped, values[best]):
            best = place
    return best
