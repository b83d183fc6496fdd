"""Which network runs on which frame."""

from __future__ import annotations

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
    by k + 1. A name that starts with RANDOM tosses a coin for each frame of each clip, at the time
    of the call; also for a video's first frame, as the original in fact did, so that the small
    network learns to do without a memory.

    Args:
        schedule: LARGE, SMALL, SKIPk, or any name that starts with RANDOM.
        frame_numbers: whole numbers, any shape: an int, a list, a NumPy array or a tensor. Below 0,
            where padding is, SKIPk goes on backwards: -1 is small unless k is 0.
        large_probability: of the coin; 0.5, a fair one, is the original's.
        uniform: takes a shape, draws from [0, 1) for the coin.

    Returns:
        int32 of the shape of `frame_numbers`. A tensor where `frame_numbers` is one and for a
        random schedule; otherwise a NumPy array, which the caller knows when it builds a graph.
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
