"""What `compile`, `fit`, `evaluate` and `save` refuse before they begin."""

import dataclasses
import importlib
from typing import Any

import pytest
import tensorflow as tf
import tf_keras as keras

import lstd
from lstd.fit import refusals
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training.optimizers import AdamW, RMSProp
from tests import tiny

NEW = importlib.import_module("keras")  # as a user's `import keras`, which is Keras 3
LOSS = lstd.DetectionLoss.from_config(tiny.FIRST_PAPER)


@pytest.fixture(scope="module")
def model() -> LSTMSSD:
    return tiny.model(tiny.FIRST_PAPER)


@pytest.fixture
def compiled(model: LSTMSSD) -> LSTMSSD:
    if getattr(model, "loss", None) is not LOSS:
        model.compile(lstd.build_optimizer(lstd.TrainConfig()), LOSS)
    return model


class _OfTheUser(NEW.callbacks.Callback):
    pass


def _of_keras_3(name: str) -> str:
    return rf"comes from Keras 3 .*`import tf_keras as keras`, then keras\.{name}$"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"optimizer": NEW.optimizers.Adam(1e-3)},
            "^optimizer: .*" + _of_keras_3("optimizers.Adam"),
        ),
        ({"optimizer": NEW.optimizers.Adam}, "^optimizer: .*" + _of_keras_3("optimizers.Adam")),
        ({"loss": NEW.losses.Huber()}, "^loss: .*" + _of_keras_3("losses.Huber")),
        ({"metrics": [NEW.metrics.Mean()]}, "^metrics: .*" + _of_keras_3("metrics.Mean")),
        ({"metrics": {"a": [NEW.metrics.Mean()]}}, "^metrics: .*" + _of_keras_3("metrics.Mean")),
        ({"loss": "mse"}, r"loss must be a lstd\.DetectionLoss, got 'mse'"),
        ({"metrics": ["accuracy"]}, r"metrics must be left out, got \['accuracy'\]"),
        ({"loss_weights": [1.0]}, "has classification_weight and localization_weight"),
        ({"accumulate_steps": 0}, "accumulate_steps must be at least 1, got 0"),
    ],
)
def test_what_compile_cannot_do_is_refused(model: LSTMSSD, arguments: Any, says: str) -> None:
    optimizer = lstd.build_optimizer(lstd.TrainConfig())
    with pytest.raises(ValueError, match=says):
        model.compile(**{"optimizer": optimizer, "loss": LOSS, **arguments})


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


def test_schedules_of_keras_3_are_found_in_optimizers() -> None:
    schedule, optimizer = NEW.optimizers.schedules.CosineDecay(0.1, 10), keras.optimizers.SGD(0.1)
    optimizer._learning_rate = schedule
    with pytest.raises(ValueError, match=r"learning_rate: CosineDecay .*schedules\.CosineDecay$"):
        refusals.refuse_keras_3("optimizer", optimizer)
    for kind in (RMSProp, AdamW):
        with pytest.raises(ValueError, match=r"learning_rate: CosineDecay .* Keras 3"):
            kind(schedule)


def test_class_that_keras_2_lacks_is_said() -> None:
    muon = type("Muon", (), {"__module__": "keras.src.optimizers.muon"})
    with pytest.raises(ValueError, match=r"keras\.optimizers has no Muon, take another"):
        refusals.refuse_keras_3("optimizer", muon())


def test_objects_of_keras_2_pass() -> None:
    adam, history = keras.optimizers.Adam(), keras.callbacks.History()
    for given in (None, "adam", [], adam, [history], {"a": 1}, LOSS):
        refusals.refuse_keras_3("anything", given)


@pytest.mark.parametrize("name", ["fit", "evaluate"])
def test_data_and_models_that_cannot_be_trained_are_refused(model: LSTMSSD, name: str) -> None:
    clip, truth = tiny.batch(1)
    of = tf.data.Dataset.from_tensors
    model.compile(optimizer=lstd.build_optimizer(lstd.TrainConfig()))
    with pytest.raises(ValueError, match=rf"^{name} needs a loss.*loss=lstd\.DetectionLoss"):
        getattr(model, name)(of((clip, truth)), verbose=0)
    model.compile(lstd.build_optimizer(lstd.TrainConfig()), LOSS)
    with pytest.raises(ValueError, match=r"got one with sample weights.*leave them out"):
        getattr(model, name)(of((clip, truth, tf.ones([2]))), verbose=0)
    with pytest.raises(ValueError, match=r"^ground truth must be a lstd\.GroundTruth"):
        getattr(model, name)(of((clip, tuple(truth)[:2])))


def test_errors_of_data_and_step_come_without_the_code_around_them(compiled: LSTMSSD) -> None:
    clip, truth = tiny.batch(1)
    pixels = truth._replace(boxes=truth.boxes * 64)
    with pytest.raises(ValueError, match=r"^true boxes must be ymin.*of pixels"):
        compiled.evaluate(tf.data.Dataset.from_tensors((clip, pixels)), verbose=0)
    clip = clip._replace(frames=tf.concat([clip.frames] * 2, axis=-1))
    with pytest.raises(ValueError, match=r"^images must have 1 \(grey\) or 3"):
        compiled.evaluate(tf.data.Dataset.from_tensors((clip, truth)), verbose=0)


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
        (
            {"callbacks": [keras.callbacks.History(), _OfTheUser()]},
            r"^callbacks: _OfTheUser, derived from Callback, comes from Keras 3 \(package keras\)",
        ),
        ({"callbacks": [NEW.callbacks.TerminateOnNaN()]}, _of_keras_3("callbacks.TerminateOnNaN")),
    ],
)
def test_what_fit_cannot_do_is_refused(compiled: LSTMSSD, arguments: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compiled.fit(None, **arguments)


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
