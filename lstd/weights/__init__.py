"""Trained models that come with lstd: of each a folder as of a run, and its `.tflite`."""

import difflib
import os
from pathlib import Path

TFLITE = "model.tflite"


def list_weights() -> list[str]:
    """Returns the names of the trained models that come with lstd.

    A name does wherever a run folder does, in Python and in `--model`; what each was trained on is
    said in the README.md of its folder, `located(name)`.

    >>> "freedoom_s" in list_weights()
    True
    """
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/config.yaml"))


def located(path: str | os.PathLike[str], *, exported: bool = False) -> Path:
    """Returns the folder of a model that comes with lstd for its name, else the path as it is.

    With `exported` its `.tflite` instead. A file or folder of that name goes before.
    """
    if str(path) not in list_weights() or Path(path).exists():
        return Path(path)
    folder = Path(__file__).parent / str(path)
    return folder / TFLITE if exported else folder


def close_name(path: str | os.PathLike[str]) -> str:
    """Returns the closest name as the end of an error about a path; nothing where none is close."""
    close = difflib.get_close_matches(str(path), list_weights(), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}, which comes with lstd?" if close else ""
