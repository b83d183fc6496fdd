"""Training ends at the step that leaves the numbers, and says on what."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.config.train_config import TrainConfig
from lstd.fit.divergence import DivergedError, FiniteGuard
from lstd.fit.variables import names_of
from tests import tiny

CLIP, TRUTH = tiny.batch(2)


def test_step_that_is_no_number_changes_no_weight_and_names_its_clips() -> None:
    model = tiny.model(tiny.FIRST_PAPER)
    model.compile(
        optimizer=lstd.build_optimizer(TrainConfig()),
        loss=lstd.DetectionLoss.from_config(tiny.FIRST_PAPER),
        run_eagerly=True,  # a step or two take less time than a graph
    )
    before = [v.numpy() for v in model.trainable_variables]
    boxes = TRUTH.boxes.numpy()
    boxes.flat[5] = math.nan
    broken = tf.data.Dataset.from_tensors((CLIP, TRUTH._replace(boxes=tf.constant(boxes))))

    with pytest.raises(DivergedError) as raised:
        model.fit(broken, verbose=0)

    text = str(raised.value)
    assert text.startswith("training diverged at step 1 (localization nan, ")
    assert "its clips: 'video 0' (frame 0 to frame 1), 'video 1' (frame 0 to frame 1)." in text
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert int(model.optimizer.iterations) == 0
    # The same model trains with what is sound.
    history = model.fit(tf.data.Dataset.from_tensors((CLIP, TRUTH)), verbose=0).history
    assert history["gradient_norm"][0] > 0
    moved = zip(model.trainable_variables, before, strict=True)
    assert any((variable.numpy() != value).any() for variable, value in moved)


def _check(numbers: dict[str, float], *, clip: Any = CLIP, own: Any = ()) -> str:
    """Returns what a guard finds in a step."""
    guard = FiniteGuard()

    @tf.function
    def step() -> tf.Tensor:
        tensors = {name: tf.constant(value) for name, value in numbers.items()}
        return guard.check(
            tensors, clip=clip, step=tf.constant(3, tf.int64), own=[tf.constant(x) for x in own]
        )

    if all(map(math.isfinite, numbers.values())):
        step()
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="training diverged at step 3"):
            step()
    return guard.finding


def test_numbers_and_frames_are_told_by_the_names_that_the_data_has() -> None:
    where = tf.constant([["a.mp4, frame 7", "a.mp4, frame 9"], ["b, frame 0", "b, frame 2"]])

    found = _check({"loss": 1.5, "gradient norm": math.inf}, clip=CLIP._replace(where=where))

    assert "at step 3 (loss 1.5, gradient norm inf); its clips: " in found
    assert "'video 0' (a.mp4, frame 7 to a.mp4, frame 9), 'video 1' (b, frame" in found


def test_finite_numbers_pass_and_frames_need_no_names() -> None:
    assert _check({"loss": 1.0}) == ""
    assert "(loss nan). No weight was changed" in _check({"loss": math.nan}, clip=CLIP.frames)


@pytest.mark.parametrize(("own", "guilty"), [([math.nan, 1.0], True), ([2.0, 1.0], False)])
def test_replica_whose_own_numbers_are_finite_blames_another(
    own: list[float], guilty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstd.fit.divergence._PATIENCE", 0.0)

    found = _check({"loss": math.nan}, own=own)

    assert ("'video 0'" in found) == guilty
    assert ("on the clips of another worker" in found) != guilty


@pytest.mark.parametrize("config", [tiny.CONFIG, tiny.FIRST_PAPER])
def test_every_variable_has_a_name_of_its_own(config: Any) -> None:
    built = tiny.shared(config)

    names = names_of(built)

    assert len(names) == len(built.weights)
    assert {id(v) for v in names.values()} == {id(v) for v in built.weights}
    assert "large_bottleneck/group_0/depthwise" in names
    assert "feature_maps/squeeze_1/kernel" in names
