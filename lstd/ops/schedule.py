"""Which network runs on which frame."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.config import schedule_names

LARGE = 0
SMALL = 1


def networks_of(
    schedule: str,
    frame_numbers: Any,
    *,
    large_probability: float = 0.5,
    uniform: Callable[[tf.Tensor], tf.Tensor] = tf.random.uniform,
) -> Any:
    """Returns the network that a schedule runs on each frame, 0 large and 1 small.

    LARGE and SMALL are constant. SKIPk runs the large network where the frame number is divisible
    by k + 1. A name that starts with RANDOM tosses a coin for each frame at the time of the call;
    also for a video's first one, as the original in fact did, so that the small network learns to
    do without a memory.

    Frame numbers are whole, of any shape: an int, a list, an array or a tensor; below 0 SKIPk goes
    on backwards. `uniform` takes a shape and draws from [0, 1) for the coin.

    Returns int32 of their shape: a tensor where they are one and for a random schedule; otherwise
    a NumPy array, which the caller knows when it builds a graph.
    """
    schedule_names.check(schedule)
    if not tf.is_tensor(frame_numbers):
        frame_numbers = np.asarray(frame_numbers)
    if schedule.startswith("RANDOM"):
        drawn = uniform(tf.shape(frame_numbers))
        return tf.where(drawn < large_probability, LARGE, SMALL)
    skipped = schedule_names.skip_of(schedule)
    if tf.is_tensor(frame_numbers):
        if skipped is None:
            return tf.fill(tf.shape(frame_numbers), SMALL)
        return tf.where(tf.equal(frame_numbers % (skipped + 1), 0), LARGE, SMALL)
    if skipped is None:
        return np.full(frame_numbers.shape, SMALL, np.int32)
    return np.where(frame_numbers % (skipped + 1) == 0, LARGE, SMALL).astype(np.int32)
