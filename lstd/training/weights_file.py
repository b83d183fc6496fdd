"""Keras weights files: written whole, read with errors that say what differs."""

import os
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import tf_keras as keras

from lstd import weights as shipped
from lstd.base.close_names import close_neighbour
from lstd.base.whole_file import whole_file
from lstd.checkpoints.named_arrays import read_hdf5, reading
from lstd.checkpoints.tf1 import CheckpointReport
from lstd.config.model_config import ModelConfig
from lstd.models.lstm_ssd import LSTMSSD
from lstd.tf1.load_config import load_config

SUFFIX = ".weights.h5"
# Keras also saves these, where a model is compiled; they are no weights.
_NOT_WEIGHTS = ("metrics/", "optimizer/")
_LARGE, _CLASS_HEADS = "layers/mobile_net_v", "layers/box_predictor/class_heads/"


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


def file_of(path: str | os.PathLike[str]) -> Path:
    """Returns the weights file that a path means: of a run folder that of the best weights.

    Raises:
        ValueError: there is no such file; names those that are there.
    """
    path = shipped.located(path)
    file = path / f"best{SUFFIX}" if path.is_dir() else path
    if file.name.endswith(SUFFIX) and not file.is_file():
        names = sorted(other.name for other in file.parent.glob(f"*{SUFFIX}"))
        raise ValueError(
            f"{file.parent}: no weights {file.name}; there are: {', '.join(names) or 'none at all'}"
        )
    if not file.exists():
        close = shipped.close_name(path) or close_neighbour(path)
        raise ValueError(f"no run folder or weights file {path}{close}")
    return file


def load_weights(
    model: LSTMSSD,
    source: str | os.PathLike[str],
    on_mismatch: Literal["raise", "skip"] = "raise",
) -> CheckpointReport:
    """Returns what was, and was not, used of the weights of a run, which fill the model.

    Args:
        model: a built model.
        source: a run folder, whose best weights are taken, a weights file, or a name that
            `lstd.list_weights` gives.
        on_mismatch: "raise": the weights have to be those of such a model. "skip": variables that
            the file does not have, or has in another shape, stay as they are, as do the class heads
            where the run, by its config.yaml, names other classes.

    Returns:
        A report as that of `lstd.load_tf1_checkpoint`, with places in the file for names.

    Raises:
        ValueError: the file cannot be read or does not fit, after which the weights are undefined;
            with "skip" only where most of the large network does not fit, on which all else is
            built, and nothing has changed then.
    """
    if on_mismatch not in ("raise", "skip"):
        raise ValueError(f"on_mismatch must be one of raise, skip, got {on_mismatch!r}")
    path = file_of(source)
    if on_mismatch == "skip":
        return _load_what_fits(model, path)
    return CheckpointReport(load(model, path), (), (), (), ())


def _load_what_fits(model: LSTMSSD, path: Path) -> CheckpointReport:
    import h5py  # comes with TensorFlow

    held, config = _arrays_in(path), path.parent / "config.yaml"
    run = load_config(config).model if config.is_file() else None
    if run is not None:
        shift = bool(model.config.fine_map) - bool(run.fine_map)
        held = {_with_head_moved(place, by=shift): array for place, array in held.items()}
    other_classes = run and run.labels and model.labels and run.labels != model.labels
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / f"own{SUFFIX}"
        model.save_weights(own)
        wanted = _arrays_in(own)
        fitting = {
            place: held[place]
            for place, array in wanted.items()
            if place in held
            and held[place].shape == array.shape
            and not (other_classes and place.startswith(_CLASS_HEADS))
        }
        _refuse_other_network(wanted, held, path, run)
        with reading(path, "Keras weights file"), h5py.File(own, "r+") as file:
            for place, array in fitting.items():
                file[place][...] = array
        model.load_weights(own)
    missing, unused = wanted.keys() - held.keys(), held.keys() - wanted.keys()
    mismatched = wanted.keys() & held.keys() - fitting.keys()
    groups = (fitting, missing, unused, mismatched, ())
    return CheckpointReport(*(tuple(sorted(group)) for group in groups))


def _with_head_moved(place: str, *, by: int) -> str:
    """Returns the place that a head of a map has in a model with so many maps more before it.

    >>> _with_head_moved("layers/box_predictor/box_heads/conv2d/vars/0", by=1)
    'layers/box_predictor/box_heads/conv2d_1/vars/0'
    """
    parts = place.split("/")
    if not by or parts[:2] != ["layers", "box_predictor"]:
        return place
    name, _, number = parts[3].rpartition("_")
    if not number.isdecimal():  # the first one has none
        name, number = parts[3], "0"
    moved = int(number) + by
    parts[3] = f"{name}_{moved}" if moved else name
    return "/".join(parts)


def _refuse_other_network(
    wanted: dict[str, np.ndarray], held: dict[str, np.ndarray], path: Path, run: ModelConfig | None
) -> None:
    """Raises where most variables of the large network are not in the file as the model has them.

    Raises:
        ValueError: says how many, and what to set.
    """
    large = [place for place in wanted if place.startswith(_LARGE)]
    fits = sum(place in held and held[place].shape == wanted[place].shape for place in large)
    if 2 * fits < len(large):
        cure = "take the weights of a run with the same backbone and depth_multipliers"
        if run is not None:
            widths = ",".join(map(str, run.depth_multipliers))
            cure += (
                f", or its network: --set model.backbone={run.backbone} --set "
                f"'model.depth_multipliers=[{widths}]' --set model.min_depth={run.min_depth}"
            )
        cure += ", or none: --set train.fine_tune.run="
        raise ValueError(
            f"{path}: holds {fits} of the {len(large)} variables of the large network in the "
            f"shapes that the model has; {cure}"
        )


def load(model: keras.Model, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the places in a weights file, from which it fills the model.

    After an error the model's weights are undefined.

    Raises:
        ValueError: the file is no weights file, or does not fit the model; names the first places
            that differ, with both shapes.
    """
    held = _arrays_in(path)
    try:
        model.load_weights(path)
        fits = len(held) == len(model.weights)
    except Exception as error:  # Keras, too, has many kinds.
        _refuse_other_shapes(model, held, path)
        with reading(path, "Keras weights file"):
            raise error
    if not fits:
        _refuse_other_shapes(model, held, path)
    return tuple(sorted(held))


def _arrays_in(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the weights in a file, by their places in it."""
    arrays = read_hdf5(path, "Keras weights file")
    return {place: a for place, a in arrays.items() if not place.startswith(_NOT_WEIGHTS)}


def _refuse_other_shapes(
    model: keras.Model, held: dict[str, np.ndarray], path: str | os.PathLike[str]
) -> None:
    """Raises where a file of the model would have other places and shapes."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / f"own{SUFFIX}"
        model.save_weights(own)
        wanted = _arrays_in(own)
    shapes = [{place: a.shape for place, a in arrays.items()} for arrays in (wanted, held)]
    lines = [
        f"{place} is {shapes[0].get(place, 'not')} in the model, "
        f"{shapes[1].get(place, 'not')} in the file"
        for place in {**wanted, **held}
        if shapes[0].get(place) != shapes[1].get(place)
    ]
    if lines:
        more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
        raise ValueError(f"{path}: the weights do not fit the model: {'; '.join(lines[:3])}{more}")
