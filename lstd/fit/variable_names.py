"""What the variables of a model are called, each by a name of its own."""

from __future__ import annotations

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
