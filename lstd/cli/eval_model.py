"""From the value of `--model` to what is evaluated, and the config that comes with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import common, failures

if TYPE_CHECKING:
    from lstd.config import Config

_WEIGHTS = ".weights.h5"
_CHECKPOINTS = "checkpoints"  # of a run folder


def existing(path: str, *, flag: str, config: str) -> Path:
    """Returns the path of a model that is there; a checkpoint's is a prefix of files.

    Of a folder of checkpoints it is the newest of them.

    Raises:
        ValueError: there is nothing, or it needs a config.
    """
    found = Path(path)
    if is_checkpoint_folder(found):
        newest = newest_checkpoint(found)
        if newest is None:
            raise ValueError(f"{flag}: there is no checkpoint in {found}")
        found = newest
    if found.name.endswith((".index", ".meta")) or ".data-" in found.name:
        prefix = found.with_name(found.name.rpartition(".")[0])
        raise ValueError(
            f"{flag}: {found} is one file of a checkpoint; give their prefix, {prefix}"
        )
    if _is_prefix(found) or found.suffix == ".npz":
        if not config and not is_run(found):
            raise ValueError(f"{flag}: {found} is a checkpoint, which needs its --config")
        return found
    if not found.exists():
        raise ValueError(f"{flag}: there is no {found}{failures.close_neighbour(found)}")
    return found


def is_run(path: Path) -> bool:
    """Returns whether it is meant as a run folder, or as weights or a checkpoint in one."""
    if path.is_dir():
        from lstd.runtime import saved_model

        return not (
            saved_model.is_saved_model(path) or _is_export(path) or is_checkpoint_folder(path)
        )
    return path.name.endswith(_WEIGHTS) or _is_in_run(path)


def is_checkpoint_folder(path: Path) -> bool:
    """Returns whether a folder holds TensorFlow checkpoints: the original's, or those of a run."""
    if (path / "config.yaml").is_file() or not path.is_dir():
        return False
    in_run = path.name == _CHECKPOINTS and (path.parent / "config.yaml").is_file()
    return in_run or (path / "checkpoint").is_file()


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the prefix of the newest checkpoint in a folder; None: there is none."""
    import tensorflow as tf

    newest = tf.train.latest_checkpoint(str(folder))
    return None if newest is None else Path(newest)


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
        folder = run_of(path)
        file = folder / "config.yaml"
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
    averages = config.evaluation.use_moving_averages
    if path.is_dir() and is_run(path):
        return asked or ("average" if averages else "best")
    if _is_original(path, values):
        if asked in ("best", "last"):
            raise ValueError(
                f"--weights={asked} chooses among the files of a run folder; of a checkpoint of "
                "the original there is --weights=average"
            )
        return asked or ("average" if averages else "")
    if asked:
        raise ValueError(
            f"--weights={asked} chooses among the files of a run folder; {path} has only its own"
        )
    return ""


def files_of(path: Path, weights: str) -> list[Path]:
    """Returns the files that hold the weights, in order; they need not be there."""
    if path.is_dir() and is_run(path):
        return [path / f"{weights}{_WEIGHTS}"]
    if path.is_dir():
        if _is_export(path):
            return [path / "model.tflite"]
        return sorted(file for file in path.rglob("*") if file.is_file())
    if _is_prefix(path):
        return sorted(path.parent.glob(f"{path.name}.*"))
    return [path]


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
        labels: of a file that does not say them itself.

    Raises:
        ValueError, OSError, ImportError: it cannot be loaded.
    """
    from lstd.evaluation import streams
    from lstd.evaluation.detector import as_detector
    from lstd.runtime.detector import VideoDetector
    from lstd.training import run_folder

    if is_run(path):
        return as_detector(run_folder.load_model(path, weights=weights or "best"))  # type: ignore[arg-type]
    if _is_original(path, values):
        return as_detector(_of_the_original(path, config, averages=weights == "average"))
    detector = VideoDetector(path, threads=values.threads or os.cpu_count() or 1, labels=labels)
    return streams.StreamDetector(detector.stream, labels=labels)


def _of_the_original(path: Path, config: Config, *, averages: bool) -> Any:
    from lstd.checkpoints import tf1
    from lstd.models.build import build_model

    model = build_model(config.model)
    report = tf1.load_tf1_checkpoint(model, str(path), moving_averages=averages)
    if report.missing:
        raise ValueError(
            f"{path}: {len(report.missing)} variables of the model are not in it, such as "
            f"{report.missing[0]}; with random numbers for them a result would say nothing"
        )
    return model


def _is_original(path: Path, values: flags.FlagValues) -> bool:
    return bool(values.config) and not is_run(path) and (_is_prefix(path) or path.suffix == ".npz")


def _is_prefix(path: Path) -> bool:
    return path.with_name(f"{path.name}.index").is_file()


def _is_in_run(path: Path) -> bool:
    """Returns whether it is a checkpoint of a run folder."""
    in_folder = path.parent.name == _CHECKPOINTS and _is_prefix(path)
    return in_folder and (path.parent.parent / "config.yaml").is_file()


def run_of(path: Path) -> Path:
    """Returns the folder of a run, of weights in one, or of a checkpoint in one."""
    if path.is_dir():
        return path
    return path.parent.parent if _is_in_run(path) else path.parent


def _is_export(path: Path) -> bool:
    return path.is_dir() and (path / "model.tflite").is_file()


def _built_as(config: Config) -> tuple[Any, Any]:
    return config.model, config.train
