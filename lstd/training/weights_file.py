"""Keras weights files: written whole, read with errors that say what differs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import tf_keras as keras

from lstd.base.whole_file import whole_file
from lstd.checkpoints.named_arrays import read_hdf5, reading

SUFFIX = ".weights.h5"
# Keras also saves these, where a model is compiled; they are no weights.
_NOT_WEIGHTS = ("metrics/", "optimizer/")


def save(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes the weights; the file appears under its name only when it is whole.

    Raises:
        ValueError: `path` does not end in `.weights.h5`, without which Keras writes another format.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise ValueError(f"{path}: the name of a weights file must end in {SUFFIX}")
    with whole_file(path) as temporary:
        model.save_weights(temporary)


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Fills the model from a weights file; after an error the model's weights are undefined.

    Raises:
        ValueError: the file is no weights file, or does not fit the model; names the first places
            that differ, with both shapes.
    """
    held = _shapes_in(path)
    try:
        model.load_weights(path)
        fits = len(held) == len(model.weights)
    except Exception as error:  # Keras, too, has many kinds.
        _refuse_other_shapes(model, held, path)
        with reading(path, "Keras weights file"):
            raise error
    if not fits:
        _refuse_other_shapes(model, held, path)


def _shapes_in(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the weights in a file, by their places in it."""
    arrays = read_hdf5(path, "Keras weights file")
    return {
        place: array.shape for place, array in arrays.items() if not place.startswith(_NOT_WEIGHTS)
    }


def _refuse_other_shapes(
    model: keras.Model, held: dict[str, tuple[int, ...]], path: str | os.PathLike[str]
) -> None:
    """Raises where a file of the model would have other places and shapes."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / f"own{SUFFIX}"
        model.save_weights(own)
        wanted = _shapes_in(own)
    lines = [
        f"{place} is {wanted.get(place, 'not')} in the model, {held.get(place, 'not')} in the file"
        for place in {**wanted, **held}
        if wanted.get(place) != held.get(place)
    ]
    if lines:
        more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
        raise ValueError(f"{path}: the weights do not fit the model: {'; '.join(lines[:3])}{more}")
