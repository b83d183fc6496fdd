"""Where foreign weights come from: a TF1 checkpoint, an .npz file, or a dict."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
import tensorflow as tf

Source = Union[str, "os.PathLike[str]", Mapping[str, np.ndarray]]


BROKEN = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    tf.errors.OpError,
)
"""What NumPy, h5py, Keras and TensorFlow raise where a file of weights is none, or is damaged."""


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


def unreadable(path: str | os.PathLike[str], what: str, error: Exception) -> ValueError:
    """Returns the error for one of `BROKEN`; `what` says what was expected."""
    told = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    reason = str(told).splitlines()[0][:300]
    return ValueError(f"{path}: not a readable {what}: {reason}")


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Raises ValueError where the block finds the file damaged; see `unreadable`."""
    try:
        yield
    except BROKEN as error:
        raise unreadable(path, what, error) from None


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
    try:
        reader = tf.train.load_checkpoint(str(path))
    except BROKEN as error:
        raise ValueError(
            f"{path}: no TF1 checkpoint with this prefix (its files would be {path.name}.index and "
            f"{path.name}.data-00000-of-00001), and not an .npz file: {str(error).splitlines()[0]}"
        ) from None
    shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}

    def read(name: str) -> np.ndarray:
        with reading(path, "checkpoint"):
            return reader.get_tensor(name)

    return Weights(str(path), shapes, read)


def _of_arrays(name: str, given: Mapping[str, np.ndarray]) -> Weights:
    arrays = {key: np.asarray(array) for key, array in given.items()}
    return Weights(name, {key: array.shape for key, array in arrays.items()}, arrays.__getitem__)
