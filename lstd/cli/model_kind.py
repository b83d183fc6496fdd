"""What a path given as a model is, told from names and from what lies there; nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lstd.cli import failures

Kind = Literal[
    "run",  # the folder of a run
    "weights",  # a .weights.h5, whether or not it is there
    "checkpoint",  # the prefix of a checkpoint in the folder of a run
    "original",  # the prefix of another checkpoint, or an .npz: one of the original
    "checkpoints",  # a folder of either
    "part",  # one file of a checkpoint
    "tflite",
    "export",  # the folder that lstd-export wrote a .tflite into
    "saved_model",
    "folder",  # another one
    "file",  # another one
    "absent",
]
OF_A_RUN = ("run", "weights", "checkpoint")
"""What brings its config along."""
WEIGHTS_SUFFIX = ".weights.h5"
_CONFIG = "config.yaml"


def kind_of(path: Path) -> Kind:
    """Returns what a path is, whatever will be done with it."""
    if path.is_dir():
        return _kind_of_folder(path)
    if path.name.endswith(WEIGHTS_SUFFIX):
        return "weights"
    if path.with_name(f"{path.name}.index").is_file():
        return "checkpoint" if _are_checkpoints_of_a_run(path.parent) else "original"
    if not path.exists():
        return "absent"
    if path.name.endswith((".index", ".meta")) or ".data-" in path.name:
        return "part"
    by_suffix: dict[str, Kind] = {".tflite": "tflite", ".npz": "original"}
    return by_suffix.get(path.suffix, "file")


def existing(path: str, *, flag: str, config: str) -> Path:
    """Returns the path of a model that is there; a checkpoint's is a prefix of files.

    Of a folder of checkpoints it is the newest of them.

    Args:
        path: value of `flag`.
        flag: for messages, such as "--model".
        config: value of `--config`, may be empty.

    Raises:
        ValueError: there is nothing, or it needs a config.
    """
    found = Path(path)
    if kind_of(found) == "checkpoints":
        newest = newest_checkpoint(found)
        if newest is None:
            raise ValueError(f"{flag}: there is no checkpoint in {found}")
        found = newest
    kind = kind_of(found)
    if kind == "absent":
        close = failures.close_neighbour(found).replace(".index?", "?")  # a checkpoint's prefix
        raise ValueError(f"{flag}: no file or folder {found}{close}")
    if kind == "part":
        prefix = found.with_name(found.name.rpartition(".")[0])
        raise ValueError(
            f"{flag}: {found} is one file of a checkpoint; give their prefix, {prefix}"
        )
    if kind == "original" and not config:
        raise ValueError(f"{flag}: {found} is a checkpoint, which needs its --config")
    return found


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the prefix of the newest checkpoint in a folder; None: there is none."""
    import tensorflow as tf

    from lstd.checkpoints import sources
    from lstd.training import resume

    if _are_checkpoints_of_a_run(folder):
        newest = resume.last_checkpoint(folder)
    else:
        with sources.reading(folder / "checkpoint", "list of checkpoints"):
            newest = tf.train.latest_checkpoint(str(folder))
    return None if newest is None else Path(newest)


def run_of(path: Path) -> Path:
    """Returns the folder of a run, of weights in one, or of a checkpoint in one."""
    if path.is_dir():
        return path
    return path.absolute().parent.parent if kind_of(path) == "checkpoint" else path.parent


def config_of(path: Path) -> Path:
    """Returns where the config is of what `OF_A_RUN` lists; it need not be there."""
    return run_of(path) / _CONFIG


def _kind_of_folder(path: Path) -> Kind:
    from lstd.runtime import loading, saved_model

    if (path / _CONFIG).is_file():
        return "run"
    if _are_checkpoints_of_a_run(path):
        return "checkpoints"
    if loading.in_folder(path) != path:
        return "export"
    if saved_model.is_saved_model(path):
        return "saved_model"
    return "checkpoints" if (path / "checkpoint").is_file() else "folder"


def _are_checkpoints_of_a_run(folder: Path) -> bool:
    folder = folder.absolute()
    return folder.name == "checkpoints" and (folder.parent / _CONFIG).is_file()
