"""From a file, a folder or an object to entry points and what is known of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstd.runtime import entry_points as points_lib
from lstd.runtime import metadata, saved_model, tflite_file
from lstd.runtime.entry_points import EntryPoints

_IN_EXPORT_FOLDER = "model.tflite"


def load(
    model: Any, *, threads: int, separate: bool = False
) -> tuple[EntryPoints, metadata.Metadata]:
    """Returns the entry points of a model, checked, and its metadata.

    Args:
        model: a `.tflite` or a SavedModel of `lstd-export`, the folder that it wrote them into, or
            an object with the same entry points as attributes.
        threads: how many a `.tflite` may use for each interpreter.
        separate: both networks of a `.tflite` can run at the same time.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a model.
        ImportError: what runs this kind of file is not installed.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be a whole number of at least 1, got {threads!r}")
    points, facts = _load(model, threads=threads, separate=separate)
    points_lib.check(points)
    return points, facts


def in_folder(path: Path) -> Path:
    """Returns the `.tflite` in a folder that `lstd-export` wrote, any other path as it is."""
    return path / _IN_EXPORT_FOLDER if (path / _IN_EXPORT_FOLDER).is_file() else path


def _load(model: Any, *, threads: int, separate: bool) -> tuple[EntryPoints, metadata.Metadata]:
    if not isinstance(model, (str, os.PathLike)):
        if _is_keras(model):
            raise ValueError(
                f"a Keras model ({type(model).__name__}) has no entry points of one frame; pass "
                "entry_points=, the function that wraps it for export, or the path of an export"
            )
        return points_lib.from_object(model), _facts_of(model)
    path = Path(model)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    path = in_folder(path)
    if not path.is_dir():
        points = tflite_file.load(path, threads=threads, separate=separate)
        return points, metadata.of_model(path)
    if not saved_model.is_saved_model(path):
        raise ValueError(
            f"{path}: this folder is neither a SavedModel (saved_model.pb) nor one that "
            f"lstd-export wrote ({_IN_EXPORT_FOLDER})"
        )
    return saved_model.load(path), metadata.of_model(path)


def _is_keras(model: Any) -> bool:
    modules = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return bool(modules & {"tf_keras", "keras"})


def _facts_of(model: Any) -> metadata.Metadata:
    """Returns what an object says of itself by the attributes of an export module."""
    options = getattr(model, "options", None)
    return metadata.Metadata(
        labels=tuple(getattr(model, "labels", ())),
        schedule=getattr(model, "schedule", None),
        rows_per_detection=getattr(options, "max_classes_per_detection", 1),
    )
