"""Which epoch is the best, and whether so many have come after it that the run may end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.config.train_config import EarlyStoppingConfig
from lstd.training.history import read_history

_OF_TRAINING = ("loss", "localization", "classification", "regularization", "gradient_norm")
_ERRORS = (
    "confusion/false",
    "distance/fade_ap50",
    "flicker/lost",
    "flicker/rate",
    "sap/lag_frames",
    "sap/missed",
)


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


def monitor_of(metric: str, logs: Mapping[str, Any]) -> Monitor:
    """Returns the number of an epoch's logs, or of its row of the history, to look at.

    Without a `metric`, that is COCO's average precision of the first schedule that was evaluated,
    where it was measured, else the training loss.

    Raises:
        ValueError: there is no such number.
    """
    if not metric:
        found = (name for name in logs if name.startswith("val_") and name.endswith("coco/ap"))
        metric = next(found, "loss")
    elif metric not in logs:
        raise ValueError(
            f"train.early_stopping.metric: there is no {metric!r} in an epoch of this run; there "
            f"are {', '.join(logs)}"
        )
    parts = metric.removeprefix("val_").split("/")  # the name of a schedule may come first
    smallest = parts[-1] in _OF_TRAINING or "/".join(parts[-2:]) in _ERRORS
    return Monitor(metric, largest=not smallest)


def check_metric(metric: str, *, num_evaluations: int, own_callbacks: bool) -> None:
    """Raises where it can be told before the first epoch that no epoch will have such a number.

    Callbacks of the caller may give any number; those of evaluations begin with "val_".

    Raises:
        ValueError: nothing gives that number.
    """
    if own_callbacks or not metric or metric in _OF_TRAINING:
        return
    if not metric.startswith("val_"):
        raise ValueError(
            f"train.early_stopping.metric is {metric!r}, expected {', '.join(_OF_TRAINING)}, or "
            "what is evaluated, with val_ before it, such as val_coco/ap"
        )
    if not num_evaluations:
        raise ValueError(
            f"train.early_stopping.metric is {metric!r}, but nothing is evaluated after an epoch; "
            "set train.evaluate, or take a metric of training such as loss"
        )


def is_over(history: Path, config: EarlyStoppingConfig, *, say: Callable[[str], None]) -> bool:
    """Returns whether the best epoch lies `patience` epochs back, and says so if it does.

    Nothing counts but the history, so a run that was interrupted ends where it would have ended.

    Raises:
        ValueError: the last epoch has no such metric.
    """
    rows = read_history(history)
    if not rows:
        return False
    monitor = monitor_of(config.metric, {name: cell for name, cell in rows[-1].items() if cell})
    values = [_measured(row[monitor.name], monitor) for row in rows]
    best = best_of(values, monitor, min_delta=config.min_delta)
    waited = len(values) - 1 - best
    if waited < config.patience:
        return False
    say(
        f"stopping early: {monitor.name} was best in epoch {int(rows[best]['epoch']) + 1} "
        f"({values[best]:.4g}) and has not improved by more than {config.min_delta:g} in "
        f"{waited} epochs"
    )
    return True


def _measured(cell: str, monitor: Monitor) -> float:
    """Returns a number of the history; NaN for none, which an error that was not measured is, too.

    `lstd.evaluation` has -1 for such an error.
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
