"""What `compile`, `fit` and `save` refuse: it would do nothing, or fail without saying why."""

from operator import attrgetter
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

# Where the classes of Keras 3 are to be found, the longest place first.
_PLACES = ("optimizers.schedules", "optimizers", "callbacks", "metrics", "losses")


def refuse_keras_3(what: str, given: Any) -> None:
    """Raises ValueError if `given`, or anything in its lists and dicts, is of Keras 3.

    A Keras 2 model takes such an object, and then fails on it.
    """
    rate = getattr(given, "_learning_rate", None)  # a schedule hides in its optimizer
    items = [(what, item) for item in tf.nest.flatten(given)] + [(f"{what}'s learning_rate", rate)]
    for name, item in items:
        kind = item if isinstance(item, type) else type(item)
        base = next((b for b in kind.__mro__ if b.__module__.split(".")[0] == "keras"), None)
        if base is None:
            continue
        place = next((p for p in _PLACES if f".{p}." in f"{base.__module__}."), None)
        cure = "`import tf_keras as keras`"
        if place is None:
            cure += " and take it from there"
        elif hasattr(attrgetter(place)(keras), base.__name__):
            cure += f", then keras.{place}.{base.__name__}"
        else:
            cure += f"; keras.{place} has no {base.__name__}, take another"
        derived = f", derived from {base.__name__}," if kind is not base else ""
        raise ValueError(
            f"{name}: {kind.__name__}{derived} comes from Keras 3 (package keras), but this "
            f"model is Keras 2 (package tf_keras): {cure}"
        )


def refuse_callbacks(callbacks: Any, optimizer: Any) -> None:
    """Raises ValueError for a callback that cannot do what it is there for.

    That is one of Keras 3; one that sets the learning rate, where the optimizer follows a schedule;
    a `ModelCheckpoint` of whole models in another form than `.keras`.
    """
    refuse_keras_3("callbacks", callbacks)
    rate = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    follows = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    sets_rate = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
    for callback in tf.nest.flatten(getattr(callbacks, "callbacks", callbacks)):
        name = type(callback).__name__
        if follows and isinstance(callback, sets_rate):
            raise ValueError(
                f"callbacks: {name} would do nothing, since the optimizer follows a schedule "
                f"({type(rate).__name__}), which sets the rate in each step: use one that holds a "
                "number, with train.learning_rate: {schedule: constant, warmup_steps: 0} for "
                "lstd.build_optimizer"
            )
        saves = isinstance(callback, keras.callbacks.ModelCheckpoint)
        if saves and not callback.save_weights_only:
            refuse_form(callback.filepath, f"callbacks: {name}")


def refuse_form(path: Any, who: str) -> None:
    """Raises ValueError unless a whole model can be saved under this name."""
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"{who}: {path}: a whole model is saved as {path.with_suffix('.keras').name}. "
            "Keras's own SavedModel and HDF5 cannot hold it; for weights alone take "
            "save_weights_only=True or model.save_weights, and a name that ends in .weights.h5; to "
            "serve it, lstd.export_saved_model"
        )
