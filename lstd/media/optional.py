"""The optional packages behind `lstd.media`, or a message that says how to get them."""

import importlib
from typing import Any

_PACKAGES = {"av": "PyAV", "PIL": "Pillow"}


def load(module: str) -> Any:
    """Returns an imported module of PyAV (`av...`) or Pillow (`PIL...`).

    Raises:
        ImportError: the package is not installed; the message says what to install.
    """
    root = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != root:
            raise
        raise ImportError(
            f"video and images need {_PACKAGES[root]}, which is not installed; run "
            'pip install "lstd[video]"',
            name=root,
        ) from None
