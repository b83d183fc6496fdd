"""From the flags of `lstd-export` to the model that is exported, and its config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli import common, model_kind, trained_model
from lstd.tf1.load_config import load_config

if TYPE_CHECKING:
    from lstd.config.config import Config

_AVERAGE = "average"


class Loaded(NamedTuple):
    """A model and what its config says."""

    model: Any
    config: Config


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


def _flag(values: flags.FlagValues) -> str:
    return "--model" if values.model else "--trained_checkpoint_prefix"


def load(path: Path, values: flags.FlagValues) -> Loaded:
    """Returns the model of a run folder, of weights or a checkpoint in one, or of the original.

    Raises:
        ValueError: nothing is there, it is something else, it does not fit the config, or the
            averages that were asked for are not in it.
    """
    flag = _flag(values)
    path = model_kind.existing(str(path), flag=flag, config=values.config)
    kind = model_kind.kind_of(path)
    if kind == "original":
        return _from_checkpoint(path, values)
    if kind in (*model_kind.OF_A_RUN, "folder"):
        return _from_run(path, model_kind.run_of(path), values)
    hint = ""
    if path.is_dir():
        hint = "; --saved_model_path converts a SavedModel of lstd"
    elif kind == "tflite":
        hint = "; --check looks at a .tflite"
    raise ValueError(
        f"{flag}: {path} is no run folder, weights file ({model_kind.WEIGHTS_SUFFIX}) or "
        f"checkpoint (of the original: prefix or .npz){hint}"
    )


def _from_run(path: Path, folder: Path, values: flags.FlagValues) -> Loaded:
    from lstd.training import run_folder, weights_file

    run = run_folder.RunFolder(folder)
    if not run.config.is_file() and values.config and path.is_file():
        given = common.config_of(values)
        model = _built(given)
        weights_file.load(model, path)
        return Loaded(model, given)
    stored = load_config(run.config) if run.config.is_file() else None
    config = None if stored is None else _overridden(stored, values)
    weights: Any = "best" if config is None else _weights(path, config, values)
    model = run_folder.load_model(path, weights=weights)  # says what of the folder is missing
    if config is None or stored is None:
        raise ValueError(f"{folder} has no {run.config.name}")
    if config.model == stored.model:
        return Loaded(model, config)
    changed = _built(config)
    try:
        changed.set_weights(model.get_weights())
    except ValueError:
        named = [f"--config={values.config}"] if values.config else []
        named += [f"--config_override={values.config_override!r}"] if values.config_override else []
        named += [f"--set {' '.join(values.set)}"] if values.set else []
        raise ValueError(
            f"{', '.join(named)}: the weights of {path} do not fit the model that this describes"
        ) from None
    return Loaded(changed, config)


def _overridden(stored: Config, values: flags.FlagValues) -> Config:
    """Returns the run's config, or that of `--config` in its place, with all overrides."""
    return common.config_of(values) if values.config else common.overridden(stored, values)


def _built(config: Config) -> Any:
    from lstd.models.build import build_model

    return build_model(config.model)


def _weights(path: Path, config: Config, values: flags.FlagValues) -> Any:
    """Returns which weights of the run to take.

    Raises:
        ValueError: flags that contradict each other, or averages that are not there.
    """
    asked, named = values.moving_averages, values.weights
    is_folder = path.is_dir()
    if not is_folder:
        is_average = path.name == f"{_AVERAGE}{model_kind.WEIGHTS_SUFFIX}"
        named = _AVERAGE if is_average else path.name
        if values.weights and path.name != f"{values.weights}{model_kind.WEIGHTS_SUFFIX}":
            raise ValueError(
                f"--weights={values.weights} and {_flag(values)}={path} contradict each other; "
                "leave --weights out, or give the folder"
            )
    if named and asked != "auto" and (named == _AVERAGE) != (asked == "true"):
        flag = f"--weights={named}" if is_folder else f"{_flag(values)}={path}"
        raise ValueError(
            f"--moving_averages={asked} and {flag} contradict each other; leave one of them out"
        )
    if not is_folder or named:
        return named if is_folder else "best"
    if not _wants_averages(config, values):
        return "best"
    if not (path / f"{_AVERAGE}{model_kind.WEIGHTS_SUFFIX}").is_file():
        raise ValueError(
            f"{_why_averages(values)}, but {path} has no {_AVERAGE}{model_kind.WEIGHTS_SUFFIX}; "
            "--moving_averages=false exports without"
        )
    return _AVERAGE


def _wants_averages(config: Config, values: flags.FlagValues) -> bool:
    asked = values.moving_averages
    return config.evaluation.use_moving_averages if asked == "auto" else bool(asked == "true")


def _why_averages(values: flags.FlagValues) -> str:
    if values.moving_averages == "true":
        return "--moving_averages=true asks for the moving averages"
    return (
        "--moving_averages=auto follows evaluation.use_moving_averages of the config, which asks "
        "for the moving averages"
    )


def _from_checkpoint(path: Path, values: flags.FlagValues) -> Loaded:
    from lstd.checkpoints import sources, tf1

    if values.weights:
        raise ValueError(
            f"--weights={values.weights} chooses among the files of a run folder, but {path} is a "
            "checkpoint of the original; --moving_averages chooses there"
        )
    config = common.config_of(values)
    averages = _wants_averages(config, values)
    if averages and not tf1.holds_averages(sources.open_source(path)):
        raise ValueError(
            f"{_why_averages(values)}, but {path} holds none; --moving_averages=false exports "
            "without"
        )
    weights = _AVERAGE if averages else ""
    return Loaded(trained_model.load(path, config, weights=weights), config)
