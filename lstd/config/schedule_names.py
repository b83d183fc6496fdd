"""The interleave schedules by name: which there are, and which network sees which frame."""

import re
from collections.abc import Sequence

DEFAULT = "SKIP9"
"""Where nothing says which schedule: the second paper's, one large network in ten."""
_SKIP = re.compile(r"SKIP([0-9]{1,9})")  # nine digits fit in the int32 of a frame number


def check(name: str, *, where: str = "") -> None:
    """Raises unless `name` is a schedule: LARGE, SMALL, RANDOM..., or SKIPk.

    ADAPTIVE, which the second paper learns, is not available.
    """
    place = f"{where}: " if where else ""
    if name == "ADAPTIVE":
        raise ValueError(f"{place}the ADAPTIVE schedule is not available")
    if name in ("LARGE", "SMALL") or name.startswith("RANDOM") or _SKIP.fullmatch(name):
        return
    raise ValueError(
        f"{place}unknown schedule {name!r}; expected LARGE, SMALL, RANDOM or SKIPk with a number "
        "k of at most nine digits, such as SKIP3"
    )


def skip_of(name: str) -> int | None:
    """Returns k of SKIPk (0 for LARGE, which is the same as SKIP0), else None."""
    if name == "LARGE":
        return 0
    found = _SKIP.fullmatch(name)
    return int(found.group(1)) if found else None


ONLY = {
    "large": "one backbone, or only its large network was exported",
    "small": "only its small network, exported alone",
}
"""What a model with one network has, for messages."""


def check_follows(name: str, networks: Sequence[str], *, where: str = "schedule") -> None:
    """Raises ValueError unless it is a schedule, which a model with these networks can follow."""
    check(name, where=where)
    if len(networks) == 1 and networks_of(name) != tuple(networks):
        raise ValueError(
            f"{where}: {name} needs a large and a small network, but this model has "
            f"{ONLY[networks[0]]}; leave the schedule out, or say {networks[0].upper()}"
        )


def resolve(schedule: str | None, *, preferred: str | None, networks: tuple[str, ...]) -> str:
    """Returns the schedule that is followed: the one asked for, else the `preferred`, else SKIP9.

    Raises:
        ValueError: an unknown schedule, or one that needs a network that is not there.
    """
    if schedule is not None:
        check_follows(schedule, networks)
    if len(networks) == 1:
        return networks[0].upper()
    if schedule is None and preferred is not None:
        check(preferred, where="schedule in the model's metadata")
    return schedule or preferred or DEFAULT


def network_of(name: str, frame_number: int, *, seed: int | None = None) -> str | None:
    """Returns "large" or "small" for a frame of a video, counted from 0; None: chance decides.

    With a seed, RANDOM tosses a coin for each frame, always the same one for a seed and a number.
    """
    if name.startswith("RANDOM"):
        if seed is None:
            return None
        import numpy as np  # here, for --help does without

        return ("large", "small")[np.random.default_rng((seed, frame_number)).integers(2)]
    skipped = skip_of(name)
    return "small" if skipped is None or frame_number % (skipped + 1) else "large"


def networks_of(name: str) -> tuple[str, ...]:
    """Returns the networks that a schedule runs; a model with one of them follows no other."""
    if name == "SMALL":
        return ("small",)
    return ("large",) if skip_of(name) == 0 else ("large", "small")


def is_interleaved(name: str) -> bool:
    """Returns whether a schedule runs both networks."""
    return len(networks_of(name)) == 2
