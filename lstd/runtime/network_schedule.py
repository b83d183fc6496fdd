"""Which network sees which frame of a running video, without TensorFlow."""

from __future__ import annotations

import numpy as np

from lstd.config import schedule_names


def network_of(schedule: str, frame_number: int, *, seed: int) -> str:
    """Returns "large" or "small" for a frame, counted from 0 at the start of the video.

    RANDOM tosses a coin for each frame, always the same one for a seed and a number; the other
    schedules are `lstd.config.schedule_names.network_of`.
    """
    fixed = schedule_names.network_of(schedule, frame_number)
    if fixed is not None:
        return fixed
    return ("large", "small")[np.random.default_rng((seed, frame_number)).integers(2)]


def resolve(schedule: str | None, *, preferred: str | None, networks: tuple[str, ...]) -> str:
    """Returns the schedule to follow.

    Args:
        schedule: what the user asked for; None: `preferred`, else SKIP9.
        preferred: what the model's metadata say, if anything.
        networks: ("large", "small"), or a single one, for which `schedule` is None or its own.

    Raises:
        ValueError: an unknown schedule, or one that needs a network that is not there.
    """
    if schedule is not None:
        schedule_names.check_follows(schedule, networks)
    if len(networks) == 1:
        return networks[0].upper()
    if schedule is None and preferred is not None:
        schedule_names.check(preferred, where="schedule in the model's metadata")
    return schedule or preferred or schedule_names.DEFAULT
