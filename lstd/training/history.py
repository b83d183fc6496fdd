"""The history of a run, a row an epoch: which is the best, and whether the run may end."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents
from lstd.config.train_config import EarlyStoppingConfig

_OF_TRAINING = ("loss", "localization", "classification", "regularization", "gradient_norm")
_ERRORS = (
    "confusion/false",
    "distance/fade_ap50",
    "flicker/lost",
    "flicker/rate",
    "sap/lag_frames",
    "sap/missed",
)


def read_history(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a history, as text; none where there is no file.

    Raises:
        ValueError: it is no CSV with an epoch and numbers in each row.
    """
    if not path.exists():
        return []
    try:
        rows = documents.read_table(path)
        for row in rows:
            int(row["epoch"])
            for cell in row.values():
                float(cell or "nan")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: not the history of a run, move it away: {error}") from None
    return rows


class Monitor(NamedTuple):
    """The number that says which epoch is the best: its name in the logs, and its direction."""

    name: str
    largest: bool

    def is_better(self, value: float, best: float | None) -> bool:
        """Returns whether `value` beats `best`; anything beats no number."""
        if best is None or math.isnan(best):
            return True
        return value > best if self.largest else value < best

    def best_of(self, values: Sequence[float], *, min_delta: float) -> int:
        """Returns the place of the best; a later one must be better by more than `min_delta`."""
        best = 0
        for place, value in enumerate(values):
            handicapped = value - min_delta if self.largest else value + min_delta
            if place and self.is_better(handicapped, values[best]):
                best = place
        return best


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


def check_metric(metric: str, *, is_evaluated: bool) -> None:
    """Raises ValueError where it is known before the first epoch that nothing gives such a number.

    Not for a run with callbacks of the user, which may give any number.
    """
    if metric and metric not in _OF_TRAINING and not (is_evaluated and metric.startswith("val_")):
        raise ValueError(
            f"train.early_stopping.metric is {metric!r}, expected {', '.join(_OF_TRAINING)}, or, "
            "where train.evaluate is set, what is evaluated, with val_ before it, such as "
            "val_coco/ap"
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
    values = [float(row[monitor.name] or "nan") for row in rows]
    if not monitor.largest:  # `lstd.evaluation` has -1 for an error that was not measured
        values = [math.nan if value < 0 else value for value in values]
    best = monitor.best_of(values, min_delta=config.min_delta)
    waited = len(values) - 1 - best
    if waited < config.patience:
        return False
    say(
        f"stopping early: {monitor.name} was best in epoch {int(rows[best]['epoch']) + 1} "
        f"({values[best]:.4g}) and has not improved by more than {config.min_delta:g} in "
        f"{waited} epochs"
    )
    return True
