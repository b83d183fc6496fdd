"""What `fit` and `evaluate` refuse before they begin."""

from __future__ import annotations

import pytest
import tensorflow as tf

import lstd
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
