"""Frozen variables keep their values in training, the statistics of batch norm included."""

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.config.train_config import OptimizerConfig, TrainConfig
from lstd.fit.variables import names_of
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny


def _step(model: LSTMSSD) -> set[str]:
    """Returns the names of the variables that a training step changes."""
    model.compile(
        optimizer=lstd.build_optimizer(TrainConfig()),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
        run_eagerly=True,  # one step takes less time than a graph
    )
    before = {name: variable.numpy() for name, variable in names_of(model).items()}
    model.fit(tf.data.Dataset.from_tensors(tiny.batch(2)), verbose=0)
    after = names_of(model)
    return {name for name, value in before.items() if (after[name].numpy() != value).any()}


def test_only_what_is_not_frozen_changes_in_a_step() -> None:
    model = tiny.model(tiny.FIRST_PAPER)

    frozen = model.freeze(["^large/", "bias$", "^feature_maps/squeeze_1/moving_"])

    changed = _step(model)
    with pytest.raises(ValueError, match="freeze first, then compile"):
        model.freeze(["^large/"])
    assert changed
    assert not changed & set(frozen)
    assert not any(name.startswith("large/") or name.endswith("bias") for name in changed)
    # Of a batch norm with frozen statistics, gamma and beta still learn.
    squeeze = {name for name in changed if name.startswith("feature_maps/squeeze_1/")}
    assert squeeze == {f"feature_maps/squeeze_1/{part}" for part in ("kernel", "gamma", "beta")}
    assert "feature_maps/squeeze_2/moving_mean" in changed


def test_network_that_never_runs_stays_and_others_without_gradients_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = tiny.model(train_schedule="LARGE", schedule_counts="unroll")
    # Under Adam the gradient of L2 alone would move each kernel by the rate.
    optimizer = lstd.build_optimizer(TrainConfig(optimizer=OptimizerConfig(name="adam")))
    model.compile(optimizer, lstd.DetectionLoss.from_config(tiny.CONFIG))
    small = [*model.small.weights, *model.small_bottleneck.weights]
    before = [variable.numpy() for variable in small]
    first = model.large.first.convolution.kernel.numpy()
    logging.getLogger("tensorflow").addHandler(caplog.handler)

    model.train_step(tiny.batch(1))

    for variable, value in zip(small, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.name)
    assert (model.large.first.convolution.kernel.numpy() != first).any()
    assert not caplog.messages

    model.train_schedule = "SKIP9"  # which sees nothing but the first frames of clips here
    model.train_step(tiny.batch(1))
    assert "Gradients do not exist" in caplog.messages[0]
    assert "small/" in caplog.messages[0]
    logging.getLogger("tensorflow").removeHandler(caplog.handler)


def test_frozen_statistics_are_those_that_normalise() -> None:
    model, clip = tiny.model(tiny.FIRST_PAPER), tiny.batch(2)[0]
    model.freeze(["/moving_"])

    training, inference = (model(clip, training=flag).predictions for flag in (True, False))

    np.testing.assert_array_equal(training.class_logits, inference.class_logits)
    model.freeze([])
    free = model(clip, training=True).predictions
    assert np.abs(free.class_logits - inference.class_logits).max() > 0.1


@pytest.fixture(scope="module")
def shared() -> LSTMSSD:
    return tiny.model(tiny.FIRST_PAPER)


def test_order_and_number_of_all_variables_stay(shared: LSTMSSD) -> None:
    model = shared
    before, trainable = [id(v) for v in model.weights], len(model.trainable_variables)

    frozen = model.freeze(["kernel"])

    assert [id(v) for v in model.weights] == before
    assert len(model.trainable_variables) == trainable - len(frozen)
    counts = lstd.count(model)
    assert counts["trainable"] < counts["parameters"]
    assert {id(v) for v in model.trainable_weights + model.non_trainable_weights} == set(before)
    model.freeze([])


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["^lrge/"], r"no variable matches '\^lrge/'; did you mean '\^large/'\?; names begin with"),
        (["^large/", "("], r"'\(' is no regular expression: "),
        ([""], r"\[''\] leaves nothing to train"),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(
    shared: LSTMSSD, patterns: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        shared.freeze(patterns)
