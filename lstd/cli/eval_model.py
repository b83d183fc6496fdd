"""From the value of `--model` to what is evaluated, and the config that comes with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import common, model_kind, trained_model

if TYPE_CHECKING:
    from lstd.config import Config


def is_run(path: Path) -> bool:
    """Returns whether it is meant as a run folder, or as weights or a checkpoint in one."""
    return model_kind.kind_of(path) in (*model_kind.OF_A_RUN, "folder")


def config_for(path: Path | None, values: flags.FlagValues) -> Config:
    """Returns the config of the run folder, of --config or the default, with --set and --input.

    Raises:
        ValueError: a model that needs a config has none; or a setting of the model, which a run's
            weights decide.
    """
    import dataclasses

    from lstd import config_io
    from lstd.config import Config

    if path is not None and is_run(path):
        file = model_kind.config_of(path)
        if not file.is_file():
            raise ValueError(f"--model: {path} is no run folder: there is no {file}")
        if values.config:
            raise ValueError(
                f"--config: {path} brings its own, {file}; --set overrides what it says of data "
                "and evaluation"
            )
        config = config_io.load_config(file)
    elif values.config:
        file, config = Path(values.config), config_io.load_config(values.config)
    else:
        file, config = Path("the default"), Config()
    changed = common.overridden(config, values)
    if path is not None and is_run(path) and _built_as(changed) != _built_as(config):
        raise ValueError(
            "--set can change data and evaluation here; the model is built and trained as its run "
            f"says ({file})"
        )
    if values.input:
        split = dataclasses.replace(changed.data.evaluation, input_path=tuple(values.input))
        data = dataclasses.replace(changed.data, evaluation=split)
        changed = dataclasses.replace(changed, data=data)
    return changed


def weights_of(path: Path, values: flags.FlagValues, config: Config) -> str:
    """Returns which weights are meant: best, last or average; "" for a file that has only one.

    Raises:
        ValueError: `--weights` where there is nothing to choose.
    """
    asked: str = values.weights or ""
    if path.is_dir() and is_run(path):
        return asked or trained_model.preferred(path, config)
    if model_kind.kind_of(path) == "original":
        if asked in ("best", "last"):
            raise ValueError(
                f"--weights={asked} chooses among the files of a run folder; of a checkpoint of "
                "the original there is --weights=average"
            )
        return asked or trained_model.preferred(path, config)
    if asked:
        raise ValueError(
            f"--weights={asked} chooses among the files of a run folder; {path} has only its own"
        )
    return ""


def load(
    path: Path, values: flags.FlagValues, config: Config, *, weights: str, labels: tuple[str, ...]
) -> Any:
    """Returns a ClipDetector.

    Args:
        path: a run folder, or weights or a checkpoint in one, a SavedModel, a `.tflite`, the folder
            that `lstd-export` wrote them into, or with --config a checkpoint of the original.
        values: the command's flags.
        config: see `config_for`.
        weights: see `weights_of`.
        labels: names of the classes; empty: the model's own.

    Raises:
        ValueError, OSError, ImportError: it cannot be loaded, or has another number of classes.
    """
    from lstd.cli import detect_model
    from lstd.evaluation import detectors
    from lstd.evaluation.detectors import ModelDetector
    from lstd.runtime.detector import VideoDetector

    if is_run(path) or model_kind.kind_of(path) == "original":
        model = trained_model.load(path, config, weights=weights)
        _check_labels(labels, model.num_classes, values)
        return ModelDetector(model, labels=labels)
    _check_labels(labels, len(detect_model.labels_of(path, ())), values)
    detector = VideoDetector(path, threads=values.threads or os.cpu_count() or 1, labels=labels)
    return detectors.StreamDetector(detector.stream, labels=labels)


def _check_labels(labels: tuple[str, ...], num_classes: int, values: flags.FlagValues) -> None:
    """Raises where names are given and their number is known to be wrong."""
    if labels and num_classes and len(labels) != num_classes:
        where = "--labels" if values.labels else "model.labels of the config"
        raise ValueError(f"{where}: {len(labels)} names; the model has {num_classes} classes")


def _built_as(config: Config) -> tuple[Any, Any]:
    return config.model, config.train
