"""A model with trained weights: of a run, or of a checkpoint of the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from lstd.cli import model_kind

if TYPE_CHECKING:
    from lstd.config.config import Config
    from lstd.models.lstm_ssd import LSTMSSD
    from lstd.training.run_folder import Weights


def preferred(path: Path, config: Config) -> str:
    """Returns which weights of a run, or of a checkpoint of the original, count if nobody chooses.

    They are the averages where `evaluation.use_moving_averages` asks for them and there are any;
    else best, or "", those of a checkpoint themselves.
    """
    from lstd.checkpoints import sources, tf1

    wants_averages = config.evaluation.use_moving_averages
    if model_kind.kind_of(path) == "original":
        there = wants_averages and tf1.holds_averages(sources.open_source(path))
        return "average" if there else ""
    there = (model_kind.run_of(path) / f"average{model_kind.WEIGHTS_SUFFIX}").is_file()
    return "average" if wants_averages and there else "best"


def load(path: Path, config: Config, *, weights: str) -> LSTMSSD:
    """Returns the model with all of its weights.

    Args:
        path: a run folder, weights or a checkpoint in one, or a checkpoint of the original.
        config: how to build what a checkpoint of the original fills; not looked at for a run.
        weights: of a run folder: best, last or average, "" for best; of a checkpoint of the
            original: average, or anything else for the weights themselves.

    Raises:
        ValueError: it cannot be loaded, or lacks variables of the model.
    """
    from lstd.checkpoints import sources, tf1
    from lstd.models.build import build_model
    from lstd.training import run_folder

    if model_kind.kind_of(path) != "original":
        return run_folder.load_model(path, weights=cast("Weights", weights or "best"))
    if weights == "average" and not tf1.holds_averages(sources.open_source(path)):
        raise ValueError(
            f"{path}: holds no moving averages, which --weights=average asks for; leave it out"
        )
    model = build_model(config.model)
    report = tf1.load_tf1_checkpoint(model, str(path), moving_averages=weights == "average")
    if report.missing:
        raise ValueError(
            f"{path}: {len(report.missing)} variables of the model are not in it, such as "
            f"{report.missing[0]}; with random numbers for them it would be of no use"
        )
    return model
