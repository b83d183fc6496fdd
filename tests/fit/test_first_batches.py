"""What data of one's own is refused for, and what it is not."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.fit import batches, first_batches
from lstd.fit.first_batches import FirstBatches
from tests import tiny

BOX = np.array([0.5, 0.2, 0.75, 0.3])


FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 48, 64, 3)).astype(np.float32)


def _check(boxes: Any, classes: Any = 0, *, frames: np.ndarray = FRAMES) -> None:
    rows = np.array(boxes, np.float32)
    classes = np.broadcast_to(classes, rows.shape[:-1])
    truth = GroundTruth(rows, classes)
    first_batches.check_values(frames, truth, num_classes=3, any_before=False)


@pytest.mark.parametrize(
    ("boxes", "classes", "says"),
    [
        ([BOX * 64], 0, r"got \[32, 12.8, 48, 19.2\]: of pixels.*/ \[48, 64, 48, 64\]"),
        ([[0.5, 0.2, 0.25, 0.1]], 0, r"of y, x, height, width, give tf\.concat"),
        ([BOX, BOX[[2, 3, 0, 1]]], 0, r"got \[0.75, 0.3, 0.5, 0.2\], which has no area or is up"),
        ([BOX, BOX[[0, 1, 0, 3]]], 0, "has no area"),
        ([BOX, BOX], -1, "all classes of the true boxes are below 0.*classes are 0 to 2"),
        ([BOX, BOX], [1, 3], "classes hold 3, but must be below num_classes 3.*0-based"),
    ],
)
def test_boxes_that_mean_something_else_are_named(boxes: Any, classes: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _check(boxes, classes)


def test_padding_borders_and_what_the_step_tells_of_are_legal() -> None:
    _check([BOX, BOX * 64, BOX[::-1]], [2, -1, -1])
    _check([[0, 0, 1, 1], [-0.05, 0.9, 0.1, 1.02]])
    _check([[0, 0, 0, 0]], -1)
    _check([[np.nan, np.inf, 0, np.inf]])
    _check([BOX], frames=np.full([1, 1, 3, 3, 3], np.inf, np.float32))
    _check(np.zeros((2, 3, 0, 4)))


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (FRAMES / 255, r"scaled to \[0, 1\]; give frames \* 255"),
        (FRAMES / 127.5 - 1, "from -1 to 1: they look normalised"),
        (FRAMES / 64 - 2, "they look normalised"),
        (FRAMES * 257, "16 bit"),
    ],
)
def test_frames_in_another_range_are_named(frames: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _check([BOX], frames=frames)


def test_dark_frames_are_legal() -> None:
    nearly_black, overshoot, steps = FRAMES / 255 / 2, FRAMES * 1.02 - 3, FRAMES // 128
    for frames in (FRAMES, FRAMES * 0, steps, nearly_black, overshoot, steps.astype(np.uint8)):
        _check([BOX], frames=frames)


def _look(*, stateful: bool = False) -> FirstBatches:
    return FirstBatches(num_classes=2, stateful=stateful)


def test_dataset_is_passed_on_as_it_is_until_a_batch_is_refused() -> None:
    clip, truth = tiny.batch(1)
    bad = truth._replace(boxes=truth.boxes * 64)
    good, refused = (tf.data.Dataset.from_tensors((clip, each)) for each in (truth, bad))
    look = _look()

    batches = iter(look.watch(good.concatenate(refused)))

    for ours, theirs in zip(tf.nest.flatten(next(batches)), [*clip, *truth], strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(batches)
    assert "of pixels" in str(look.error)
    assert _look().watch(good.repeat(3)).cardinality() == 3


def test_batch_without_objects_is_legal_after_one_with_some() -> None:
    clip, truth = tiny.batch(1)
    empty, look = truth._replace(classes=truth.classes * 0 - 1), _look()
    look.look(clip, truth)
    look.look(clip, empty)
    with pytest.raises(ValueError, match="all classes"):
        _look().look(clip, empty)


def test_generators_and_arrays_are_looked_at_too() -> None:
    clip, truth = tiny.batch(1)
    bad = truth._replace(boxes=truth.boxes * 64)
    look = _look()
    with pytest.raises(ValueError, match="of pixels"):
        next(look.watch(iter([(clip, bad)])))
    assert "of pixels" in str(look.error)  # which Keras buries in an error of TensorFlow's
    with pytest.raises(ValueError, match="of pixels"):
        _look().watch((clip.frames.numpy(), bad))


def test_arrays_that_keras_takes_are_legal() -> None:
    clip, truth = (type(part)(*map(np.asarray, part)) for part in tiny.batch(1))
    _look().watch((clip.frames.astype(np.float64), truth))
    for given in (clip, clip.frames):  # of fit(x, y), whose ground truth comes apart
        assert _look().watch(given) is given


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda c, t: c, r"got one of a ClipBatch of 5 alone; without ground truth"),
        (lambda c, t: (c, (t.boxes, t.classes)), r"a tuple of 2: .*lstd\.GroundTruth\(\*truth\)"),
        (lambda c, t: ({"image": c.frames}, t), r"a dict of 'image': .*\(frames\['image'\], truth"),
        (lambda c, t: (c, {"bboxes": t.boxes}), r"a dict of 'bboxes'.*truth\['boxes'\]"),
        (lambda c, t: (c, t._replace(boxes=t.boxes[:, 0])), r"boxes must be \[B, T, M, 4\].*2, 4"),
        (lambda c, t: (c.frames[:, 0], t), r"^frames must be \[B, T, H, W, C\], got shape"),
        (lambda c, t: (tf.cast(c.frames, tf.float64), t), "uint8 or float32, got float64"),
    ],
)
def test_elements_of_another_form_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _look().watch(tf.data.Dataset.from_tensors(make(*tiny.batch(1))))


def test_memory_that_does_not_fit_the_clips_is_warned_of_once() -> None:
    clip, truth = (type(part)(*map(np.asarray, part)) for part in tiny.batch(1, starts=False))
    for look, given, says in (
        (_look(), clip, "stateless and begins each with an empty memory"),
        (_look(stateful=True), clip.frames, "bare frames never empties its memory"),
    ):
        with pytest.warns(UserWarning, match=says):
            look.look(given, truth)
        look.look(given, truth)  # warnings are errors
    padding = clip._replace(frame_index=clip.frame_index * 0 - 1)
    for look, given in ((_look(), padding), (_look(), clip.frames), (_look(stateful=True), clip)):
        look.look(given, truth)


def test_batch_that_replicas_cannot_share_is_told_of() -> None:
    uneven = tf.data.Dataset.range(3).batch(2)  # the last one has one clip
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        list(batches.split(uneven, 2, axis=0))
    assert batches.uneven(error.value).startswith(
        "a batch cannot be divided among 2 replicas or workers, such as a last one that is smaller"
    )
