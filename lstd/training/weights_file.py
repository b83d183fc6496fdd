"""Keras weights files: written whole, read with errors that name the variables."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from lstd.base.whole_file import whole_file
from lstd.checkpoints import sources

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
        ValueError: the file is no weights file, or does not fit the model; names the first
            variables that differ, with both shapes.
    """
    with sources.reading(path, "Keras weights file"):
        found = _arrays_in(path)
    try:
        model.load_weights(path)
        fits = len(found) == len(model.weights)
    except sources.BROKEN as error:
        raise ValueError(_explain(model, found, path) or f"{path}: {error}") from None
    if not fits:
        raise ValueError(_explain(model, found, path))


def _arrays_in(path: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the weights in a file, by their place in it."""
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(_NOT_WEIGHTS):
            shapes[name] = tuple(item.shape)

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return shapes


def _explain(
    model: keras.Model, found: dict[str, tuple[int, ...]], path: str | os.PathLike[str]
) -> str:
    """Returns what differs between the file and the model; '' if nothing does."""
    wanted = _places_of(model)
    other = [place for place in wanted if found.get(place, wanted[place][1]) != wanted[place][1]]
    missing = [place for place in wanted if place not in found]
    extra = sorted(set(found) - set(wanted))
    lines = [
        f"{wanted[place][0]} [{place}] is {wanted[place][1]} in the model, {found[place]} in the "
        "file"
        for place in other
    ]
    lines += [f"{wanted[place][0]} [{place}] is not in the file" for place in missing]
    lines += [f"[{place}] {found[place]} of the file is not in the model" for place in extra]
    if not lines:
        return ""
    more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
    return f"{path}: the weights do not fit the model: " + "; ".join(lines[:3]) + more


def _places_of(model: keras.Model) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns name and shape of each variable by its place in a weights file.

    Keras names the places by its own rules, so each variable is overwritten with its number, saved,
    and recognised in the file.
    """
    import h5py

    variables = list(model.weights)
    for number, variable in enumerate(variables):
        variable.assign(tf.fill(variable.shape, tf.cast(number, variable.dtype)))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "numbered" + SUFFIX)
        model.save_weights(path)
        shapes = _arrays_in(path)
        with h5py.File(path, "r") as file:
            numbers = {place: int(file[place][()].flat[0]) for place in shapes}
    return {
        place: (variables[number].name.split(":")[0], shapes[place])
        for place, number in numbers.items()
    }
