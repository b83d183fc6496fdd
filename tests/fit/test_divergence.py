"""Training ends at the step that leaves the numbers, and says what broke."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.base.types import ClipBatch, GroundTruth
from lstd.config.train_config import TrainConfig
from lstd.fit.divergence import DivergedError, FiniteGuard
from lstd.fit.variable_names import names_of
from lstd.models.lstm_ssd import LSTMSSD
from tests import tiny

CLIP, TRUTH = tiny.batch(2)
FLOATS = CLIP._replace(frames=tf.cast(CLIP.frames, tf.float32))


@pytest.fixture(scope="module")
def model() -> LSTMSSD:
    """A model whose training step is traced once for all tests."""
    built = tiny.model(tiny.FIRST_PAPER)
    built.compile(
        optimizer=lstd.build_optimizer(TrainConfig()),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
    )
    return built


def _fit(model: LSTMSSD, clip: ClipBatch = FLOATS, truth: GroundTruth = TRUTH) -> dict[str, Any]:
    return model.fit(tf.data.Dataset.from_tensors((clip, truth)), verbose=0).history


def _broken(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the tensor with one number that is none."""
    values = tensor.numpy().copy()
    values.flat[5] = math.nan
    return tf.constant(values)


def _says(model: LSTMSSD, clip: ClipBatch = FLOATS, truth: GroundTruth = TRUTH) -> str:
    with pytest.raises(DivergedError) as raised:
        _fit(model, clip, truth)
    return str(raised.value)


def test_sound_step_trains_and_tells_the_norm_of_the_gradients(model: LSTMSSD) -> None:
    before = model.get_weights()

    history = _fit(model)

    assert history["gradient_norm"][0] > 0
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_true_boxes_that_are_none_are_named_with_the_clips(model: LSTMSSD) -> None:
    step, before = int(model.optimizer.iterations), [v.numpy() for v in model.trainable_variables]

    text = _says(model, truth=TRUTH._replace(boxes=_broken(TRUTH.boxes)))

    assert text.startswith(f"training diverged at step {step + 1} (localization nan, ")
    assert "the true boxes are the first that are not finite" in text
    assert "its clips: 'video 0' (frame 0 to frame 1), 'video 1' (frame 0 to frame 1)." in text
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert int(model.optimizer.iterations) == step


def test_frames_that_are_none_are_named(model: LSTMSSD) -> None:
    saved = model.get_weights()

    text = _says(model, FLOATS._replace(frames=_broken(FLOATS.frames)))

    assert "the frames are the first that are not finite" in text
    model.set_weights(saved)  # the statistics of batch norm saw the frames


@pytest.mark.parametrize(
    ("variable", "culprit"),
    [
        ("box_predictor/box_head_0/bias", "the box encodings are"),
        ("box_predictor/class_head_0/bias", "the class logits are"),
        ("cell/gates_0/bias", "the numbers in the LSTM state (of a backbone or the memory) are"),
    ],
)
def test_tensor_that_broke_first_is_named(model: LSTMSSD, variable: str, culprit: str) -> None:
    saved, broken = model.get_weights(), names_of(model)[variable]
    broken.assign(_broken(broken))

    text = _says(model)

    assert f"{culprit} the first that are not finite" in text
    model.set_weights(saved)


def test_names_of_frames_are_told_where_the_data_has_them(model: LSTMSSD) -> None:
    where = tf.constant([["a.mp4, frame 7", "a.mp4, frame 9"], ["b, frame 0", "b, frame 2"]])
    guard = FiniteGuard()

    with pytest.raises(tf.errors.InvalidArgumentError, match="training diverged at step 3"):
        _check(guard, {"loss": math.inf}, {"w": 1.0}, clip=CLIP._replace(where=where))

    assert "'video 0' (a.mp4, frame 7 to a.mp4, frame 9), 'video 1' (b, frame" in guard.finding


def _check(
    guard: FiniteGuard,
    losses: dict[str, float],
    gradients: dict[str, float],
    clip: Any = CLIP,
) -> None:
    @tf.function
    def step() -> tf.Tensor:
        return guard.check(
            {name: tf.constant(value) for name, value in losses.items()},
            {name: tf.constant(value) for name, value in gradients.items()},
            tensors={"frames": CLIP.frames},
            clip=clip,
            step=tf.constant(3, tf.int64),
        )

    step()


@pytest.mark.parametrize(
    ("losses", "gradients", "culprit"),
    [
        (
            {"localization": math.nan, "loss": math.nan},
            {"w": math.nan},
            "the localization loss is the first",
        ),
        (
            {"classification": 3e38, "loss": math.inf},
            {"w": 1.0},
            "(classification 3e+38, loss inf): the loss is the first",
        ),
        (
            {"loss": 1.0},
            {"large/kernel": math.inf, "cell/kernel": math.nan, "head/kernel": 1.0},
            "all losses are finite, 2 gradients are not, first that of cell/kernel;",
        ),
    ],
)
def test_loss_or_gradient_that_broke_first_is_named(
    losses: dict[str, float], gradients: dict[str, float], culprit: str
) -> None:
    guard = FiniteGuard()

    with pytest.raises(tf.errors.InvalidArgumentError):
        _check(guard, losses, gradients)

    assert culprit in guard.finding


def test_finite_numbers_pass_and_frames_need_no_names() -> None:
    guard = FiniteGuard()

    _check(guard, {"loss": 1.0}, {"w": 1.0}, clip=CLIP.frames)

    assert guard.finding == ""


@pytest.mark.parametrize("config", [tiny.CONFIG, tiny.FIRST_PAPER])
def test_every_variable_has_a_name_of_its_own(config: Any) -> None:
    built = tiny.model(config)

    names = names_of(built)

    assert len(names) == len(built.weights)
    assert {id(v) for v in names.values()} == {id(v) for v in built.weights}
    assert "large_bottleneck/group_0/depthwise" in names
    assert "feature_maps/squeeze_1/kernel" in names
