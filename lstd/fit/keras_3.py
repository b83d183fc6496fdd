"""Objects of Keras 3, which a Keras 2 model takes and then fails on without saying why."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

# Where the classes are to be found, the longest place first.
_PLACES = ("optimizers.schedules", "optimizers", "callbacks", "metrics", "losses")


def refuse(what: str, given: Any) -> None:
    """Raises if `given`, or anything in its lists and dicts, is of Keras 3.

    Args:
        what: the argument's name, for the message.
        given: any object, a class derived from one of Keras 3 included.

    Raises:
        ValueError: says which object, and which import would be right.
    """
    for item in tf.nest.flatten(given):
        base = _base_of(item)
        if base is not None:
            raise ValueError(_explain(what, item, base))
    rate = getattr(given, "_learning_rate", None)  # a schedule hides in its optimizer
    if _base_of(rate) is not None:
        refuse(f"{what}'s learning_rate", rate)


def _base_of(item: Any) -> type | None:
    """Returns the class of Keras 3 that an object is made from."""
    kind = item if isinstance(item, type) else type(item)
    return next((base for base in kind.__mro__ if base.__module__.split(".")[0] == "keras"), None)


def _explain(what: str, item: Any, base: type) -> str:
    name = (item if isinstance(item, type) else type(item)).__name__
    derived = f", derived from {base.__name__}," if name != base.__name__ else ""
    return (
        f"{what}: {name}{derived} comes from Keras 3 (package keras), but this model is Keras 2 "
        f"(package tf_keras): {_right_import(base)}"
    )


def _right_import(base: type) -> str:
    for place in _PLACES:
        if f".{place}." in f"{base.__module__}.":
            module = keras
            for part in place.split("."):
                module = getattr(module, part)
            if hasattr(module, base.__name__):
                return f"`import tf_keras as keras`, then keras.{place}.{base.__name__}"
            return f"`import tf_keras as keras`; keras.{place} has no {base.__name__}, take another"
    return "`import tf_keras as keras` and take it from there"
