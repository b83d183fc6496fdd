"""Reads a config, of lstd (YAML) or of the original (text proto)."""

import os
from pathlib import Path
from typing import Any

from lstd.base import documents
from lstd.base.close_names import close_match
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
    keys that the file does not name are those of its `base`, the name of such a config or a file
    beside it; without a base they keep their defaults.

    Args:
        path: of the file, or a name.

    Raises:
        ConfigError: the file or its base is missing or not readable, a key is unknown (with the
            closest match), or a value has the wrong type or is out of range; the message gives file
            and key.
    """
    path = Path(path)
    if not path.exists() and str(path) in list_configs():
        path = _folder() / f"{path}.yaml"
    if path.suffix not in (".config", ".pbtxt"):
        return from_dict(_sections(path, children=()), source=str(path))
    from lstd.tf1 import pipeline_config  # here: YAML need not pay for protobuf

    return pipeline_config.parse(_text(path), source=str(path))


def _text(path: Path) -> str:
    try:
        return documents.read_text(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read the config: {error.strerror}; with lstd come "
            f"{', '.join(list_configs())}"
        ) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _sections(path: Path, *, children: tuple[Path, ...]) -> dict[str, Any]:
    """Returns what a YAML file and its bases say; `children` are the files that lead to it."""
    try:
        data = documents.from_yaml(_text(path), source=str(path))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    data = {} if data is None else data
    if not isinstance(data, dict):
        found = type(data).__name__
        raise ConfigError(f"{path}: expected sections such as `model:`, found {found}")
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str) or base.endswith((".config", ".pbtxt")):
        raise ConfigError(f"{path}: base: expected the name of a config or a YAML file, got {base}")
    parent = path.parent / base
    if not parent.is_file():
        parent = _folder() / f"{base}.yaml"
    if not parent.is_file():
        raise ConfigError(
            f"{path}: base: no config {base!r} comes with lstd, and no such file stands beside it"
            f"{close_match(base, list_configs())}"
        )
    if parent.resolve() in [child.resolve() for child in (path, *children)]:
        raise ConfigError(f"{path}: base: {base} has this file for its own base")
    return _merged(_sections(parent, children=(path, *children)), data)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Returns `own` with what only `base` names, section by section; a list replaces a list."""
    merged = base | own
    for name, value in own.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = _merged(base[name], value)
    return merged


def _folder() -> Path:
    """Returns where the configs are: in the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"
