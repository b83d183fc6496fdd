"""What two starts of `lstd-eval` must have in common for the second to go on with the first."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstd.config import Config

_BYTES_AT_ONCE = 1 << 20


def facts(
    weights: Sequence[Path],
    config: Config,
    *,
    model_is_known: bool,
    labels: Sequence[str],
    schedules: Sequence[str],
) -> dict[str, Any]:
    """Returns all that detections depend on, a line each, for `FrameStore`.

    Args:
        weights: the files that the model was loaded from: their content counts, not their names.
        config: with everything that the command line overrides.
        model_is_known: whether `config.model` is the model's; an exported file brings its own.
        labels: the names of the classes.
        schedules: names.
    """
    import lstd

    return {
        "weights": digest(weights),
        "labels": ", ".join(labels),
        "schedules": ", ".join(schedules),
        "lstd": lstd.__version__,
        **(_flat(_settings(config, "model"), "model") if model_is_known else {}),
        **_flat(_settings(config, "data")["evaluation"], "data.evaluation"),
        "data.label_map_path": config.data.label_map_path,
        **_data(config),
    }


def digest(files: Sequence[Path]) -> str:
    """Returns the beginning of a SHA-256 over the content of the files, in this order."""
    content = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(_BYTES_AT_ONCE):
                content.update(part)
    return f"sha256 {content.hexdigest()[:16]}"


def _settings(config: Config, section: str) -> Any:
    from lstd import config as config_lib

    return config_lib.to_dict(config)[section]


def _flat(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns dotted keys, as `--set` spells them."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, dict) and value
        result.update(_flat(value, f"{name}.{key}") if inner else {f"{name}.{key}": value})
    return result


def _data(config: Config) -> dict[str, str]:
    """Returns size and time of each file of the data; of a folder, of all that is in it."""
    import tensorflow as tf

    from lstd.data import record_files

    split = config.data.evaluation
    paths = record_files.find(split.input_path, where="data.evaluation.input_path")
    described = {}
    for path in [*paths, *([split.images] if split.images else [])]:
        if tf.io.gfile.isdir(path):
            lines = "\n".join(f"{name} {_described(name)}" for name in _files_in(path))
            described[path] = f"files sha256 {hashlib.sha256(lines.encode()).hexdigest()[:16]}"
        else:
            described[path] = _described(path)
    return described


def _files_in(folder: str) -> Iterator[str]:
    import tensorflow as tf

    for place, _, names in sorted(tf.io.gfile.walk(folder)):
        yield from (tf.io.gfile.join(place, name) for name in sorted(names))


def _described(path: str) -> str:
    import tensorflow as tf

    if not tf.io.gfile.exists(path):
        return "not there"
    stat = tf.io.gfile.stat(path)
    changed = datetime.datetime.fromtimestamp(stat.mtime_nsec / 1e9, datetime.timezone.utc)
    return f"{stat.length} bytes of {changed:%Y-%m-%d %H:%M:%S.%f}"
