"""Learning rates at steps where they can be told by hand."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import LearningRateConfig
from lstd.training.learning_rate import Hold, WarmUp, build_learning_rate


def _rates(steps: list[int], *, run: int = 100, **config: Any) -> list[float]:
    rate = build_learning_rate(LearningRateConfig(initial=0.4, **config), steps=run)
    if isinstance(rate, float):
        return [rate] * len(steps)
    return [float(rate(tf.constant(step, tf.int64))) for step in steps]


def test_constant_rate_is_a_plain_number() -> None:
    assert build_learning_rate(LearningRateConfig("constant", 0.4), steps=100) == 0.4


def test_exponential_falls_in_stairs() -> None:
    rates = _rates([0, 9, 10, 25], schedule="exponential", decay_steps=10, decay_factor=0.5)

    assert rates == pytest.approx([0.4, 0.4, 0.2, 0.1])


def test_exponential_without_stairs_falls_all_the_time() -> None:
    rates = _rates(
        [0, 5, 10], schedule="exponential", decay_steps=10, decay_factor=0.25, staircase=False
    )

    assert rates == pytest.approx([0.4, 0.2, 0.1])


def test_default_is_the_original_schedule() -> None:
    rate = build_learning_rate(LearningRateConfig(), steps=400000)

    found = [float(rate(step)) for step in (0, 199999, 200000, 399999, 400000)]
    assert found == pytest.approx([0.002, 0.002, 0.0019, 0.0019, 0.001805])


def test_cosine_falls_to_zero_at_the_end_of_the_run() -> None:
    rates = _rates([0, 50, 100, 120], schedule="cosine")

    # (1 + cos(pi / 2)) / 2 is a half.
    assert rates == pytest.approx([0.4, 0.2, 0.0, 0.0], abs=1e-7)


def test_cosine_holds_before_it_falls() -> None:
    rates = _rates([0, 39, 40, 70, 100], schedule="cosine", hold_fraction=0.4)

    assert rates == pytest.approx([0.4, 0.4, 0.4, 0.2, 0.0], abs=1e-7)


def test_cosine_falls_after_a_warm_up_longer_than_the_hold() -> None:
    rates = _rates([0, 5, 20, 60, 100], schedule="cosine", hold_fraction=0.1, warmup_steps=20)

    assert rates == pytest.approx([0.0, 0.1, 0.4, 0.2, 0.0], abs=1e-7)


@pytest.mark.parametrize("schedule", ["constant", "exponential"])
def test_warm_up_rises_linearly_from_zero(schedule: str) -> None:
    rates = _rates([0, 1, 2, 4, 5], schedule=schedule, warmup_steps=4)

    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.4])


def test_cosine_that_holds_to_the_end_of_a_short_run_is_finite() -> None:
    assert _rates([0, 2, 3], run=2, schedule="cosine", warmup_steps=2) == pytest.approx(
        [0.0, 0.4, 0.0], abs=1e-7
    )


def test_wrappers_come_back_from_their_own_config() -> None:
    decay = keras.optimizers.schedules.CosineDecay(0.4, 60)
    schedule = WarmUp(Hold(decay, 40), 4)

    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))

    for step in (0, 2, 40, 70, 100):
        assert float(again(step)) == float(schedule(step))
