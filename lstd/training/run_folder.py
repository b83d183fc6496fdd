"""The folder of a run: what lies where.

`config.yaml` has every value the run uses; `run.json`, for each start, when it was, the command and
the versions, and which epoch was the best, with the score from which on to show what it detects;
`history.csv` a row an epoch. `best.weights.h5`, `last.weights.h5` and, where the config asks for
them, `average.weights.h5` are the weights; `checkpoints/` is what resuming needs and `tensorboard/`
has the curves.
"""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base import documents
from lstd.base.version import __version__
from lstd.base.whole_file import write_whole
from lstd.config import config_io
from lstd.config.config import Config
from lstd.training import weights_file


class RunFolder:
    """The folder of a run, which need not exist yet; where things are is said above."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.record = self.path / "run.json"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    def weights(self, name: str) -> Path:
        """Returns where the "best", "last" or "average" weights are."""
        return self.path / (name + weights_file.SUFFIX)

    def read_record(self) -> dict[str, Any]:
        """Returns what `run.json` says; nothing where there is none.

        Raises:
            ValueError: it is no JSON object, or what is in it is not of its kind.
        """
        if not self.record.exists():
            return {}
        record = dict(documents.read_json(self.record, kind=dict))
        for name, kind, said in (
            ("starts", list, "list"),
            ("best", dict, "section"),
            ("last", dict, "section"),
        ):
            if not isinstance(record.get(name, kind()), kind):
                raise ValueError(
                    f"{self.record}: {name} must be a {said}, got {record[name]!r:.80}"
                )
        numbers = (("best", "step"), ("best", "value"), ("best", "min_score"), ("last", "step"))
        for name, key in numbers:
            number = record.get(name, {}).get(key)
            if not isinstance(number, (int, float, type(None))):
                raise ValueError(
                    f"{self.record}: {key} of {name} must be a number, got {number!r:.80}"
                )
        return record

    @property
    def min_score(self) -> float | None:
        """The score with the best F1 on the evaluation data; None where it was not found."""
        return self.read_record().get("best", {}).get("min_score")

    def update_record(self, **entries: Any) -> None:
        """Replaces entries of `run.json`."""
        text = json.dumps({**self.read_record(), **entries}, indent=2) + "\n"
        write_whole(self.record, text)

    def start(self, config: Config, *, command: Sequence[str], step: int) -> None:
        """Creates the folder where it is missing, writes the config, and notes this start.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            config_io.save_config(config, self.config)
            this = {
                "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "command": list(command),
                "step": step,
                "versions": {
                    "lstd": __version__,
                    "tensorflow": tf.__version__,
                    "tf_keras": keras.__version__,
                    "numpy": np.__version__,
                    "python": platform.python_version(),
                },
            }
            self.update_record(starts=[*self.read_record().get("starts", []), this])
        except OSError as error:
            raise OSError(f"{self.path}: cannot be written: {error.strerror or error}") from None
