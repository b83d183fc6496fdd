"""What the variables of a model are called, and which of them keep their values in training."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

_STATISTICS = ("moving_mean", "moving_variance")


def names_of(model: keras.Model) -> dict[str, tf.Variable]:
    """Returns all variables by name, such as `large/block_3/expand/kernel`.

    The name begins with the part of the model, in the order of the parts. Keras's own names do so
    only for parts that were built inside the model.
    """
    named = {}
    for part in model.layers:
        for variable in part.weights:
            name = variable.name.split(":")[0].removeprefix(f"{model.name}/")
            named[name if name.startswith(f"{part.name}/") else f"{part.name}/{name}"] = variable
    return named


def matching(model: keras.Model, patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the variables that any of the patterns matches, in the model's order.

    Raises:
        ValueError: a pattern that is no regular expression, or that matches nothing.
    """
    names = tuple(names_of(model))
    found: set[str] = set()
    for pattern in patterns:
        try:
            matches = {name for name in names if re.search(pattern, name)}
        except re.error as error:
            raise ValueError(f"freeze: {pattern!r} is no regular expression: {error}") from None
        if not matches:
            parts = list(dict.fromkeys(name.split("/")[0] for name in names))
            close = difflib.get_close_matches(re.sub(r"\W", "", pattern.split("/")[0]), parts, n=1)
            meant = f"; did you mean '^{close[0]}/'?" if close else ""
            raise ValueError(
                f"freeze: no variable matches {pattern!r}{meant}; names begin with "
                f"{', '.join(parts)}, such as {names[0]}"
            )
        found |= matches
    return tuple(name for name in names if name in found)


def freeze_statistics(model: keras.Model, frozen: Sequence[str]) -> None:
    """Lets every batch norm whose statistics are among the names normalise with what they are."""
    chosen = {id(v) for name, v in names_of(model).items() if name in frozen}
    for layer in model.submodules:
        norm = getattr(layer, "batch_norm", None)
        if norm is not None:
            layer.frozen_statistics = any(
                id(variable) in chosen
                for variable in norm.weights
                if variable.name.split(":")[0].endswith(_STATISTICS)
            )
