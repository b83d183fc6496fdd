"""From the flags of `lstd-export` to the model that is exported, its config, and frames for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.any_model import open_model
from lstd.any_model.open_model import Found
from lstd.cli import common
from lstd.config.config import Config

if TYPE_CHECKING:
    from lstd.config.data_config import DataConfig

_AVERAGE = "average"
_FRAMES = "--representative_data"


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
        raise ValueError(
            f"{flag}: {path} is no run folder, weights file or checkpoint (of the original: prefix "
            "or .npz): --saved_model_path converts a SavedModel of lstd, --check looks at a .tflite"
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
        flags_given = {
            f"--config={values.config}": values.config,
            f"--config_override={values.config_override!r}": values.config_override,
            f"--set {' '.join(values.set)}": values.set,
        }
        named = ", ".join(text for text, given in flags_given.items() if given)
        raise ValueError(
            f"{named}: the weights of {path} do not fit the model that this describes: {error}"
        ) from None


def _weights(found: Found, config: Config, values: flags.FlagValues) -> str:
    """Returns which weights to take; "" of what has only its own."""
    asked, named, path = values.moving_averages, values.weights, found.path
    wanted = config.evaluation.use_moving_averages if asked == "auto" else asked == "true"
    is_run, is_original, flag = found.kind == "run", found.kind == "original", f"--weights={named}"
    if is_original and named:
        raise ValueError(
            f"{flag} chooses among the files of a run folder, but {path} is a checkpoint of the "
            "original; --moving_averages chooses there"
        )
    if not is_run and not is_original:
        if named and path.name != f"{named}.weights.h5":
            raise ValueError(
                f"{flag} and {found.name}={path} contradict each other; leave --weights out, or "
                "give the folder"
            )
        flag, named = f"{found.name}={path}", path.name.removesuffix(".weights.h5")
    if named and asked != "auto" and (named == _AVERAGE) != wanted:
        raise ValueError(
            f"--moving_averages={asked} and {flag} contradict each other; leave one of them out"
        )
    if named or not wanted:
        return named or "best" if is_run else ""
    file = path / "average.weights.h5"
    if not (file.is_file() if is_run else open_model.holds_averages(found)):
        follows = " follows evaluation.use_moving_averages of the config, which"
        raise ValueError(
            f"--moving_averages={asked}{follows if asked == 'auto' else ''} asks for the moving "
            f"averages, but {path} holds none; --moving_averages=false exports without"
        )
    return _AVERAGE


def representative_data(text: str, model: Any, data: DataConfig) -> Iterable[Any]:
    """Returns the clips of TFRecords, or the frames of a video or a folder of images.

    The text is what `--representative_data` names. The model says which size its frames have and
    how many classes there are, and the `data` section of its config how records are read.

    Raises:
        FileNotFoundError: nothing has that name.
        ValueError: it cannot be read.
    """
    from lstd.config.data_config import DatasetConfig
    from lstd.data import pipeline, record_files
    from lstd.media import video

    path = Path(text)
    if path.is_dir() or path.suffix.lower() in video.SUFFIXES:
        return video.read_frames(
            path if path.is_dir() else common.existing_file(text, flag=_FRAMES)
        )
    record_files.find([text], where=_FRAMES)
    height, width, _ = model.input_shape_hwc
    # What `data.evaluation` says of its own files, and not of these.
    others = ("format", "subset", "images", "stills", "folders")
    whole = {field: getattr(DatasetConfig(), field) for field in others}
    split = dataclasses.replace(
        data.evaluation, input_path=(text,), batch_size=1, height=height, width=width, **whole
    )
    try:
        return pipeline.make_dataset(
            dataclasses.replace(data, evaluation=split), "evaluation", num_classes=model.num_classes
        )
    except ValueError as error:
        if not getattr(error, "keep_lines", False):
            raise
        raise ValueError(  # instead of a picture of every folder that lstd-data converts
            f"{_FRAMES}: {text} is neither TFRecords, nor a video file, nor a folder of images"
        ) from None
