"""Callbacks that would do nothing with a model, or end its run, said before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.fit import keras_3


def refuse(callbacks: Any, optimizer: Any) -> None:
    """Raises for a callback that cannot do what it is there for.

    Args:
        callbacks: what `fit` was given.
        optimizer: of the model.

    Raises:
        ValueError: a callback of Keras 3; one that sets the learning rate, where the optimizer
            follows a schedule; a `ModelCheckpoint` of whole models in another form than `.keras`.
    """
    keras_3.refuse("callbacks", callbacks)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(optimizer, "_learning_rate", None)
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
    """Raises unless a whole model can be saved under this name.

    Raises:
        ValueError: another form than `.keras`; names what works.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"{who}: {path}: a whole model is saved as {path.with_suffix('.keras').name}. "
            "Keras's own SavedModel and HDF5 cannot hold it; for weights alone take "
            "save_weights_only=True or model.save_weights, and a name that ends in .weights.h5; to "
            "serve it, lstd.export_saved_model"
        )
