"""The optimizers against NumPy, over several steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.config.train_config import LearningRateConfig, OptimizerConfig, TrainConfig
from lstd.training.optimizers import RMSProp, build_optimizer

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


def _oracle_adam(config: OptimizerConfig, decays: tuple[bool, bool]) -> list[np.ndarray]:
    values = [np.linspace(-1, 1, 6).reshape(3, 2), np.linspace(2, 3, 4)]
    first = [np.zeros_like(value) for value in values]
    second = [np.zeros_like(value) for value in values]
    for step, gradients in enumerate(_gradients()):
        rate = 0.1 * 0.5 ** (step // 2)
        for k, gradient in enumerate(gradients):
            gradient = _clipped(gradient.astype(np.float64), config.clip_norm)
            if decays[k]:
                values[k] = values[k] * (1 - rate * config.weight_decay)
            first[k] = config.beta_1 * first[k] + (1 - config.beta_1) * gradient
            second[k] = config.beta_2 * second[k] + (1 - config.beta_2) * gradient**2
            corrected = np.sqrt(1 - config.beta_2 ** (step + 1)) / (1 - config.beta_1 ** (step + 1))
            values[k] = values[k] - rate * corrected * first[k] / (
                np.sqrt(second[k]) + config.epsilon
            )
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


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_is_the_formula_with_decay_of_kernels_alone(name: str) -> None:
    changes: dict[str, Any] = {"name": name, "epsilon": 1e-7, "weight_decay": 0.3}

    values = _run(build_optimizer(_config(**changes)), ("layer/kernel", "layer/gamma"))

    expected = _oracle_adam(OptimizerConfig(**changes), (True, False))
    for ours, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=3e-6)


def test_adamw_without_weight_decay_is_adam() -> None:
    results = [
        _run(build_optimizer(_config(name=name, epsilon=1e-7)), ("kernel", "bias"))
        for name in ("adam", "adamw")
    ]

    for adam, adamw in zip(*results, strict=True):
        np.testing.assert_array_equal(adam, adamw)


def test_each_gradient_is_clipped_by_itself() -> None:
    # 3-4-0 has length 5 and is cut to length 1; 0.3 stays. A common clip would shrink both.
    optimizer = build_optimizer(
        TrainConfig(
            optimizer=OptimizerConfig(momentum=0.0, decay=0.5, epsilon=0.5, clip_norm=1.0),
            learning_rate=LearningRateConfig(schedule="constant", initial=1.0),
        )
    )
    long, short = tf.Variable([0.0, 0.0, 0.0]), tf.Variable([0.0])

    optimizer.apply_gradients([(tf.constant([3.0, 4.0, 0.0]), long), (tf.constant([0.3]), short)])

    # mean squares 0.5 + 0.5 g^2, plus epsilon 0.5: 1.18, 1.32 and 1.045 under the root.
    expected = [-0.6 / np.sqrt(1.18), -0.8 / np.sqrt(1.32), 0.0]
    np.testing.assert_allclose(long.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(short.numpy(), [-0.3 / np.sqrt(1.045)], rtol=1e-6)


def test_graph_and_eager_agree() -> None:
    def in_graph() -> list[np.ndarray]:
        optimizer = build_optimizer(_config())
        apply = optimizer.apply_gradients
        optimizer.apply_gradients = lambda pairs: tf.function(apply)(list(pairs))  # type: ignore
        return _run(optimizer, ("kernel", "bias"))

    for eager, graph in zip(
        _run(build_optimizer(_config()), ("kernel", "bias")), in_graph(), strict=True
    ):
        np.testing.assert_allclose(graph, eager, rtol=1e-6)


@pytest.mark.parametrize("name", ["rms_prop", "adam", "adamw"])
@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_optimizer_comes_back_from_its_own_config(name: str, warmup_steps: int) -> None:
    config = _config(name=name, weight_decay=0.1)
    config = dataclasses.replace(
        config,
        learning_rate=dataclasses.replace(config.learning_rate, warmup_steps=warmup_steps),
    )
    optimizer = build_optimizer(config)

    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))

    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()


def test_compilation_with_xla_is_off() -> None:
    assert not build_optimizer(_config()).get_config()["jit_compile"]
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
