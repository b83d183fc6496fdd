"""The configs that come with lstd, by name."""

from __future__ import annotations

from pathlib import Path

_SUFFIX = ".yaml"


def list_configs() -> list[str]:
    """Returns the names of the configs that come with lstd, for `lstd.load_config` and `--config`.

    >>> "interleaved_mobilenet_v2_imagenet_vid" in list_configs()
    True
    """
    return sorted(path.stem for path in _folder().glob("*" + _SUFFIX))


def path_of(name: str) -> Path:
    """Returns the file of a config that comes with lstd; it need not exist."""
    return _folder() / (name + _SUFFIX)


def _folder() -> Path:
    """Returns where the configs are: in the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"
