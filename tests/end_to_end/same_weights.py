"""What two runs left behind, compared bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np


def assert_same_weights(run: Path, other: Path, names: Sequence[str]) -> None:
    """Compares files of weights, such as "last.weights.h5", of two run folders."""
    for name in names:
        ours, wanted = _arrays(run / name), _arrays(other / name)
        assert wanted
        assert ours.keys() == wanted.keys()
        for place, array in wanted.items():
            np.testing.assert_array_equal(ours[place], array, err_msg=f"{name} {place}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found
