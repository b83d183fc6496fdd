"""From the value of `--model` to what a VideoDetector takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lstd.cli import common, model_kind
from lstd.tf1.load_config import load_config

_TRAINED = (*model_kind.OF_A_RUN, "original")


def load(
    model: str, *, config: str, threads: int, flag: str = "--model"
) -> tuple[Any, tuple[str, ...]]:
    """Returns a model that `VideoDetector` takes, and its labels where the detector cannot know.

    A run folder, weights or a checkpoint in one, or, with a config, a checkpoint of the original
    become the same entry points that `lstd-export` writes; anything else is left to the detector.
    Of a run folder or a checkpoint of the original it is the moving averages where
    `evaluation.use_moving_averages` says so and there are any.

    Args:
        model: value of `--model`.
        config: value of `--config`, may be empty.
        threads: for TensorFlow; 0: one for each core.
        flag: that was used, for messages.

    Raises:
        ValueError: there is nothing at that place, it is not what it looks like, or it lacks
            variables of the model.
    """
    path = model_kind.existing(model, flag=flag, config=config)
    if model_kind.kind_of(path) not in _TRAINED:
        return path, ()
    common.use_threads(threads)
    return _trained(path, config)


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
    kind = model_kind.kind_of(path)
    if kind == "checkpoints":
        return model_kind.config_of(path.parent).is_file()
    return kind in (*model_kind.OF_A_RUN, "tflite", "export", "saved_model")


def labels_of(model: Any, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the class names of what `load` returned, empty where nothing says them."""
    from lstd.runtime import loading, metadata

    if labels or not isinstance(model, Path):
        return labels
    return metadata.of_model(loading.in_folder(model)).labels


def multiply_adds(model: Any) -> dict[str, int]:
    """Returns those of each network, of what `load` made of weights; else nothing."""
    if isinstance(model, Path):
        return {}
    from lstd.models import count

    counted = count.count(model.model)["multiply_adds"]
    return {network: counted[network] for network in model.model.networks}


def _trained(path: Path, given: str) -> tuple[Any, tuple[str, ...]]:
    from lstd.any_model.video_detector import entry_points_of
    from lstd.cli import trained_model
    from lstd.config.config import Config

    is_original = model_kind.kind_of(path) == "original"
    file = Path(given) if is_original else model_kind.config_of(path)
    config = load_config(file) if is_original or file.is_file() else Config()
    model = trained_model.load(path, config, weights=trained_model.preferred(path, config))
    return entry_points_of(model, config.export), tuple(model.labels)
