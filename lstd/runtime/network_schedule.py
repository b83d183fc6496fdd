"""Which network sees which frame of a running video, without TensorFlow."""

from __future__ import annotations

import numpy as np

from lstd.config import schedule_names

ONLY = {
    "large": "one backbone, or only its large network was exported",
    "small": "only its small network, exported alone",
}
"""What a model with one network has, for messages."""


def network_of(schedule: str, frame_number: int, *, seed: int) -> str:
    """Returns "large" or "small" for a frame.

    LARGE and SMALL are constant. SKIPk runs the large network where the frame number is divisible
    by k + 1. RANDOM tosses a coin for each frame, always the same one for a seed and a number.

    Args:
        schedule: a name that `lstd.config.schedule_names.check` accepts.
        frame_number: counted from the start of the video, 0 first.
        seed: for RANDOM.
    """
    if schedule.startswith("RANDOM"):
        return ("large", "small")[np.random.default_rng((seed, frame_number)).integers(2)]
    skipped = schedule_names.skip_of(schedule)
    if skipped is None:
        return "small"
    return "large" if frame_number % (skipped + 1) == 0 else "small"


def resolve(schedule: str | None, *, preferred: str | None, networks: tuple[str, ...]) -> str:
    """Returns the schedule to follow.

    Args:
        schedule: what the user asked for; None: `preferred`, else SKIP9. A model with one backbone
            takes None or LARGE (SKIP0).
        preferred: what the model's metadata say, if anything.
        networks: ("large", "small"), ("large",) or ("small",), which takes None or SMALL.

    Raises:
        ValueError: an unknown schedule, or one that needs a small network that is not there.
    """
    if schedule is not None:
        schedule_names.check(schedule)
    if len(networks) == 2:
        if schedule is None and preferred is not None:
            schedule_names.check(preferred, where="schedule in the model's metadata")
        return schedule or preferred or schedule_names.DEFAULT
    only = networks[0].upper()
    is_only = schedule in (None, only) or (only == "LARGE" and schedule == "SKIP0")
    if not is_only:
        raise ValueError(
            f"schedule {schedule} needs a large and a small network, but this model has "
            f"{ONLY[networks[0]]}; leave the schedule out, or say {only}"
        )
    return only
