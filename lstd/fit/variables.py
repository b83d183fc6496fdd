"""What the variables of a model are called, and which of them keep their values in training."""

import difflib
import re
from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras


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


def matching(model: keras.Model, patterns: Sequence[str]) -> dict[str, tf.Variable]:
    """Returns the variables that any of the patterns matches by name, in the model's order.

    Raises:
        ValueError: a pattern that is no regular expression, or that matches nothing.
    """
    named, found = names_of(model), set()
    for pattern in patterns:
        try:
            matches = {name for name in named if re.search(pattern, name)}
        except re.error as error:
            raise ValueError(f"freeze: {pattern!r} is no regular expression: {error}") from None
        if not matches:
            parts = list(dict.fromkeys(name.split("/")[0] for name in named))
            close = difflib.get_close_matches(re.sub(r"\W", "", pattern.split("/")[0]), parts, n=1)
            meant = f"; did you mean '^{close[0]}/'?" if close else ""
            raise ValueError(
                f"freeze: no variable matches {pattern!r}{meant}; names begin with "
                f"{', '.join(parts)}, such as {next(iter(named))}"
            )
        found |= matches
    return {name: variable for name, variable in named.items() if name in found}


def freeze_statistics(model: keras.Model, frozen: set[int]) -> None:
    """Lets batch norms and ranges of 8 bits whose statistics are among the ids use them as is."""
    for layer in model.submodules:
        statistics = getattr(layer, "statistics", ())
        if statistics:
            layer.frozen_statistics = not frozen.isdisjoint(map(id, statistics))
