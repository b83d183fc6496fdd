"""The JSON beside or inside an exported file: class names, and how the file wants to be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import documents, label_map, tflite_metadata

_KINDS = {list: "a list", dict: "an object", str: "a text", int: "a whole number"}


class Metadata(NamedTuple):
    """What a detector takes from the JSON; everything has a value where it is silent.

    Attributes:
        labels: names of the classes in order, empty where unknown.
        schedule: the interleave schedule, None where unknown.
        rows_per_detection: rows of the outputs for each one counted by `num_detections`.
    """

    labels: tuple[str, ...] = ()
    schedule: str | None = None
    rows_per_detection: int = 1


def of_model(path: Path) -> Metadata:
    """Returns the metadata inside a model, else those beside it, defaults where there are none.

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
        candidates = [path.with_suffix(".json")]
    text = tflite_metadata.read(path) if path.is_file() else None
    if text is not None:
        return _parse(text, path)
    for candidate in candidates:
        if candidate.is_file() and tflite_metadata.is_ours(candidate.read_bytes()):
            return _parse(candidate.read_bytes(), candidate)
    return Metadata()


def _parse(text: str | bytes, path: Path) -> Metadata:
    data = documents.from_json(text, source=str(path), kind=dict)
    labels = _value(data, "labels", list, path) or []
    if not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path}: labels must be a list of names")
    schedule = _value(data, "schedule", dict, path) or {}
    postprocessing = _value(data, "postprocessing", dict, path) or {}
    return Metadata(
        labels=tuple(label_map.shown(label) for label in labels),
        schedule=_value(schedule, "default", str, path),
        rows_per_detection=_value(postprocessing, "max_classes_per_detection", int, path) or 1,
    )


def _value(data: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    """Returns a value, None where there is none."""
    value = data.get(key)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{path}: {key} must be {_KINDS[kind]}, got {value!r}")
    return value
