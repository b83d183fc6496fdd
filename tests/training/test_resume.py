"""Checkpoints of a run, and when it can go on from them."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf

from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import LearningRateConfig, OptimizerConfig, TrainConfig
from lstd.training.keep_weights import Averages
from lstd.training.optimizers import build_optimizer
from lstd.training.resume import (
    Checkpoints,
    apply_constant_rate,
    first_place,
    last_checkpoint,
    place_after,
    refuse_other_model,
)
from tests.training import doubles


def test_averages_asked_for_later_start_at_the_weights(tmp_path: Path) -> None:
    model = doubles.line()
    doubles.fit(model, [Checkpoints(tmp_path, model)])

    again = doubles.line()
    averages = Averages(again.weights, decay=0.9)
    Checkpoints(tmp_path, again, averages=averages).restore(str(last_checkpoint(tmp_path)))

    for average, weight in zip(averages.values, model.weights, strict=True):
        np.testing.assert_array_equal(average.numpy(), weight.numpy())


@pytest.mark.parametrize(("schedule", "expected"), [("constant", 0.25), ("cosine", 0.5)])
def test_constant_rate_is_the_config_one_and_schedules_stay(
    schedule: Literal["constant", "cosine"], expected: float
) -> None:
    optimizer = build_optimizer(TrainConfig(learning_rate=LearningRateConfig(schedule, 0.5)))

    apply_constant_rate(optimizer, LearningRateConfig(schedule, 0.25))

    assert float(optimizer.learning_rate) == expected


def test_cut_off_checkpoint_is_named_and_without_it_the_one_before_counts(tmp_path: Path) -> None:
    model = doubles.line()
    checkpoints = Checkpoints(tmp_path, model, keep=2, place=first_place(_data()))
    doubles.fit(model, [checkpoints], epochs=2, steps=2)
    (tmp_path / "checkpoint").write_bytes(b"\xff")  # TensorFlow's list of them, as damaged
    path = tmp_path / "step-4.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:99])

    restored = Checkpoints(tmp_path, doubles.line(), keep=2)
    newest = str(last_checkpoint(tmp_path))
    told = "step-4: not a readable checkpoint: .*; without step-4.* the one before it counts"
    for read in (restored.restore, lambda path: place_after(path, _data())):
        with pytest.raises(ValueError, match=told):
            read(newest)
    for part in tmp_path.glob("step-4.*"):
        part.unlink()
    assert last_checkpoint(tmp_path) == str(tmp_path / "step-2")
    restored.restore(str(tmp_path / "step-2"))


def _data(batch_size: int = 2, seed: int = 3) -> Config:
    data = DataConfig(train=DatasetConfig(batch_size=batch_size))
    return Config(train=TrainConfig(seed=seed), data=data)


@pytest.fixture(scope="module")
def with_place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint after six batches, of which the run took two before it was interrupted once."""
    folder, model = tmp_path_factory.mktemp("place"), doubles.line()
    place = first_place(_data())._replace(batches=2)
    doubles.fit(model, [Checkpoints(folder, model, place=place)], epochs=2, steps=2)
    return str(last_checkpoint(folder))


def test_data_goes_on_after_the_batches_taken_and_other_data_starts_anew(with_place: str) -> None:
    assert place_after(with_place, _data()) == (first_place(_data())._replace(batches=6), [])
    for now, change in (
        (_data(batch_size=4), "data.train.batch_size was 2, is 4"),
        (_data(seed=7), "train.seed was 3, is 7"),
    ):
        place, changes = place_after(with_place, now)
        # In an order of its own: after four steps of this model.
        assert place == first_place(now)._replace(seed=now.train.seed + 4)
        assert changes == [change]


def test_state_of_other_data_is_not_restored(tmp_path: Path) -> None:
    model, state = doubles.line(), tf.Variable([1.0])
    doubles.fit(model, [Checkpoints(tmp_path, model, state={"carried": state})])
    path = str(last_checkpoint(tmp_path))
    again, other = doubles.line(), tf.Variable([5.0, 6.0])  # of another batch size
    checkpoints = Checkpoints(tmp_path, again, state={"carried": other})

    with pytest.raises(ValueError, match="step-4: does not fit this model and optimizer"):
        checkpoints.restore(path)
    checkpoints.restore(path, same_data=False)

    np.testing.assert_array_equal(other, [5.0, 6.0])
    np.testing.assert_array_equal(again.weights[0], model.weights[0])


CONSTANT = LearningRateConfig("constant", 0.1)
COSINE = LearningRateConfig("cosine", 0.1)


WARM = dataclasses.replace(CONSTANT, warmup_steps=5)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({}, {"optimizer": OptimizerConfig(name="adam")}, "optimizer.name was 'rms_prop', is 'ad"),
        (
            {"learning_rate": CONSTANT},
            {"learning_rate": COSINE},
            "learning_rate.schedule was 'constant', is 'cosine'; leave",
        ),
        (
            {"learning_rate": COSINE},
            {"learning_rate": CONSTANT},
            "learning_rate.schedule was 'cosine', is 'constant'; leave",
        ),
        (
            {"learning_rate": CONSTANT},
            {"learning_rate": WARM},
            "learning_rate.warmup_steps was 0, is 5; leave",
        ),
        ({"carry_state": False}, {"carry_state": True}, "carry_state was False, is True"),
        # All else may change.
        ({}, {"steps": 10, "seed": 3}, ""),
        ({"learning_rate": COSINE}, {"learning_rate": LearningRateConfig("exponential", 0.1)}, ""),
        ({"learning_rate": CONSTANT}, {"learning_rate": LearningRateConfig("constant", 0.2)}, ""),
        ({"learning_rate": WARM}, {"learning_rate": COSINE}, ""),
        ({"carry_state": True}, {"carry_state": False}, ""),
        ({"carry_state": False}, {"carry_state": True, "seed": 7}, ""),  # the data starts anew
    ],
)
def test_what_the_checkpoint_depends_on_may_not_change(
    old: dict[str, Any], new: dict[str, Any], told: str
) -> None:
    before, now = (Config(train=TrainConfig(**changes)) for changes in (old, new))

    refusal = f"run: cannot resume with another config: train.{told}"
    with pytest.raises(ValueError, match=refusal) if told else contextlib.nullcontext():
        refuse_other_model(before, now, where="run")


def test_other_model_is_refused_with_the_keys_that_differ() -> None:
    loss = dataclasses.replace(ModelConfig().loss, huber_delta=2.0)
    now = Config(model=ModelConfig(state_depth=64, loss=loss))

    with pytest.raises(ValueError, match="run: cannot resume with another config") as raised:
        refuse_other_model(Config(), now, where="run")
    assert "model.state_depth was 320, is 64" in str(raised.value)
    assert "model.loss.huber_delta was 1.0, is 2.0" in str(raised.value)
    assert "backbone" not in str(raised.value)
