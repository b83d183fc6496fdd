"""What `fit` and `evaluate` refuse before they begin."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.fit import refusals
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny


@pytest.fixture(scope="module")
def model() -> LSTMSSD:
    return tiny.model(tiny.FIRST_PAPER)


@pytest.mark.parametrize("name", ["fit", "evaluate"])
def test_model_without_a_loss_is_refused(model: LSTMSSD, name: str) -> None:
    model.compile(optimizer=lstd.build_optimizer(lstd.TrainConfig()))
    with pytest.raises(ValueError, match=rf"^{name} needs a loss.*loss=lstd\.DetectionLoss"):
        getattr(model, name)(tf.data.Dataset.from_tensors(tiny.batch(1)), verbose=0)


@pytest.mark.parametrize("name", ["fit", "evaluate"])
def test_sample_weights_are_refused(model: LSTMSSD, name: str) -> None:
    model.compile(
        lstd.build_optimizer(lstd.TrainConfig()), lstd.DetectionLoss.from_config(tiny.FIRST_PAPER)
    )
    dataset = tf.data.Dataset.from_tensors((*tiny.batch(1), tf.ones([2])))
    with pytest.raises(ValueError, match=r"got one with sample weights.*leave them out"):
        getattr(model, name)(dataset, verbose=0)


def _compiled(model: LSTMSSD) -> LSTMSSD:
    if not getattr(model, "loss", None):
        optimizer = lstd.build_optimizer(lstd.TrainConfig())
        model.compile(optimizer, lstd.DetectionLoss.from_config(tiny.FIRST_PAPER))
    return model


def test_data_that_is_meant_otherwise_is_refused_in_a_sentence(model: LSTMSSD) -> None:
    clip, truth = tiny.batch(1)
    pixels = tf.data.Dataset.from_tensors((clip, truth._replace(boxes=truth.boxes * 64)))
    with pytest.raises(ValueError, match=r"^true boxes must be ymin.*of pixels"):
        _compiled(model).evaluate(pixels, verbose=0)
    for name in ("fit", "evaluate"):
        with pytest.raises(ValueError, match=r"^ground truth must be a lstd\.GroundTruth"):
            getattr(model, name)(tf.data.Dataset.from_tensors((clip, tuple(truth)[:2])))


def test_errors_of_a_step_come_without_the_code_around_them(model: LSTMSSD) -> None:
    clip, truth = tiny.batch(1)
    frames = tf.concat([clip.frames] * 2, axis=-1)
    dataset = tf.data.Dataset.from_tensors((clip._replace(frames=frames), truth))
    with pytest.raises(ValueError, match=r"^images must have 1 \(grey\) or 3"):
        _compiled(model).evaluate(dataset, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"class_weight": {0: 1.0}}, "^class_weight is for labels of whole pictures"),
        (
            {"callbacks": [keras.callbacks.ReduceLROnPlateau()]},
            r"ReduceLROnPlateau would do nothing.*\(ExponentialDecay\).*schedule: constant",
        ),
        (
            {"callbacks": keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)},
            "LearningRateScheduler would do nothing",
        ),
        (
            {"callbacks": [keras.callbacks.ModelCheckpoint("runs/best.h5")]},
            r"ModelCheckpoint: runs/best\.h5: a whole model is saved as best\.keras",
        ),
        ({"callbacks": [keras.callbacks.ModelCheckpoint("best")]}, r"saved as best\.keras"),
    ],
)
def test_what_fit_cannot_do_is_refused(model: LSTMSSD, arguments: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _compiled(model).fit(tf.data.Dataset.from_tensors(tiny.batch(1)), **arguments)


def test_callbacks_that_work_are_let_through() -> None:
    rate = keras.callbacks.ReduceLROnPlateau()
    saving = keras.callbacks.ModelCheckpoint("best.keras")
    weights = keras.callbacks.ModelCheckpoint("best.weights.h5", save_weights_only=True)
    refusals.refuse_callbacks([rate, saving, weights], keras.optimizers.SGD(0.1))


def test_other_forms_of_a_whole_model_are_refused(model: LSTMSSD) -> None:
    for path in ("model", "model.h5"):
        with pytest.raises(ValueError, match=rf"^save: {path}: .* as model\.keras.*SavedModel"):
            model.save(path)
    with pytest.raises(ValueError, match=r"lstd\.export_saved_model\(model, 'out'\)"):
        model.export("out")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_classes": 5}, "the loss has num_classes 5, the model 2"),
        ({"input_width": 128}, r"the loss has 54 anchors, the model 36"),
        ({"box_scale_factors": (1.0, 1.0, 1.0, 1.0)}, r"box_scale_factors \(1\.0, .*\(10\.0, "),
        (
            {"anchors": dataclasses.replace(tiny.FIRST_PAPER.anchors, min_scale=0.3)},
            r"other anchors than the model, such as \[.*\] in the place of \[",
        ),
    ],
)
def test_loss_of_another_model_is_refused(model: LSTMSSD, changes: Any, says: str) -> None:
    loss = lstd.DetectionLoss.from_config(dataclasses.replace(tiny.FIRST_PAPER, **changes))
    with pytest.raises(ValueError, match=says):
        model.compile(lstd.build_optimizer(lstd.TrainConfig()), loss)


def test_weights_of_losses_are_refused(model: LSTMSSD) -> None:
    with pytest.raises(ValueError, match="has classification_weight and localization_weight"):
        model.compile(loss_weights=[1.0])
