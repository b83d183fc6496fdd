"""What a path given as a model is, and the model in it: one answer for Python and the commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from lstd import weights as shipped
from lstd.base.close_names import close_neighbour
from lstd.runtime import exported_file

if TYPE_CHECKING:  # what runs a .tflite can do without what a config takes
    from lstd.config.config import Config, ExportConfig
    from lstd.models.lstm_ssd import LSTMSSD

    Given = Config | str | os.PathLike[str] | None

Kind = Literal["run", "weights", "checkpoint", "original", "tflite", "saved_model"]

_CONFIG, _WEIGHTS = "config.yaml", ".weights.h5"
_NAMES = ("best", "last", "average")
_OF_A_CHECKPOINT = re.compile(r"\.(index|meta|data-\d+-of-\d+)\?$")


class NoModelError(FileNotFoundError, ValueError):
    """There is no model at that place."""


class Found(NamedTuple):
    """What a path is; nothing is loaded yet."""

    path: Path
    """Of a run its folder, of a checkpoint the prefix."""
    kind: Kind
    """A checkpoint of the original is also an `.npz`; any file but ours counts as a "tflite"."""
    config: Path | None
    """The `config.yaml` of the run that it belongs to."""
    name: str
    """What the path is called in messages, such as "--model"."""

    @property
    def is_exported(self) -> bool:
        """Whether the runtime runs it; everything else becomes a Keras model."""
        return self.kind in ("tflite", "saved_model")

    @property
    def describes_itself(self) -> bool:
        """Whether it needs no config to be built by."""
        return self.is_exported or self.config is not None

    def option(self, name: str) -> str:
        """Returns what messages call another option: with dashes in a command."""
        return f"--{name}" if self.name.startswith("--") else name


def open_model(
    path: str | os.PathLike[str] | Found, *, config: Given = None, weights: str | None = None
) -> tuple[Any, ExportConfig | None]:
    """Returns the model at a place, and how its detections are post-processed.

    The model is an LSTMSSD with its weights. Of what is exported it is the path, which
    `VideoDetector` loads; such a file says itself how it is post-processed.

    Args:
        path: a run folder, a weights file, a checkpoint (its prefix, or its folder, where the
            newest counts) of ours or of the original, a SavedModel or a `.tflite`, or the folder
            that `lstd-export` wrote them into; a name that `lstd.list_weights` gives, of which the
            `.tflite` is taken; or what `find` returned.
        config: what a checkpoint of the original, or weights outside of a run folder, are built by.
        weights: of a run folder "best", "last" or "average", of a checkpoint of the original
            "average". None: the averages where the config's `evaluation.use_moving_averages` asks
            for them and there are any, else the best, or the only ones.

    Raises:
        FileNotFoundError: nothing is there (which is a ValueError as well).
        ValueError: it is no model, lacks its config or has no need of one, or cannot be loaded.
    """
    found = path if isinstance(path, Found) else find(path, exported=True)
    if found.is_exported and not config and not weights:  # without what a config takes
        return found.path, None
    settled = config_of(found, config)
    return load(found, settled, weights_of(found, settled, weights)), settled.export


def load_model(
    path: str | os.PathLike[str],
    weights: Literal["best", "last", "average"] = "best",
    *,
    config: Given = None,
    stateful: bool = False,
    batch_size: int = 1,
) -> LSTMSSD:
    """Returns the Keras model of a run folder: built as its config says, with its weights.

    Args:
        path: a run folder, or a name that `lstd.list_weights` gives; or a weights file or a
            checkpoint, as of `open_model`, of which `weights` is not looked at.
        weights: "best": of the epoch with the best evaluation (without evaluation: with the lowest
            training loss); "last": of the last epoch; "average": the moving averages.
        config: a config or its path, for a checkpoint of the original, or weights that are in no
            run folder; its `evaluation.use_moving_averages` chooses in the original's.
        stateful: see `lstd.build_model`.
        batch_size: see `lstd.build_model`.

    Raises:
        ValueError: no such folder, no config or no such weights in it (names those that are
            there), or weights that do not fit the config, with the variables and both shapes.
    """
    if weights not in _NAMES:
        raise ValueError(f"weights must be one of {', '.join(_NAMES)}, got {weights!r}")
    found = find(path, name="path")
    settled = config_of(found, config)
    chosen = weights_of(found, settled, weights if found.kind == "run" else None)
    return load(found, settled, chosen, stateful=stateful, batch_size=batch_size)


def find(path: str | os.PathLike[str], *, name: str = "model", exported: bool = False) -> Found:
    """Returns what a path is, as of `open_model`; NoModelError or ValueError: none of these.

    The name of a model that comes with lstd is the path of its run, or (`exported`) its `.tflite`.
    """
    folder = shipped.located(path, exported=exported)
    if not folder.is_dir():
        return _find_file(folder, name)
    if (folder / _CONFIG).is_file():
        return Found(folder, "run", folder / _CONFIG, name)
    if _are_of_a_run(folder):
        from lstd.training import resume

        newest = resume.last_checkpoint(folder)
    elif exported_file.in_folder(folder) != folder:
        return Found(exported_file.in_folder(folder), "tflite", None, name)
    elif exported_file.is_saved_model(folder):
        return Found(folder, "saved_model", None, name)
    elif (folder / "checkpoint").is_file():
        import tensorflow as tf

        from lstd.checkpoints import named_arrays

        with named_arrays.reading(folder / "checkpoint", "list of checkpoints"):
            newest = tf.train.latest_checkpoint(str(folder))
    else:
        raise NoModelError(
            f"{name}: {folder} is no model: a folder of one holds {_CONFIG} (a run), "
            "checkpoints, saved_model.pb, or model.tflite (of lstd-export)"
        )
    if newest is None:
        raise NoModelError(f"{name}: there is no checkpoint in {folder}")
    return _find_file(Path(newest), name)


def config_of(found: Found, given: Given = None) -> Config:
    """Returns the config that a model is built by: its run's, else the given one.

    ValueError: it has none and none is given, or it has one and one is given.
    """
    if found.describes_itself and given:
        told = "" if found.config is None else f", by its {found.config}"
        raise ValueError(
            f"{found.option('config')} says how to build a checkpoint of the original, but "
            f"{found.path} needs none{told}; leave it out"
        )
    if not found.describes_itself and not given:
        what = "a weights file" if found.kind == "weights" else "a checkpoint"
        raise ValueError(
            f"{found.name}: {found.path} is {what}, which needs its {found.option('config')}"
        )
    from lstd.config.config import Config
    from lstd.tf1.load_config import load_config

    chosen = Config() if found.is_exported else found.config or given
    return chosen if isinstance(chosen, Config) else load_config(cast("Path", chosen))


def weights_of(found: Found, config: Config, asked: str | None) -> str:
    """Returns which weights are meant: "best", "last" or "average"; "": the only ones.

    ValueError: some are asked for where there is nothing to choose.
    """
    wants = config.evaluation.use_moving_averages
    if found.kind == "run":
        there = (found.path / f"average{_WEIGHTS}").is_file()
        return asked or ("average" if wants and there else "best")
    is_original, flag = found.kind == "original", found.option("weights")
    if is_original and asked in (None, "", "average"):
        there = bool(asked or wants) and holds_averages(found)
        if asked and not there:
            raise ValueError(
                f"{found.path}: holds no moving averages, which {flag}={asked} asks for"
            )
        return "average" if there else ""
    if asked:
        instead = f"; of the original there is {flag}=average" if is_original else ""
        raise ValueError(
            f"{flag}={asked} chooses among the files of a run folder, but {found.path} has only "
            f"its own{instead}"
        )
    return ""


def holds_averages(found: Found) -> bool:
    """Returns whether a checkpoint of the original has moving averages."""
    from lstd.checkpoints import named_arrays, tf1

    return tf1.holds_averages(named_arrays.open_source(found.path))


def load(
    found: Found, config: Config, weights: str, *, stateful: bool = False, batch_size: int = 1
) -> LSTMSSD:
    """Returns the Keras model of what is not exported, with the weights that `weights_of` chose.

    ValueError: it is exported; there are no such weights; they do not fit, or lack variables.
    """
    if found.is_exported:
        raise ValueError(
            f"{found.name}: {found.path} is an exported file or no model, not a run folder, a "
            "weights file or a checkpoint; only VideoDetector and evaluate take exported ones"
        )
    from lstd.checkpoints import tf1
    from lstd.models.build import build_model
    from lstd.training import resume, weights_file
    from lstd.training.run_folder import RunFolder

    file = found.path / f"{weights}{_WEIGHTS}" if found.kind == "run" else found.path
    if found.kind in ("run", "weights"):
        weights_file.file_of(file)
    model = build_model(config.model, stateful=stateful, batch_size=batch_size)
    if found.kind == "original":
        averages = weights == "average"
        missing = tf1.load_tf1_checkpoint(model, file, moving_averages=averages).missing
        if missing:
            raise ValueError(
                f"{file}: {len(missing)} variables of the model are not in it, such as "
                f"{missing[0]}; with random numbers for them it would be of no use"
            )
    elif found.kind == "checkpoint":
        resume.restore_model(model, str(file))
    else:
        weights_file.load(model, file)
    model.min_score = config.evaluation.min_score_threshold
    if model.min_score is None and found.config:
        model.min_score = RunFolder(found.config.parent).min_score
    return model


def _find_file(path: Path, name: str) -> Found:
    """Returns what a file, or the prefix of a checkpoint, is."""
    if path.name.endswith(_WEIGHTS):
        config = path.parent / _CONFIG
        if path.is_file() or config.is_file():
            return Found(path, "weights", config if config.is_file() else None, name)
    if path.with_name(f"{path.name}.index").is_file():
        if not _are_of_a_run(path.parent):
            return Found(path, "original", None, name)
        return Found(path, "checkpoint", path.absolute().parent.parent / _CONFIG, name)
    if not path.exists():
        close = shipped.close_name(path) or _OF_A_CHECKPOINT.sub("?", close_neighbour(path))
        raise NoModelError(f"{name}: no file or folder {path}{close}")
    if path.suffix in (".index", ".meta") or ".data-" in path.name:
        prefix = path.with_name(path.name.rpartition(".")[0])
        raise ValueError(f"{name}: {path} is one file of a checkpoint; give their prefix, {prefix}")
    return Found(path, "original" if path.suffix == ".npz" else "tflite", None, name)


def _are_of_a_run(checkpoints: Path) -> bool:
    checkpoints = checkpoints.absolute()
    return checkpoints.name == "checkpoints" and (checkpoints.parent / _CONFIG).is_file()
