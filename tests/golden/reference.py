"""Where the golden numbers of the TensorFlow 1 original are; README.md here says what they are.

The whole set lies beside the repository, in `../shared/reference`. What the tests always need is
cut from it into `data/` here, under the same names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).resolve().parent / "data"
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
REFERENCE = SHARED / "reference"


def reference(name: str) -> Path:
    """Returns the path of a file of the whole set, else of the selection; else skips the test."""
    for folder in (REFERENCE, DATA):
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"needs {name} of the golden numbers in {REFERENCE}")


def reference_names(pattern: str) -> list[str]:
    """Returns the names of all files that fit, to parametrize a test with.

    Where there are none it is the pattern itself, so that `reference` skips the test.
    """
    found = {path.name for folder in (REFERENCE, DATA) for path in folder.glob(pattern)}
    return sorted(found) or [pattern]


def marked(cases: Sequence[Any], file: str) -> list[Any]:
    """Returns cases to parametrize a test with, slow where only the whole set has their file.

    `file` has a {} for each value of a case, such as "{}_train.npz".
    """
    found = []
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        is_here = (DATA / file.format(*values)).exists()
        found.append(pytest.param(*values, marks=() if is_here else pytest.mark.slow))
    return found


def arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Returns arrays of an `.npz` file by name, all of them or those asked for; closes the file."""
    with np.load(path) as file:
        return {name: file[name] for name in names or file.files}
