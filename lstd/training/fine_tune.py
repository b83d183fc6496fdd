"""The weights that a run starts from."""

from __future__ import annotations

from collections.abc import Callable

from lstd.config.train_config import FineTuneConfig
from lstd.models.lstm_ssd import LSTMSSD


def load_initial_weights(
    model: LSTMSSD, config: FineTuneConfig, *, say: Callable[[str], None]
) -> None:
    """Fills the model as the config says: backbones first, then the checkpoints over them.

    Args:
        model: built.
        config: which files; with none of them nothing happens.
        say: told what was used of each file, and what was not.

    Raises:
        ValueError: a file that cannot be read or does not fit.
    """
    # Here, because a run that starts from nothing needs neither.
    from lstd.checkpoints.keras_applications import load_backbone_weights
    from lstd.checkpoints.tf1 import load_tf1_checkpoint

    if config.large_backbone:
        filled = load_backbone_weights(model, "large", config.large_backbone).filled
        say(f"large backbone: {len(filled)} variables from {config.large_backbone}")
    if config.small_backbone:
        filled = load_backbone_weights(model, "small", config.small_backbone).filled
        say(f"small backbone: {len(filled)} variables from {config.small_backbone}")
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
    more = ", ..." if len(names) > 2 else ""
    return f"{len(names)} ({', '.join(names[:2])}{more})"
