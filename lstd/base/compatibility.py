"""Keras 2 and TensorFlow as lstd needs them, checked and set when lstd is imported.

Nothing here imports TensorFlow: versions come from the installed packages' metadata.
"""

import contextlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import metadata
from pathlib import PurePath
from typing import Any

# The packages that bring a module, by falling likelihood.
_PACKAGES = {
    "tensorflow": "tensorflow tensorflow-cpu tensorflow-macos tf-nightly tf-nightly-cpu",
    "tf_keras": "tf-keras tf-keras-nightly",
    "ai_edge_litert": "ai-edge-litert ai-edge-litert-nightly",
}
COMMANDS = ("train", "eval", "export", "detect", "data", "benchmark")
"""What comes after `lstd-`."""

KERAS_3_WARNING = (
    "tf.keras is Keras 3 in this process, but lstd's models are Keras 2: take optimizers, "
    "callbacks, schedules and metrics for them from `import tf_keras as keras`, or set "
    "TF_USE_LEGACY_KERAS=1 before tf.keras is first used (importing lstd first does)"
)


def ensure() -> None:
    """Checks the installed versions, and turns `tf.keras` into Keras 2 where that is still in time.

    Warns where it is not: then `tf.keras` is Keras 3, and its objects do not fit lstd's models.
    With LiteRT and neither of the two, nothing is checked: that is enough to run `.tflite` files.

    TensorFlow is also asked to keep the memory of its tensors: without a pool of its own, most of
    the time of an elementwise operation goes into fetching pages that glibc has just given back.
    `benchmarks/train_step.py` shows the difference; somebody who has set the variable keeps it.

    Raises:
        ImportError: TensorFlow or tf_keras is missing, or they are not of the same minor version.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    tensorflow, tf_keras = _version("tensorflow"), _version("tf_keras")
    if tensorflow is None and tf_keras is None and _version("ai_edge_litert") is not None:
        return
    check_versions(tensorflow=tensorflow, tf_keras=tf_keras)
    if not use_legacy_keras(os.environ, sys.modules):
        warnings.warn(KERAS_3_WARNING, stacklevel=3)


def check_versions(*, tensorflow: str | None, tf_keras: str | None) -> None:
    """Raises unless both are installed and of the same minor version.

    >>> check_versions(tensorflow="2.21.0", tf_keras="2.21.1")

    None stands for one that is not installed, "" for one that tells no version. The ImportError
    says what is installed, and which command mends it.
    """
    if tensorflow is None:
        raise ImportError("lstd needs TensorFlow, which is not installed: pip install tensorflow")
    wanted, found = (".".join((each or "").split(".")[:2]) for each in (tensorflow, tf_keras))
    command = f'pip install "tf-keras=={wanted}.*"' if wanted else "pip install tf-keras"
    if tf_keras is None:
        raise ImportError(
            "lstd needs tf_keras (Keras 2) of the same minor version as TensorFlow, and it is not "
            f"installed; TensorFlow is {tensorflow or 'of unknown version'}: {command}"
        )
    if wanted and found and wanted != found:
        raise ImportError(
            f"lstd needs TensorFlow and tf_keras of the same minor version, but TensorFlow is "
            f"{tensorflow} and tf_keras is {tf_keras}: {command}"
        )


def end_command(error: ImportError, argv: Sequence[str]) -> None:
    """Ends the process in one sentence where it is one of our commands; else returns.

    A command imports lstd before it can catch anything.

    Raises:
        SystemExit: code 2, as for everything that a command cannot do; not with LSTD_DEBUG=1.
    """
    program = PurePath(argv[0]).stem if argv else ""
    is_ours = program in [f"lstd-{name}" for name in COMMANDS]
    if is_ours and os.environ.get("LSTD_DEBUG") != "1":
        print(f"{program}: error: {error}", file=sys.stderr)
        raise SystemExit(2)


def use_legacy_keras(environment: MutableMapping[str, str], modules: Mapping[str, Any]) -> bool:
    """Returns whether `tf.keras` is Keras 2, after having asked TensorFlow for it if in time.

    TensorFlow decides when the first attribute of `tf.keras` is touched, not when it is imported:
    until then a loader stands in its place, then the module itself, which its name tells apart. The
    loader's attributes are TensorFlow's own business and may go; without them nothing is known, and
    that counts as in time. Somebody who has set TF_USE_LEGACY_KERAS to something else keeps it.
    """
    keras = getattr(modules.get("tensorflow"), "__dict__", {}).get("keras")
    known = getattr(keras, "__dict__", {})  # getattr on the loader itself would make it choose
    if known.get("_tfll_initialized") is not False:
        chosen = known.get("_tfll_keras_version") or str(known.get("__name__", ""))
        if chosen == "keras_3" or chosen.startswith("keras._tf_keras"):
            return False
        if chosen.partition(".")[0] in ("keras", "keras_2", "tf_keras"):
            return True
    # What TensorFlow takes for yes; anything else means Keras 3.
    return environment.setdefault("TF_USE_LEGACY_KERAS", "1") in ("1", "true", "True")


def _version(module: str) -> str | None:
    """Returns the version of an installed module, "" if it tells none, None if it is missing."""
    for name in _PACKAGES[module].split():
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    # A build of one's own may have no metadata.
    loaded = sys.modules.get(module)
    if loaded is not None:
        return str(getattr(loaded, "__version__", ""))
    return "" if importlib.util.find_spec(module) else None
