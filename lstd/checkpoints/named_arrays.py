"""Where weights come from: a TF1 checkpoint, an .npz file, an HDF5 file, or a dict."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import tensorflow as tf

Source = Union[str, "os.PathLike[str]", Mapping[str, np.ndarray]]


class Weights(NamedTuple):
    """Named arrays that are read one by one.

    Attributes:
        name: what to call the source in a message.
        shapes: of every array, by its name.
        read: returns the array of a name.
    """

    name: str
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str, *, remedy: str = "") -> Iterator[None]:
    """Raises ValueError where the block finds a file damaged; `what` says what was expected.

    NumPy, h5py, Keras and TensorFlow raise errors of a dozen kinds then.
    """
    try:
        yield
    except Exception as error:
        told = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        reason = str(told).splitlines()[0][:300]
        raise ValueError(f"{path}: not a readable {what}: {reason}{remedy}") from None


def open_source(source: Source) -> Weights:
    """Returns the arrays of a checkpoint prefix, an `.npz` file or a dict.

    Raises:
        ValueError: there is no such file, or it is neither of these.
    """
    if isinstance(source, Mapping):
        return _of_arrays("the given dict", source)
    path = Path(source)
    if path.suffix == ".npz":
        # Opened here: NumPy leaves a damaged file open.
        with (
            reading(path, ".npz file of weights"),
            path.open("rb") as stream,
            np.load(stream, allow_pickle=False) as file,
        ):
            return _of_arrays(str(path), {name: file[name] for name in file.files})
    what = f"TF1 checkpoint (a prefix, of {path.name}.index and more) or .npz file"
    with reading(path, what):
        reader = tf.train.load_checkpoint(str(path))
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}

    def read(name: str) -> np.ndarray:
        with reading(path, "checkpoint"):
            return reader.get_tensor(name)

    return Weights(str(path), shapes, read)


def _of_arrays(name: str, given: Mapping[str, np.ndarray]) -> Weights:
    arrays = {key: np.asarray(array) for key, array in given.items()}
    return Weights(name, {key: array.shape for key, array in arrays.items()}, arrays.__getitem__)


def read_hdf5(path: str | os.PathLike[str], what: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an HDF5 file by their places in it.

    Raises:
        ValueError: it cannot be read; `what` says what was expected.
    """
    import h5py  # comes with TensorFlow

    arrays: dict[str, np.ndarray] = {}

    def visit(place: str | bytes, item: object) -> None:
        if isinstance(place, bytes):  # as h5py gives names that are not UTF-8
            raise ValueError(f"the name {place!r} is not text")
        if isinstance(item, h5py.Dataset):
            arrays[place] = np.asarray(item[()])

    with reading(path, what), h5py.File(path, "r") as file:
        file.visititems(visit)
    return arrays
