"""The optimizers against NumPy and Keras over several steps; rates that can be told by hand."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import LearningRateConfig, OptimizerConfig, TrainConfig
from lstd.training.optimizers import (
    Adam,
    AdamW,
    Hold,
    RMSProp,
    WarmUp,
    build_learning_rate,
    build_optimizer,
)

STEPS = 5


def _config(**optimizer: Any) -> TrainConfig:
    rate = LearningRateConfig(schedule="exponential", initial=0.1, decay_steps=2, decay_factor=0.5)
    return TrainConfig(optimizer=OptimizerConfig(**optimizer), learning_rate=rate)


def _gradients(seed: int = 0) -> list[list[np.ndarray]]:
    """Returns per step the gradients of two variables, the second large enough to be clipped."""
    rng = np.random.default_rng(seed)
    return [
        [rng.normal(0, 0.1, (3, 2)).astype(np.float32), rng.normal(0, 20, 4).astype(np.float32)]
        for _ in range(STEPS)
    ]


def _run(optimizer: keras.optimizers.Optimizer, names: tuple[str, str]) -> list[np.ndarray]:
    variables = [
        tf.Variable(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), name=names[0]),
        tf.Variable(np.linspace(2, 3, 4, dtype=np.float32), name=names[1]),
    ]
    for gradients in _gradients():
        optimizer.apply_gradients(zip(map(tf.constant, gradients), variables, strict=True))
    return [variable.numpy() for variable in variables]


def _clipped(gradient: np.ndarray, norm: float) -> np.ndarray:
    return gradient * min(1.0, norm / np.linalg.norm(gradient)) if norm else gradient


def _oracle_rms_prop(config: OptimizerConfig, decays: tuple[bool, bool]) -> list[np.ndarray]:
    values = [np.linspace(-1, 1, 6).reshape(3, 2), np.linspace(2, 3, 4)]
    mean_squares = [np.ones_like(value) for value in values]
    momenta = [np.zeros_like(value) for value in values]
    for step, gradients in enumerate(_gradients()):
        rate = 0.1 * 0.5 ** (step // 2)
        for k, gradient in enumerate(gradients):
            gradient = _clipped(gradient.astype(np.float64), config.clip_norm)
            if decays[k]:
                values[k] = values[k] * (1 - rate * config.weight_decay)
            mean_squares[k] = config.decay * mean_squares[k] + (1 - config.decay) * gradient**2
            scaled = gradient / np.sqrt(mean_squares[k] + config.epsilon)
            momenta[k] = config.momentum * momenta[k] + rate * scaled
            values[k] = values[k] - momenta[k]
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_norm": 0.0},
        {"clip_norm": 0.05},
        {"momentum": 0.0, "epsilon": 1e-3, "decay": 0.5},
        {"weight_decay": 0.3},
    ],
)
def test_rms_prop_is_the_formula(changes: dict[str, float]) -> None:
    config = OptimizerConfig(**changes)

    values = _run(build_optimizer(_config(**changes)), ("kernel", "bias"))

    # float32 against float64 over five steps of numbers around 1: some 1e-7 each.
    for ours, expected in zip(values, _oracle_rms_prop(config, (True, False)), strict=True):
        np.testing.assert_allclose(ours, expected, atol=3e-6)


@pytest.mark.parametrize(
    ("ours", "theirs", "settings"),
    [
        (Adam, keras.optimizers.Adam, {"beta_1": 0.5, "epsilon": 0.1}),
        (AdamW, keras.optimizers.AdamW, {"weight_decay": 0.1}),
    ],
)
@pytest.mark.parametrize("clipnorm", [None, 1.0])
def test_updates_equal_those_of_keras(
    ours: Any, theirs: Any, settings: dict[str, float], clipnorm: float | None
) -> None:
    results = [
        _run(kind(1e-2, clipnorm=clipnorm, jit_compile=False, **settings), ("kernel", "bias"))
        for kind in (ours, theirs)
    ]
    for mine, keras_own in zip(*results, strict=True):
        np.testing.assert_allclose(mine, keras_own, atol=1e-6)  # steps of 1e-2 in float32


def test_variable_without_a_gradient_stays_as_it_is() -> None:
    clipped = Adam(0.1, clipnorm=1.0, jit_compile=False)._clip_gradients([tf.constant(3.0), None])
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[0], 1.0)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_decay_leaves_batch_norm_alone(name: str) -> None:
    kinds = {"epsilon": 1e-7, "name": name}
    with_decay, without = (
        _run(build_optimizer(_config(**kinds, weight_decay=decay)), ("layer/kernel", "layer/gamma"))
        for decay in (0.3, 0.0)
    )
    assert np.abs(with_decay[0] - without[0]).max() > 1e-2
    np.testing.assert_array_equal(with_decay[1], without[1])


@pytest.mark.parametrize("name", ["rms_prop", "adam", "adamw"])
def test_optimizer_comes_back_from_its_own_config(name: str) -> None:
    rate = LearningRateConfig("exponential", 0.1, decay_steps=2, warmup_steps=3)
    optimizer = build_optimizer(dataclasses.replace(_config(name=name), learning_rate=rate))

    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))

    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert not again.get_config()["jit_compile"]  # XLA makes a step slower on a CPU
    assert not RMSProp(0.1).get_config()["jit_compile"]


def test_slots_survive_a_checkpoint_restored_before_they_exist(tmp_path: Path) -> None:
    # A restore that waits for the slots must not lose to their initial values.
    variable = tf.Variable([1.0, 2.0])
    optimizer = RMSProp(0.1)
    optimizer.apply_gradients([(tf.constant([3.0, 4.0]), variable)])
    path = tf.train.Checkpoint(optimizer=optimizer).save(str(tmp_path / "one"))

    again = RMSProp(0.1)
    status = tf.train.Checkpoint(optimizer=again).restore(path)
    again.build([tf.Variable([1.0, 2.0])])

    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(again._mean_squares[0], optimizer._mean_squares[0])
    np.testing.assert_array_equal(again._steps[0], optimizer._steps[0])
    assert float(again._mean_squares[0][0]) == pytest.approx(0.9 + 0.1 * 9)


# --- learning rates -------------------------------------------------------------------------------

EXPONENTIAL = {"schedule": "exponential", "decay_steps": 10}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({**EXPONENTIAL, "decay_factor": 0.5}, {0: 0.4, 9: 0.4, 10: 0.2, 25: 0.1}),
        ({**EXPONENTIAL, "decay_factor": 0.25, "staircase": False}, {0: 0.4, 5: 0.2, 10: 0.1}),
        ({"schedule": "cosine"}, {0: 0.4, 50: 0.2, 100: 0.0, 120: 0.0}),  # (1 + cos(pi/2)) / 2
        (
            {"schedule": "cosine", "hold_fraction": 0.4},
            {0: 0.4, 39: 0.4, 40: 0.4, 70: 0.2, 100: 0.0},
        ),
        (
            {"schedule": "cosine", "hold_fraction": 0.1, "warmup_steps": 20},
            {0: 0.0, 5: 0.1, 20: 0.4, 60: 0.2, 100: 0.0},
        ),
        ({"schedule": "constant", "warmup_steps": 4}, {0: 0.0, 1: 0.1, 2: 0.2, 4: 0.4, 5: 0.4}),
        ({"schedule": "exponential", "warmup_steps": 4}, {0: 0.0, 1: 0.1, 4: 0.4, 5: 0.4}),
        # The original's:
        (
            {"initial": 0.002},
            {0: 0.002, 199999: 0.002, 200000: 0.0019, 399999: 0.0019, 400000: 0.001805},
        ),
    ],
)
def test_rates_of_schedules(settings: dict[str, Any], expected: dict[int, float]) -> None:
    rate = build_learning_rate(LearningRateConfig(**{"initial": 0.4, **settings}), steps=100)

    found = {step: float(rate(tf.constant(step, tf.int64))) for step in expected}
    assert found == pytest.approx(expected, abs=1e-7)


def test_constant_rate_is_a_plain_number_and_a_cosine_that_only_holds_is_finite() -> None:
    assert build_learning_rate(LearningRateConfig("constant", 0.4), steps=100) == 0.4
    rate = build_learning_rate(LearningRateConfig("cosine", 0.4, warmup_steps=2), steps=2)
    assert [float(rate(step)) for step in (0, 2, 3)] == pytest.approx([0.0, 0.4, 0.0], abs=1e-7)


def test_wrappers_come_back_from_their_own_config() -> None:
    decay = keras.optimizers.schedules.CosineDecay(0.4, 60)
    schedule = WarmUp(Hold(decay, 40), 4)
    # As in the `.keras` files of before.
    assert set(schedule.get_config()) == {"after", "warmup_steps"}
    assert set(schedule.after.get_config()) == {"then", "hold_steps"}

    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))

    for step in (0, 2, 40, 70, 100):
        assert float(again(step)) == float(schedule(step))
