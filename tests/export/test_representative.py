import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import ClipBatch, GroundTruth
from lstd.export import representative
from lstd.export.form import Form
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

RED = np.full([4, 6, 3], 200, np.uint8)


def _batch(starts: list[list[bool]], numbers: list[list[int]]) -> tuple[ClipBatch, GroundTruth]:
    lanes, frames = np.shape(starts)
    boxes = np.tile(np.array([[0.25, 0.5, 0.5, 1.0], [0, 0, 0, 0]]), (lanes, frames, 1, 1))
    return (
        ClipBatch(
            tf.zeros([lanes, frames, 4, 6, 3], tf.uint8),
            tf.constant(starts),
            tf.constant(numbers),
            tf.constant(["video"] * lanes),
        ),
        GroundTruth(
            tf.constant(boxes, tf.float32),
            tf.constant(np.tile(np.array([2, -1]), (lanes, frames, 1)), tf.int32),
        ),
    )


@pytest.mark.parametrize(
    ("data", "starts"),
    [
        ([RED, RED, RED], [0]),  # frames are one video
        (itertools.repeat(RED), [0]),
        (np.stack([np.stack([RED, RED])] * 2), [0, 2]),  # each clip is one
        (tf.data.Dataset.from_tensor_slices(np.stack([np.stack([RED, RED])] * 2)), [0, 2]),
        ([np.stack([np.stack([RED, RED])] * 2)], [0, 2]),
    ],
)
def test_frames_are_one_video_and_clips_one_each_up_to_the_limit(
    data: Any, starts: list[int]
) -> None:
    found = representative.read(data, limit=4)
    assert [place for place, frame in enumerate(found) if frame.starts] == starts
    firsts = [max(start for start in starts if start <= place) for place in range(len(found))]
    assert [frame.number for frame in found] == [p - s for p, s in enumerate(firsts)]
    assert len({frame.stream for frame in found[:2]}) == 1
    assert len(found) == (3 if isinstance(data, list) and len(data) == 3 else 4)
    assert {frame.truth for frame in found} == {None}


def test_clips_of_a_dataset_say_where_videos_start_and_padding_is_left_out() -> None:
    batch = _batch([[True, False], [False, True]], [[0, 1], [7, -1]])
    found = representative.read([batch], limit=9)
    told = [(frame.stream, frame.starts, frame.number) for frame in found]
    assert told == [(0, True, 0), (0, False, 1), (1, False, 7)]
    for frame in found:
        assert frame.truth is not None
        np.testing.assert_allclose(frame.truth["boxes"], [[1, 3, 2, 6]])  # pixels of 4 x 6
        assert frame.truth["classes"].tolist() == [2]
    assert representative.read([batch[0]], limit=1)[0].truth is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "representative_data is empty; give a dataset"),
        (iter(()), "representative_data is empty"),
        ("clips.tfrecord", "representative_data must be a dataset .* got str"),
        (7, "representative_data must be a dataset .* got int"),
        ([RED.astype(np.float64)], "frame 0 of representative_data must be uint8 .* got float64"),
        ([RED, RED.astype(np.int32)], "frame 1 of representative_data must be uint8 .* got int32"),
        ([np.zeros([4, 6, 4], np.uint8)], r"1 \(grey\) or 3 \(RGB\) channels .* \(4, 6, 4\)"),
        ([np.zeros([0, 6, 3], np.uint8)], r"has no pixels, its shape is \(0, 6, 3\)"),
        ([RED[..., 0]], r"element 0 of representative_data is ndarray of shape \(4, 6\)"),
        ([object()], "element 0 of representative_data is object"),
        ([RED.astype(np.float32) * 2], "must hold values from 0 to 255, got 400 to 400"),
        ([RED.astype(np.float32) / 255] * 2, r"lie in \[0, 1\]; expected raw frames"),
    ],
)
def test_data_that_no_model_takes_is_named(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        representative.read(data, limit=9)


def test_schedule_decides_and_the_state_is_carried() -> None:
    """A step that counts: the state it gets is the number of the stream's frames so far."""
    module = exports.module(TinyModel(), schedule="SKIP1")
    seen: list[tuple[str, float]] = []

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        seen.append((entry_point, float(inputs["lstm_c"].max())))
        return {"lstm_c_out": inputs["lstm_c"] + 1, "lstm_h_out": inputs["lstm_h"]}

    clips = [images(3).astype(np.uint8), images(2).astype(np.uint8)]
    frames = representative.read(clips, limit=9)
    assert len(list(representative.replay(module, frames, step))) == 5
    assert seen == [("large", 0), ("small", 1), ("large", 2), ("large", 0), ("small", 1)]


def test_a_random_schedule_falls_alike_whoever_replays_it() -> None:
    module = exports.module(TinyModel(), schedule="RANDOM")
    frames = representative.read([images(3).astype(np.uint8)] * 7, limit=21)
    first, second = (
        [name for name, *_ in representative.replay(module, frames, module.run)] for _ in range(2)
    )
    assert first == second
    assert set(first) == {"large", "small"}


@pytest.mark.parametrize("network", ["both", "small"])
@pytest.mark.parametrize("schedule", ["SMALL", "SKIP9", "SKIP1"])
def test_the_small_network_sees_states_that_the_large_one_wrote(
    network: str, schedule: str
) -> None:
    """Whether both are in the file or not, and also where the schedule never runs the large one."""
    module = exports.module(TinyModel(), schedule=schedule, form=Form(network=network))
    frames = representative.read([images(3).astype(np.uint8)], limit=9)
    given = list(_copied(representative.samples(module, frames)))
    states = [inputs["lstm_c"] for name, inputs in given if name == "small"]
    both = exports.module(TinyModel())
    expected = np.zeros([1, 1, 2, 4], np.float32)
    state = {"lstm_c": expected, "lstm_h": expected}
    for number, found in enumerate(states):
        np.testing.assert_allclose(found, expected, atol=1e-6)  # the same sums, traced twice
        if number == 0 or (schedule == "SKIP1" and number % 2 == 0):
            after = both.run("large", image=images(3)[number : number + 1], **state)
            expected = after["lstm_c_out"]
            state = {"lstm_c": expected, "lstm_h": after["lstm_h_out"]}
    assert expected.max() > 0.1


def _copied(samples: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inputs in samples:
        yield name, {key: np.array(value) for key, value in inputs.items()}


def test_frames_come_at_the_models_size_and_channels() -> None:
    grey = np.full([10, 20, 1], 9, np.uint8)
    found = representative.prepared(grey, (4, 6, 3))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full([1, 4, 6, 3], 9))
