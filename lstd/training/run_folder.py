"""The folder of a run: what lies where, and a model from what lies there.

`config.yaml` has every value the run uses; `run.json`, for each start, when it was, the command and
the versions, and which epoch was the best; `history.csv` a row an epoch. `best.weights.h5`,
`last.weights.h5` and, where the config asks for them, `average.weights.h5` are the weights;
`checkpoints/` is what resuming needs and `tensorboard/` has the curves.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base import documents
from lstd.base.version import __version__
from lstd.base.whole_file import write_whole
from lstd.config import config_io
from lstd.config.config import Config
from lstd.models.build import build_model
from lstd.models.lstm_ssd import LSTMSSD
from lstd.tf1.load_config import load_config
from lstd.training import resume, weights_file

Weights = Literal["best", "last", "average"]


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, which need not exist yet.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Where the config is."""
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        """Where versions, commands and the best epoch are noted."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """Where each epoch has a row."""
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of what resuming needs."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """The folder of the curves."""
        return self.path / "tensorboard"

    def weights(self, name: Weights) -> Path:
        """Returns where those weights are."""
        return self.path / (name + weights_file.SUFFIX)

    def holds_run(self) -> bool:
        """Returns whether a run was started here."""
        return self.config.exists() or self.checkpoints.exists()

    def read_record(self) -> dict[str, Any]:
        """Returns what `run.json` says; nothing where there is none.

        Raises:
            ValueError: it is no JSON object, or what is in it is not of its kind.
        """
        if not self.record.exists():
            return {}
        record = dict(documents.read_json(self.record, kind=dict))
        for name, kind in (("starts", list), ("best", dict), ("last", dict)):
            if not isinstance(record.get(name, kind()), kind):
                raise ValueError(
                    f"{self.record}: {name} must be a {'list' if kind is list else 'section'}, got "
                    f"{record[name]!r:.80}"
                )
        for name, key, kinds in (
            ("best", "step", (int, type(None))),
            ("best", "value", (int, float, type(None))),
            ("last", "step", (int, type(None))),
        ):
            number = record.get(name, {}).get(key)
            if not isinstance(number, kinds):
                raise ValueError(
                    f"{self.record}: {key} of {name} must be a number, got {number!r:.80}"
                )
        return record

    def update_record(self, **entries: Any) -> None:
        """Replaces entries of `run.json`."""
        text = json.dumps({**self.read_record(), **entries}, indent=2) + "\n"
        write_whole(self.record, text)

    def start(self, config: Config, *, command: Sequence[str], step: int) -> None:
        """Creates the folder where it is missing, writes the config, and notes this start.

        Args:
            config: with everything resolved.
            command: what the user called, or nothing.
            step: where this start begins.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            config_io.save_config(config, self.config)
            starts = [*self.read_record().get("starts", []), _start(command, step)]
            self.update_record(starts=starts)
        except OSError as error:
            raise OSError(f"{self.path}: cannot be written: {error.strerror or error}") from None


def _start(command: Sequence[str], step: int) -> dict[str, Any]:
    return {
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


def load_model(
    path: str | os.PathLike[str],
    weights: Weights = "best",
    *,
    stateful: bool = False,
    batch_size: int = 1,
) -> LSTMSSD:
    """Returns the model of a run folder: built as its config says, with its weights.

    Args:
        path: a run folder; or a weights file in one, or the prefix of one of its checkpoints: then
            `weights` is not looked at.
        weights: "best": of the epoch with the best evaluation (without evaluation: with the lowest
            training loss); "last": of the last epoch; "average": the moving averages.
        stateful: see `lstd.build_model`.
        batch_size: see `lstd.build_model`.

    Raises:
        ValueError: no such folder, no config or no such weights in it (names those that are
            there), or weights that do not fit the config, with the variables and both shapes.
    """
    if weights not in get_args(Weights):
        raise ValueError(f"weights must be one of {', '.join(get_args(Weights))}, got {weights!r}")
    path = Path(path)
    is_file = path.name.endswith(weights_file.SUFFIX)
    is_checkpoint = Path(f"{path}.index").is_file()
    run = path.absolute().parent.parent if is_checkpoint else path.parent if is_file else path
    folder = RunFolder(run)
    if not folder.path.is_dir():
        raise ValueError(f"{folder.path}: no such run folder")
    if not folder.config.exists():
        raise ValueError(f"{folder.path}: not a run folder: it has no {folder.config.name}")
    file = path if is_file else folder.weights(weights)
    if not is_checkpoint and not file.exists():
        there = ", ".join(_weights_in(folder)) or "none at all"
        raise ValueError(f"{folder.path}: no weights {file.name}; there are: {there}")
    config = load_config(folder.config)
    model = build_model(config.model, stateful=stateful, batch_size=batch_size)
    if is_checkpoint:
        resume.restore_model(model, str(path))
    else:
        weights_file.load(model, file)
    return model


def _weights_in(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.glob("*" + weights_file.SUFFIX))
