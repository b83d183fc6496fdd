"""From the value of `--model` to what a VideoDetector takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lstd.cli import common, failures

_CONFIG_OF_A_RUN = "config.yaml"
_WEIGHTS = ".weights.h5"


def load(
    model: str, *, config: str, threads: int, flag: str = "--model"
) -> tuple[Any, tuple[str, ...]]:
    """Returns a model that `VideoDetector` takes, and its labels where the detector cannot know.

    A run folder, a weights file in one, or, with a config, a checkpoint of the original become the
    same entry points that `lstd-export` writes; anything else is left to the detector.

    Args:
        model: value of `--model`.
        config: value of `--config`, may be empty.
        threads: for TensorFlow; 0: one for each core.
        flag: that was used, for messages.

    Raises:
        ValueError: there is nothing at that place, or it is not what it looks like.
    """
    from lstd.runtime import loading, saved_model

    path = Path(model)
    if path.suffix == ".tflite" and path.is_file():
        return path, ()
    if loading.in_folder(path) != path and not (path / _CONFIG_OF_A_RUN).is_file():
        return path, ()
    common.use_threads(threads)
    if (path / _CONFIG_OF_A_RUN).is_file() or path.name.endswith(_WEIGHTS):
        return _from_run(path)
    if config and not saved_model.is_saved_model(path):
        return _from_checkpoint(path, config)
    if path.suffix == ".npz" or path.with_name(f"{path.name}.index").is_file():
        raise ValueError(f"{flag}: {path} is a checkpoint, which needs its --config")
    if not path.exists():
        raise ValueError(f"{flag}: no file or folder {path}{failures.close_neighbour(path)}")
    return path, ()


def check_config(config: str, *models: str) -> None:
    """Refuses `--config` where every model says itself how it is built.

    Args:
        config: value of `--config`, may be empty.
        *models: what is run, at least one.

    Raises:
        ValueError: so it is.
    """
    if config and all(_describes_itself(Path(model)) for model in models):
        raise ValueError(
            f"--config={config} says how to build a checkpoint of the original, but "
            f"{' and '.join(models)} {'needs' if len(models) == 1 else 'need'} none; leave it out"
        )


def _describes_itself(path: Path) -> bool:
    from lstd.runtime import loading, saved_model

    if path.is_file():
        return path.suffix == ".tflite" or path.name.endswith(_WEIGHTS)
    is_run = (path / _CONFIG_OF_A_RUN).is_file()
    return is_run or loading.in_folder(path) != path or saved_model.is_saved_model(path)


def labels_of(model: Any, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the class names of what `load` returned, empty where nothing says them."""
    from lstd.runtime import loading, metadata

    if labels or not isinstance(model, Path):
        return labels
    return metadata.beside(loading.in_folder(model)).labels


def multiply_adds(model: Any) -> dict[str, int]:
    """Returns those of each network, of what `load` made of weights; else nothing."""
    if isinstance(model, Path):
        return {}
    from lstd.models import count

    counted = count.count(model.model)["multiply_adds"]
    return {network: counted[network] for network in model.model.networks}


def _from_run(path: Path) -> tuple[Any, tuple[str, ...]]:
    from lstd import config_io
    from lstd.training import run_folder
    from lstd.video_detector import entry_points_of

    model = run_folder.load_model(path)
    folder = path if path.is_dir() else path.parent
    config = config_io.load_config(folder / _CONFIG_OF_A_RUN)
    return entry_points_of(model, config.export), _labels(model)


def _from_checkpoint(path: Path, config_path: str) -> tuple[Any, tuple[str, ...]]:
    from lstd import config_io
    from lstd.checkpoints import tf1
    from lstd.models.build import build_model
    from lstd.video_detector import entry_points_of

    config = config_io.load_config(config_path)
    model = build_model(config.model)
    tf1.load_tf1_checkpoint(model, str(path))
    return entry_points_of(model, config.export), _labels(model)


def _labels(model: Any) -> tuple[str, ...]:
    return tuple(model.labels)
