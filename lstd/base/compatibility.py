"""Keras 2 and TensorFlow as lstd needs them, checked when lstd is imported.

Nothing here imports TensorFlow: versions come from the installed packages' metadata.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import metadata
from pathlib import PurePath
from typing import Any

# The packages that bring the module, by falling likelihood.
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly", "tf-nightly-cpu")
_TF_KERAS = ("tf-keras", "tf-keras-nightly")
_LITERT = ("ai-edge-litert", "ai-edge-litert-nightly")

_LEGACY = "TF_USE_LEGACY_KERAS"
_YES = ("1", "true", "True")  # what TensorFlow takes for yes; anything else means Keras 3

_COMMANDS = ("train", "eval", "export", "detect", "data", "benchmark")

KERAS_3_WARNING = (
    "tf.keras is Keras 3 in this process, but lstd's models are Keras 2: take optimizers, "
    "callbacks, schedules and metrics for them from `import tf_keras as keras`, or set "
    "TF_USE_LEGACY_KERAS=1 before tf.keras is first used (importing lstd first does)"
)


def ensure() -> None:
    """Checks the installed versions, and turns `tf.keras` into Keras 2 where that is still in time.

    Warns where it is not: then `tf.keras` is Keras 3, and its objects do not fit lstd's models.
    With LiteRT and neither of the two, nothing is checked: that is enough to run `.tflite` files.

    Raises:
        ImportError: TensorFlow or tf_keras is missing, or they are not of the same minor version.
    """
    tensorflow, tf_keras = _version("tensorflow", _TENSORFLOW), _version("tf_keras", _TF_KERAS)
    if tensorflow is None and tf_keras is None and _version("ai_edge_litert", _LITERT) is not None:
        return
    check_versions(tensorflow=tensorflow, tf_keras=tf_keras)
    if not use_legacy_keras(os.environ, sys.modules):
        warnings.warn(KERAS_3_WARNING, stacklevel=3)


def check_versions(*, tensorflow: str | None, tf_keras: str | None) -> None:
    """Raises unless both are installed and of the same minor version.

    >>> check_versions(tensorflow="2.21.0", tf_keras="2.21.1")

    Args:
        tensorflow: version such as "2.21.0"; None: not installed; "": there, but without a version.
        tf_keras: likewise.

    Raises:
        ImportError: says what is installed, and which command mends it.
    """
    if tensorflow is None:
        raise ImportError("lstd needs TensorFlow, which is not installed: pip install tensorflow")
    wanted = _minor(tensorflow)
    command = f'pip install "tf-keras=={wanted}.*"' if wanted else "pip install tf-keras"
    if tf_keras is None:
        raise ImportError(
            "lstd needs tf_keras (Keras 2) of the same minor version as TensorFlow, and it is not "
            f"installed; TensorFlow is {tensorflow or 'of unknown version'}: {command}"
        )
    found = _minor(tf_keras)
    if wanted and found and wanted != found:
        raise ImportError(
            f"lstd needs TensorFlow and tf_keras of the same minor version, but TensorFlow is "
            f"{tensorflow} and tf_keras is {tf_keras}: {command}"
        )


def end_command(error: ImportError, argv: Sequence[str]) -> None:
    """Ends the process in one sentence where it is one of our commands; else returns.

    A command imports lstd before it can catch anything.

    Args:
        error: of `ensure`.
        argv: `sys.argv`.

    Raises:
        SystemExit: code 2, as for everything that a command cannot do; not with LSTD_DEBUG=1.
    """
    program = PurePath(argv[0]).stem if argv else ""
    if program not in [f"lstd-{name}" for name in _COMMANDS] or os.environ.get("LSTD_DEBUG") == "1":
        return
    print(f"{program}: error: {error}", file=sys.stderr)
    raise SystemExit(2)


def use_legacy_keras(environment: MutableMapping[str, str], modules: Mapping[str, Any]) -> bool:
    """Returns whether `tf.keras` is Keras 2, after having asked TensorFlow for it if in time.

    TensorFlow decides when the first attribute of `tf.keras` is touched, not when it is imported.
    Somebody who has set TF_USE_LEGACY_KERAS to something else keeps it.

    Args:
        environment: TF_USE_LEGACY_KERAS=1 is added here when it is in time.
        modules: `sys.modules`.
    """
    chosen = _chosen_keras(modules.get("tensorflow"))
    if chosen is not None:
        return chosen != "keras_3"
    return environment.setdefault(_LEGACY, "1") in _YES


def _chosen_keras(tensorflow: Any) -> str | None:
    """Returns "keras_3", "keras_2" or "tf_keras" when TensorFlow has already chosen, else None.

    Until the first attribute of `tf.keras` is touched, a loader stands in its place; then the
    module itself, which its name tells apart. The loader's attributes are TensorFlow's own business
    and may go; without them nothing is known, and that counts as not chosen.
    """
    keras = getattr(tensorflow, "__dict__", {}).get("keras")
    known = getattr(keras, "__dict__", {})  # getattr on the loader itself would make it choose
    if known.get("_tfll_initialized") is False:
        return None
    if isinstance(known.get("_tfll_keras_version"), str):
        return str(known["_tfll_keras_version"])
    name = str(known.get("__name__", ""))
    if name.startswith("keras._tf_keras"):
        return "keras_3"
    return {"tf_keras": "tf_keras", "keras": "keras_2"}.get(name.partition(".")[0])


def _minor(version: str) -> str:
    """Returns "2.21" of "2.21.0rc1", "" of "" (no version)."""
    return ".".join(version.split(".")[:2])


def _version(module: str, distributions: tuple[str, ...]) -> str | None:
    """Returns the version of an installed module, "" if it tells none, None if it is missing."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    # A build of one's own may have no metadata.
    loaded = sys.modules.get(module)
    if loaded is not None:
        return str(getattr(loaded, "__version__", ""))
    return "" if importlib.util.find_spec(module) else None
