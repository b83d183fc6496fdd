"""Reads a config, of lstd (YAML) or of the original (text proto)."""

from __future__ import annotations

import os
from pathlib import Path

from lstd.base import documents
from lstd.config import shipped_configs
from lstd.config.config import Config
from lstd.config.config_io import ConfigError, from_dict


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
    if not path.exists() and str(path) in shipped_configs.list_configs():
        path = shipped_configs.path_of(str(path))
    try:
        text = documents.read_text(path)
    except OSError as error:
        shipped = ", ".join(shipped_configs.list_configs())
        raise ConfigError(
            f"{path}: cannot read the config: {error.strerror}; with lstd come {shipped}"
        ) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if path.suffix in (".config", ".pbtxt"):
        from lstd.tf1 import pipeline_config  # here: YAML need not pay for protobuf

        return pipeline_config.parse(text, source=str(path))
    try:
        data = documents.from_yaml(text, source=str(path))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        found = type(data).__name__
        raise ConfigError(f"{path}: expected sections such as `model:`, found {found}")
    return from_dict(data, source=str(path))
