"""From the value of `--model` to what is evaluated, and the config that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import common, failures

if TYPE_CHECKING:
    from lstd.config import Config

_WEIGHTS = ".weights.h5"


def load(
    path: Path, values: flags.FlagValues, config: Config, *, weights: str, labels: tuple[str, ...]
) -> Any:
    """Returns a ClipDetector, or a Keras model, which `lstd.evaluate` takes as well.

    Args:
        path: a run folder or a weights file in one, a SavedModel, a `.tflite`, or with --config a
            checkpoint of the original.
        values: the command's flags.
        config: see `config_for`.
        weights: of a run folder: best, last or average.
        labels: of a file that does not say them itself.

    Raises:
        ValueError, OSError, ImportError: it cannot be loaded.
    """
    from lstd.runtime import saved_model
    from lstd.training import run_folder

    if is_run(path):
        return run_folder.load_model(path, weights=weights)  # type: ignore[arg-type]
    exported = path.is_file() or saved_model.is_saved_model(path) or _is_export(path)
    if not exported and values.config:
        from lstd.checkpoints import tf1
        from lstd.models.build import build_model

        model = build_model(config.model)
        tf1.load_tf1_checkpoint(model, str(path))
        return model
    return _stream(path, threads=values.threads, labels=labels)


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
        folder = path if path.is_dir() else path.parent
        file = folder / "config.yaml"
        if not file.is_file():
            raise ValueError(f"--model: {path} is no run folder: there is no {file}")
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


def existing(path: str, *, flag: str, config: str) -> Path:
    """Returns the path of a model that is there; a checkpoint's is a prefix of files.

    Raises:
        ValueError: there is nothing.
    """
    found = Path(path)
    if found.exists():
        return found
    if found.with_name(f"{found.name}.index").is_file():
        if not config:
            raise ValueError(f"{flag}: {found} is a checkpoint, which needs its --config")
        return found
    raise ValueError(f"{flag}: there is no {found}{failures.close_neighbour(found)}")


def is_run(path: Path) -> bool:
    """Returns whether it is meant as a run folder, or as weights in one."""
    if path.is_dir():
        from lstd.runtime import saved_model

        return not (saved_model.is_saved_model(path) or _is_export(path))
    return path.name.endswith(_WEIGHTS)


def _is_export(path: Path) -> bool:
    return path.is_dir() and (path / "model.tflite").is_file()


def _built_as(config: Config) -> tuple[Any, Any]:
    return config.model, config.train


def _stream(path: Path, *, threads: int, labels: tuple[str, ...]) -> Any:
    import os

    from lstd.evaluation.streams import StreamDetector
    from lstd.runtime.detector import VideoDetector

    def make(schedule: str | None) -> VideoDetector:
        return VideoDetector(
            path, schedule=schedule, threads=threads or os.cpu_count() or 1, labels=labels
        )

    return StreamDetector(make, labels=labels)
