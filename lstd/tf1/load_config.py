"""Reads a config, of lstd (YAML) or of the original (text proto)."""

from __future__ import annotations

import os
from pathlib import Path

from lstd.base import documents
from lstd.config.config import Config
from lstd.config.config_io import ConfigError, from_dict


def list_configs() -> list[str]:
    """Returns the names of the configs that come with lstd, for `lstd.load_config` and `--config`.

    >>> "interleaved_mobilenet_v2_imagenet_vid" in list_configs()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_config(path: str | os.PathLike[str]) -> Config:
    """Returns the config of a YAML file, or of a `.config` (text proto) of the original.

    A name that `lstd.list_configs` gives is enough for a config that comes with lstd. Sections and
    keys that the file does not name keep their defaults.

    Args:
        path: of the file, or a name.

    Raises:
        ConfigError: the file is missing or not readable, a key is unknown (with the closest match),
            or a value has the wrong type or is out of range; the message gives file and key.
    """
    path = Path(path)
    if not path.exists() and str(path) in list_configs():
        path = _folder() / f"{path}.yaml"
    try:
        text = documents.read_text(path)
        if path.suffix in (".config", ".pbtxt"):
            from lstd.tf1 import pipeline_config  # here: YAML need not pay for protobuf

            return pipeline_config.parse(text, source=str(path))
        data = documents.from_yaml(text, source=str(path))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read the config: {error.strerror}; with lstd come "
            f"{', '.join(list_configs())}"
        ) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    data = {} if data is None else data
    if not isinstance(data, dict):
        found = type(data).__name__
        raise ConfigError(f"{path}: expected sections such as `model:`, found {found}")
    return from_dict(data, source=str(path))


def _folder() -> Path:
    """Returns where the configs are: in the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"
