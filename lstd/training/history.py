"""The history of a run: one row an epoch, in a CSV file that outlives interruptions."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import tf_keras as keras

from lstd.base import documents
from lstd.base.whole_file import write_whole


class WriteHistory(keras.callbacks.Callback):
    """Adds each epoch's numbers to a CSV file.

    The file is written anew each time: columns may come and go when a run is resumed, and epochs
    that are done again after an interruption replace what they had.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the time."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the file with one row more."""
        row: dict[str, Any] = {
            "epoch": epoch,
            "step": int(self.model.optimizer.iterations.numpy()),
            "seconds": round(time.monotonic() - self._began, 3),
            "learning_rate": float(self.model.optimizer.learning_rate.numpy()),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        rows = [*(old for old in read_history(self.path) if int(old["epoch"]) < epoch), row]
        text = io.StringIO()
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path, text.getvalue())


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
