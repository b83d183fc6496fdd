"""From the flags of `lstd-export` to the model that is exported, and its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from lstd.any_model import open_model
from lstd.any_model.open_model import Found
from lstd.cli import common
from lstd.config.config import Config

_AVERAGE = "average"
_WITHOUT = "; --moving_averages=false exports without"


def path_of(values: flags.FlagValues) -> Path | None:
    """Returns what `--model` or `--trained_checkpoint_prefix` names, None where neither is given.

    Raises:
        ValueError: both are given and differ.
    """
    given = {values.model, values.trained_checkpoint_prefix} - {""}
    if len(given) > 1:
        raise ValueError(
            f"--model={values.model} and --trained_checkpoint_prefix="
            f"{values.trained_checkpoint_prefix} contradict each other; give one of them"
        )
    return Path(given.pop()) if given else None


def load(path: Path, values: flags.FlagValues) -> tuple[Any, Config]:
    """Returns the model of a run folder, of weights or a checkpoint in one, or of the original.

    Raises:
        ValueError: nothing is there, it is something else, it does not fit the config, or the
            averages that were asked for are not in it.
    """
    flag = "--model" if values.model else "--trained_checkpoint_prefix"
    found = open_model.find(path, name=flag)
    if found.is_exported:
        hint = ": --saved_model_path converts a SavedModel of lstd, --check looks at a .tflite"
        raise ValueError(
            f"{flag}: {path} is no run folder, weights file or checkpoint (of the original: prefix "
            f"or .npz){hint}"
        )
    if found.config is None:
        config = open_model.config_of(found, values.config)
        stored = config = common.overridden(config, values)
    else:
        stored = open_model.config_of(found)
        config = common.config_of(values) if values.config else common.overridden(stored, values)
    weights = _weights(found, config, values)
    try:
        return open_model.load(found, config, weights), config
    except ValueError as error:
        if config.model == stored.model:
            raise
        named = [f"--config={values.config}"] if values.config else []
        named += [f"--config_override={values.config_override!r}"] if values.config_override else []
        named += [f"--set {' '.join(values.set)}"] if values.set else []
        raise ValueError(
            f"{', '.join(named)}: the weights of {path} do not fit the model that this describes: "
            f"{error}"
        ) from None


def _weights(found: Found, config: Config, values: flags.FlagValues) -> str:
    """Returns which weights to take; "" of what has only its own.

    Raises:
        ValueError: flags that contradict each other, or averages that are not there.
    """
    asked, named, path = values.moving_averages, values.weights, found.path
    wanted = config.evaluation.use_moving_averages if asked == "auto" else asked == "true"
    if found.kind == "original":
        if named:
            raise ValueError(
                f"--weights={named} chooses among the files of a run folder, but {path} is a "
                "checkpoint of the original; --moving_averages chooses there"
            )
        if wanted and not open_model.holds_averages(found):
            raise ValueError(f"{_why_averages(asked)}, but {path} holds none{_WITHOUT}")
        return _AVERAGE if wanted else ""
    flag = f"--weights={named}"
    if found.kind != "run":
        flag = f"{found.name}={path}"
        if named and path.name != f"{named}.weights.h5":
            raise ValueError(
                f"--weights={named} and {flag} contradict each other; leave --weights out, or give "
                "the folder"
            )
        named = path.name.removesuffix(".weights.h5")
    if named and asked != "auto" and (named == _AVERAGE) != wanted:
        raise ValueError(
            f"--moving_averages={asked} and {flag} contradict each other; leave one of them out"
        )
    if found.kind != "run":
        return ""
    if not named and wanted and not (path / "average.weights.h5").is_file():
        raise ValueError(f"{_why_averages(asked)}, but {path} has no average.weights.h5{_WITHOUT}")
    return named or (_AVERAGE if wanted else "best")


def _why_averages(asked: str) -> str:
    if asked == "true":
        return "--moving_averages=true asks for the moving averages"
    return (
        "--moving_averages=auto follows evaluation.use_moving_averages of the config, which asks "
        "for the moving averages"
    )
