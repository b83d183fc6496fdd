"""Objects of Keras 3 are told from those of Keras 2, with the import that would be right."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import tf_keras as keras

import lstd
from lstd.config.train_config import TrainConfig
from lstd.fit import refusals
from lstd.models.lstm_ssd import LSTMSSD
from lstd.training.optimizers import AdamW, RMSProp
from tests import tiny

NEW = importlib.import_module("keras")  # as a user's `import keras`, which is Keras 3


@pytest.fixture(scope="module")
def model() -> LSTMSSD:
    return tiny.model(tiny.FIRST_PAPER)


LOSS = lstd.DetectionLoss.from_config(tiny.FIRST_PAPER)


@pytest.mark.parametrize(
    ("what", "given", "place"),
    [
        ("optimizer", NEW.optimizers.Adam(1e-3), "optimizers.Adam"),
        ("optimizer", NEW.optimizers.Adam, "optimizers.Adam"),
        ("loss", NEW.losses.Huber(), "losses.Huber"),
        ("metrics", [NEW.metrics.Mean()], "metrics.Mean"),
        ("metrics", {"a": [NEW.metrics.Mean()]}, "metrics.Mean"),
    ],
)
def test_compile_refuses_objects_of_keras_3(
    model: LSTMSSD, what: str, given: Any, place: str
) -> None:
    arguments = {"optimizer": lstd.build_optimizer(TrainConfig()), "loss": LOSS, what: given}

    with pytest.raises(ValueError, match=f"^{what}: ") as raised:
        model.compile(**arguments)

    assert str(raised.value).endswith(f"`import tf_keras as keras`, then keras.{place}")


def test_schedule_of_keras_3_is_found_in_its_optimizer() -> None:
    optimizer = keras.optimizers.SGD(0.1)
    optimizer._learning_rate = NEW.optimizers.schedules.CosineDecay(0.1, 10)

    with pytest.raises(ValueError, match=r"learning_rate: CosineDecay .*schedules\.CosineDecay$"):
        refusals.refuse_keras_3("optimizer", optimizer)


def test_our_optimizers_refuse_a_schedule_of_keras_3() -> None:
    schedule = NEW.optimizers.schedules.CosineDecay(0.1, 10)

    for kind in (RMSProp, AdamW):
        with pytest.raises(ValueError, match=r"learning_rate: CosineDecay .* Keras 3"):
            kind(schedule)


class _OfTheUser(NEW.callbacks.Callback):
    pass


@pytest.mark.parametrize("callback", [_OfTheUser(), NEW.callbacks.TerminateOnNaN()])
def test_fit_refuses_callbacks_of_keras_3(model: LSTMSSD, callback: Any) -> None:
    model.compile(optimizer=lstd.build_optimizer(TrainConfig()), loss=LOSS)

    with pytest.raises(ValueError, match=r"^callbacks: ") as raised:
        model.fit(None, callbacks=[keras.callbacks.History(), callback])

    assert "comes from Keras 3 (package keras)" in str(raised.value)
    if isinstance(callback, _OfTheUser):
        assert "_OfTheUser, derived from Callback," in str(raised.value)


def test_class_that_keras_2_lacks_is_said() -> None:
    muon = type("Muon", (), {"__module__": "keras.src.optimizers.muon"})

    with pytest.raises(ValueError, match=r"keras\.optimizers has no Muon, take another"):
        refusals.refuse_keras_3("optimizer", muon())


@pytest.mark.parametrize(
    "given",
    [None, "adam", [], keras.optimizers.Adam(), [keras.callbacks.History()], {"a": 1}, LOSS],
)
def test_objects_of_keras_2_pass(given: Any) -> None:
    refusals.refuse_keras_3("anything", given)


def test_other_losses_and_metrics_are_refused(model: LSTMSSD) -> None:
    with pytest.raises(ValueError, match=r"loss must be a lstd\.DetectionLoss, got 'mse'"):
        model.compile(loss="mse")
    with pytest.raises(ValueError, match=r"metrics must be left out, got \['accuracy'\]"):
        model.compile(loss=LOSS, metrics=["accuracy"])
