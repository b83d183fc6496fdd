"""Interleave schedules."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from lstd.config import schedule_names
from lstd.ops import schedule

FRAMES = np.arange(10).reshape(2, 5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LARGE", [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        ("SMALL", [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]),
        ("SKIP0", [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        ("SKIP1", [[0, 1, 0, 1, 0], [1, 0, 1, 0, 1]]),
        ("SKIP3", [[0, 1, 1, 1, 0], [1, 1, 1, 0, 1]]),
        ("SKIP9", [[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]),
    ],
)
def test_networks_of_deterministic_schedules(name: str, expected: list[list[int]]) -> None:
    known = schedule.networks_of(name, FRAMES)
    assert isinstance(known, np.ndarray)
    assert known.dtype == np.int32
    np.testing.assert_array_equal(known, expected)
    for dtype in (tf.int32, tf.int64):
        tensor = schedule.networks_of(name, tf.constant(FRAMES, dtype))
        assert tf.is_tensor(tensor)
        assert tensor.dtype == tf.int32
        np.testing.assert_array_equal(tensor, expected)


def test_a_tensor_of_unknown_shape_is_served_in_a_graph() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None, tf.int32)])
    def networks(frames: tf.Tensor) -> tf.Tensor:
        return schedule.networks_of("SKIP1", frames), schedule.networks_of("SMALL", frames)

    skip, small = networks(tf.constant([[4, 5]]))
    np.testing.assert_array_equal(skip, [[0, 1]])
    np.testing.assert_array_equal(small, [[1, 1]])


def test_padding_is_small_unless_every_frame_is_large() -> None:
    for numbers in (np.array([-1]), tf.constant([-1])):
        np.testing.assert_array_equal(schedule.networks_of("SKIP3", numbers), [1])
        np.testing.assert_array_equal(schedule.networks_of("SKIP0", numbers), [0])


def test_an_int_and_a_list_are_known_numbers() -> None:
    assert schedule.networks_of("SKIP3", 4) == 0
    np.testing.assert_array_equal(schedule.networks_of("SKIP3", [3, 4]), [1, 0])
    assert schedule.networks_of("SKIP3", np.zeros([0, 4], int)).shape == (0, 4)


@pytest.mark.parametrize("name", ["RANDOM", "RANDOM_SKIP_SMALL", "RANDOM_anything"])
def test_random_is_a_fair_coin_for_each_frame(name: str) -> None:
    tf.random.set_seed(0)
    networks = schedule.networks_of(name, np.arange(4) + np.zeros([1000, 1], int))
    assert tf.is_tensor(networks)
    assert networks.dtype == tf.int32
    networks = networks.numpy()
    assert set(np.unique(networks)) == {0, 1}
    # Six standard deviations of 1000 tosses are 0.095.
    np.testing.assert_allclose(networks.mean(axis=0), 0.5, atol=0.095)
    np.testing.assert_allclose(np.corrcoef(networks.T) - np.eye(4), 0.0, atol=0.19)


def test_random_gives_the_large_network_the_share_that_was_asked_for() -> None:
    tf.random.set_seed(0)
    networks = schedule.networks_of("RANDOM", np.zeros([100, 100], int), large_probability=0.3)
    # Six standard deviations of 10,000 tosses are 0.027.
    np.testing.assert_allclose(np.mean(networks == 0), 0.3, atol=0.027)


def test_random_tosses_anew_at_every_call_of_a_graph() -> None:
    @tf.function
    def networks() -> tf.Tensor:
        return schedule.networks_of("RANDOM", tf.ones([64], tf.int32))

    assert (networks().numpy() != networks().numpy()).any()


@pytest.mark.parametrize(
    "name", ["ADAPTIVE", "SKIP", "SKIP-1", "skip3", "", "LARGEST", "SKIP1234567890", "SKIP\u0663"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        schedule.networks_of(name, FRAMES)


skips = st.integers(0, 12)
lengths = st.integers(1, 60)


@given(st.integers(0, 999_999_999))
def test_the_number_of_a_name_is_the_number_it_was_made_of(skip: int) -> None:
    schedule_names.check(f"SKIP{skip}")
    assert schedule_names.skip_of(f"SKIP{skip}") == skip
    # The largest period, too, is a number that NumPy and TensorFlow can divide by.
    assert schedule.networks_of(f"SKIP{skip}", 0) == schedule.LARGE
    assert schedule.networks_of(f"SKIP{skip}", tf.constant(skip + 1)) == schedule.LARGE
