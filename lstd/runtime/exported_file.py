"""Exported files, and objects like them: their entry points, and what they say of themselves."""

import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstd.base import documents, label_map, tflite_metadata
from lstd.runtime import entry_points, tflite_file
from lstd.runtime.entry_points import EntryPoints

_IN_EXPORT_FOLDER = "model.tflite"
_KINDS: Any = {
    **{list: "a list", dict: "an object", str: "a text", int: "a whole number"},
    (int, float): "a number",
}


class Metadata(NamedTuple):
    """What a detector takes from the JSON, with defaults for what it does not say."""

    labels: tuple[str, ...] = ()
    schedule: str | None = None
    rows_per_detection: int = 1
    """Rows of the outputs for each one counted by `num_detections`."""
    min_score: float | None = None
    """From which on detections are shown."""


def load(model: Any, *, threads: int, separate: bool = False) -> tuple[EntryPoints, Metadata]:
    """Returns the entry points of what `VideoDetector` takes, checked, and its metadata.

    The `threads` are those of each interpreter; if `separate`, both networks of a `.tflite` can run
    at the same time.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a model.
        ImportError: what runs this kind of file is not installed.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be a whole number of at least 1, got {threads!r}")
    if isinstance(model, (str, os.PathLike)):
        path = in_folder(Path(model))
        if path.is_dir():
            points = _of_saved_model(path)
        else:
            points = tflite_file.load(path, threads=threads, separate=separate)
        facts = metadata_of(path)
    else:
        points = entry_points.from_object(model)
        options = getattr(model, "options", None)
        facts = Metadata(
            labels=tuple(getattr(model, "labels", ())),
            schedule=getattr(model, "schedule", None),
            rows_per_detection=getattr(options, "max_classes_per_detection", 1),
            min_score=getattr(model, "min_score", None),
        )
    entry_points.check(points)
    return points, facts


def in_folder(path: Path) -> Path:
    """Returns the `.tflite` in a folder that `lstd-export` wrote, any other path as it is."""
    return path / _IN_EXPORT_FOLDER if (path / _IN_EXPORT_FOLDER).is_file() else path


def is_saved_model(path: Path) -> bool:
    """Returns whether a folder holds a SavedModel."""
    return any((path / f"saved_model.{suffix}").is_file() for suffix in ("pb", "pbtxt"))


def metadata_of(path: Path) -> Metadata:
    """Returns the metadata inside a model, else those beside it, else defaults.

    A `.tflite` carries them inside; beside it they stand in `name.json`. For a SavedModel they
    stand in `model.json` in its folder, or in `name.json` beside the folder `name`; a folder called
    `saved_model` shares the JSON of the `model.tflite` beside it. A JSON that is not of our export
    is not looked at.

    Raises:
        ValueError: not a `.tflite`, or the metadata are not a JSON object of the expected kind.
    """
    if path.is_dir():
        path = path.resolve()
        candidates = [path / "model.json", path.with_name(f"{path.name}.json")]
        if path.name == "saved_model":
            candidates.append(path.with_name("model.json"))
    else:
        candidates = [path, path.with_suffix(".json")]
    for place in candidates:
        if facts := tflite_metadata.facts_in(place):
            return _parsed(facts, place)
    return Metadata()


def _parsed(data: dict[str, Any], path: Path) -> Metadata:
    labels = _value(data, "labels", list, path) or []
    if not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path}: labels must be a list of names")
    schedule = _value(data, "schedule", dict, path) or {}
    postprocessing = _value(data, "postprocessing", dict, path) or {}
    return Metadata(
        labels=tuple(label_map.shown(label) for label in labels),
        schedule=_value(schedule, "default", str, path),
        rows_per_detection=_value(postprocessing, "max_classes_per_detection", int, path) or 1,
        min_score=_value(data, "min_score", (int, float), path),
    )


def _value(data: dict[str, Any], key: str, kind: Any, path: Path) -> Any:
    """Returns a value, None where there is none."""
    value = data.get(key)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{path}: {key} must be {_KINDS[kind]}, got {value!r}")
    return value


def _of_saved_model(path: Path) -> EntryPoints:
    if not is_saved_model(path):
        raise ValueError(
            f"{path}: this folder is neither a SavedModel (saved_model.pb) nor one that "
            f"lstd-export wrote ({_IN_EXPORT_FOLDER})"
        )
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(os.fspath(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = documents.first_line(error)
        raise ValueError(f"{path}: TensorFlow cannot load this SavedModel: {reason}") from None

    def run(key: str, **inputs: np.ndarray) -> dict[str, Any]:
        # Of `loaded`: its variables live only as long as it does.
        return loaded.signatures[key](**{name: tf.constant(each) for name, each in inputs.items()})

    points = {}
    for network, key in entry_points.choose(loaded.signatures, name=str(path)).items():
        function = loaded.signatures[key]
        entry_points.check_outputs(function.structured_outputs, where=f"{path}, entry point {key}")
        specs = function.structured_input_signature[1]
        inputs = {name: entry_points.spec_of(spec) for name, spec in specs.items()}
        points[network] = entry_points.calling(partial(run, key), inputs)
    return EntryPoints(points, str(path))
