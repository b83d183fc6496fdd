"""Which variables of a model keep their values in training."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import tf_keras as keras

from lstd.fit.variable_names import names_of

_STATISTICS = ("moving_mean", "moving_variance")


def matching(model: keras.Model, patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the variables that any of the patterns matches, in the model's order.

    Args:
        model: built.
        patterns: regular expressions, searched for anywhere in a name such as
            `large/block_3/expand/kernel`; see `names_of`.

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
            raise ValueError(f"freeze: no variable matches {pattern!r}{_hint(pattern, names)}")
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


def _hint(pattern: str, names: Sequence[str]) -> str:
    parts = list(dict.fromkeys(name.split("/")[0] for name in names))
    word = re.sub(r"\W", "", pattern.split("/")[0])
    close = difflib.get_close_matches(word, parts, n=1)
    meant = f"; did you mean '^{close[0]}/'?" if close else ""
    return f"{meant}; names begin with {', '.join(parts)}, such as {names[0]}"
