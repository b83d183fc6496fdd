"""The names of the interleave schedules, and nothing else: what a config may say."""

from __future__ import annotations

import re

DEFAULT = "SKIP9"
"""Where nothing says which schedule: the second paper's, one large network in ten."""
_SKIP = re.compile(r"SKIP([0-9]{1,9})")  # nine digits fit in the int32 of a frame number


def check(name: str, *, where: str = "") -> None:
    """Raises unless `name` is a schedule: LARGE, SMALL, RANDOM..., or SKIPk.

    Raises:
        ValueError: names what was expected, what came and where; also for ADAPTIVE, which the
            second paper learns: it is not available.
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
