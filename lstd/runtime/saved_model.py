"""A SavedModel as entry points."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstd.runtime import entry_points
from lstd.runtime.entry_points import EntryPoints


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Returns whether a folder holds a SavedModel."""
    return any((Path(path) / f"saved_model.{suffix}").is_file() for suffix in ("pb", "pbtxt"))


def load(path: str | os.PathLike[str]) -> EntryPoints:
    """Returns the entry points of a SavedModel of our export.

    Raises:
        ValueError: TensorFlow cannot load it, or it is without our entry points.
        ImportError: TensorFlow is not installed.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(os.fspath(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: TensorFlow cannot load this SavedModel: {reason}") from None
    points = {}
    for network, key in entry_points.choose(loaded.signatures, name=str(path)).items():
        function = loaded.signatures[key]
        outputs = function.structured_outputs
        entry_points.check_outputs(outputs, where=f"{path}, entry point {key}")
        specs = function.structured_input_signature[1]
        inputs = {name: entry_points.spec_of(spec) for name, spec in specs.items()}
        points[network] = entry_points.calling(partial(_run, loaded, function), inputs)
    return EntryPoints(points, str(path))


def _run(keep_alive: Any, function: Any, **inputs: np.ndarray) -> dict[str, Any]:
    """Calls a signature, which takes tensors only; variables live as long as what was loaded."""
    import tensorflow as tf

    return function(**{name: tf.constant(value) for name, value in inputs.items()})
