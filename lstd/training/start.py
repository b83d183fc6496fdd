"""What a run starts from: a checkpoint or initial weights, and its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.config.config import Config
from lstd.config.train_config import FineTuneConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training import distribution
from lstd.training import resume as resume_lib
from lstd.training.resume import DataPlace
from lstd.training.run_folder import RunFolder


class Start(NamedTuple):
    """Where a run starts from.

    Attributes:
        checkpoint: prefix, None at the very beginning.
        place: in the data.
        same_data: the data goes on where it was.
    """

    checkpoint: str | None
    place: DataPlace
    same_data: bool = True


def start_of(
    folder: RunFolder, config: Config, *, resume: bool, say: Callable[[str], None]
) -> Start:
    """Returns where a run in the folder starts from: its last checkpoint, if it is to resume.

    Where settings of the data have changed, the data starts anew.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    checkpoint = resume_lib.last_checkpoint(folder.checkpoints) if resume else None
    if checkpoint is None:
        if resume:
            say(f"{folder.path}: no checkpoint yet; starting from the beginning")
        return Start(None, resume_lib.first_place(config))
    place, changes = resume_lib.place_after(checkpoint, config)
    if changes:
        say(f"the data starts anew, in another order: {'; '.join(changes)}")
    return Start(checkpoint, place, not changes)


def open_dataset(
    config: Config,
    place: DataPlace,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], None],
) -> tf.data.Dataset:
    """Returns this worker's training data, looked over, from the batch on that is due.

    Raises:
        ValueError: the data cannot be read, or cannot train this model; says where and why.
    """
    # Here, because a given dataset needs no reader.
    from lstd.data.pipeline import open_split
    from lstd.training import data_check

    split = open_split(
        config.data,
        "train",
        seed=place.seed,
        num_classes=config.model.num_classes,
        labels=config.model.labels,
        skip_batches=place.batches,
        input_context=distribution.input_context(strategy),
    )
    data_check.check(split.videos, config, say=say)
    return split.dataset


def load_initial_weights(
    model: LSTMSSD, config: FineTuneConfig, *, say: Callable[[str], None]
) -> None:
    """Fills the model as the config says: backbones first, then the checkpoints over them.

    Raises:
        ValueError: a file that cannot be read or does not fit.
    """
    # Here, because a run that starts from nothing needs neither.
    from lstd.checkpoints.keras_applications import load_backbone_weights
    from lstd.checkpoints.tf1 import load_tf1_checkpoint

    sources: tuple[tuple[Any, str], ...] = (
        ("large", config.large_backbone),
        ("small", config.small_backbone),
    )
    for network, source in sources:
        if source:
            filled = load_backbone_weights(model, network, source).filled
            say(f"{network} backbone: {len(filled)} variables from {source}")
    if config.checkpoints:
        report = load_tf1_checkpoint(
            model,
            list(config.checkpoints),
            moving_averages=config.moving_averages,
            kind=config.kind,
        )
        say(
            f"fine-tuning from {', '.join(config.checkpoints)}: {len(report.restored)} variables "
            f"restored, {_listed(report.missing)} keep their initial values, "
            f"{_listed(report.unused)} of the checkpoint not used"
        )


def _listed(names: tuple[str, ...]) -> str:
    """Returns how many, and the first of them."""
    if not names:
        return "0"
    return f"{len(names)} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
