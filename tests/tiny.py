"""Small models and clips for tests."""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, GroundTruth, LSTMState
from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.models.build import build_model
from lstd.models.lstm_ssd import LSTMSSD

CONFIG = ModelConfig(
    num_classes=2,
    input_height=64,
    input_width=64,
    depth_multipliers=(0.5, 0.35),
    min_depth=8,
    state_depth=16,
    feature_map_depth_multiplier=0.125,
)
FINE = dataclasses.replace(CONFIG, fine_map=8, anchors=AnchorConfig(num_layers=6))
FIRST_PAPER = dataclasses.replace(
    CONFIG,
    backbone="mobilenet_v1",
    lstm_cell="bottleneck",
    depth_multipliers=(0.25,),
    clip_state=False,
    pool_residual=False,
    feature_map_use_depthwise=True,
    feature_map_depths=(512, 256, 256, 128),
    train_schedule="LARGE",
    eval_schedule="LARGE",
)


def model(config: ModelConfig = CONFIG, *, seed: int = 0, **changes: Any) -> LSTMSSD:
    """Returns a built model whose batch norms and biases are not at their neutral start."""
    stateful = changes.pop("stateful", False)
    batch_size = changes.pop("batch_size", 1)
    keras.utils.set_random_seed(seed)
    built = build_model(
        dataclasses.replace(config, **changes), stateful=stateful, batch_size=batch_size
    )
    scramble(built, seed=seed)
    return built


@functools.cache
def shared(config: ModelConfig = CONFIG) -> LSTMSSD:
    """Returns such a model for all tests of a process, none of which changes it."""
    return model(config)


def scramble(built: keras.Model, *, seed: int = 0) -> None:
    """Gives all variables values at which every part of the model matters."""
    rng = np.random.default_rng(seed)
    for variable in built.weights:
        shape, name = variable.shape, variable.name
        if shape.rank == 0 or "sums" in name:
            continue  # a range of 8 bits
        if "gamma" in name or "variance" in name:
            variable.assign(rng.uniform(0.7, 1.5, shape))
        elif "beta" in name or "bias" in name:
            variable.assign(rng.normal(0.3, 0.4, shape))
        elif "moving_mean" in name:
            variable.assign(rng.normal(0.0, 0.2, shape))
        else:
            fan_in = np.prod(shape[:-2]) * (1 if "depthwise" in name else shape[-2])
            variable.assign(rng.normal(0.0, 1.0 / np.sqrt(fan_in), shape))


def clip(frames: int = 4, *, batch: int = 2, size: int = 64, seed: int = 0) -> np.ndarray:
    """Returns uint8 `[batch, frames, size, size, 3]` of soft noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (batch, frames, size // 8, size // 8, 3))
    return np.repeat(np.repeat(coarse, 8, axis=2), 8, axis=3).astype(np.uint8)


def state(built: LSTMSSD, batch: int = 2, *, seed: int = 0) -> LSTMState:
    """Returns a state of numbers in [0, 3]."""
    rng = np.random.default_rng(seed)
    shape = (batch, *built.state_grid, built.state_depth)
    return LSTMState(*(tf.constant(rng.uniform(0, 3, shape), tf.float32) for _ in "ch"))


def batch(
    frames: int = 4, *, batch_size: int = 2, starts: bool = True, seed: int = 0
) -> tuple[ClipBatch, GroundTruth]:
    """Returns clips with two boxes in each frame."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0.0, 0.5, (batch_size, frames, 2, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.2, 0.5, corner.shape)], axis=-1)
    begins = np.zeros((batch_size, frames), bool)
    begins[:, 0] = starts
    return (
        ClipBatch(
            tf.constant(clip(frames, batch=batch_size, seed=seed)),
            tf.constant(begins),
            tf.tile(tf.range(frames)[tf.newaxis], [batch_size, 1]),
            tf.constant([f"video {lane}" for lane in range(batch_size)]),
        ),
        GroundTruth(
            tf.constant(np.minimum(boxes, 1.0), tf.float32),
            tf.constant(rng.integers(0, 2, (batch_size, frames, 2)), tf.int32),
        ),
    )
