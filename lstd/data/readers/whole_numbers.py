"""Numbers of label files, and whole ones, checked before they become int32."""

from __future__ import annotations

import math
from typing import Any

from lstd.base import limits


def number(said: Any, what: str) -> float:
    """Returns what a file says as a number, which may be none that is finite.

    Args:
        said: a number or its spelling; None where it is missing.
        what: where it stands, and its name.

    Raises:
        ValueError: it is no number.
    """
    try:
        return float(said)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} is {said!r:.80}, expected a number") from None


def whole(value: float, *, what: str, least: int | None = 0, most: int = limits.WHOLE) -> int:
    """Returns a number as an integer.

    Args:
        value: as the file says it.
        what: where it stands, its name, and how it is spelled: "a.csv, line 3: frame is x".
        least: the smallest that is allowed; None: any.
        most: the largest one.

    Raises:
        ValueError: it is not whole, not finite, or beyond its bounds.

    >>> whole(3.0, what="a.csv, line 3: frame is '3.0'")
    3
    """
    if not math.isfinite(value) or value != int(value) or not _lowest(least) <= value <= most:
        bounds = f"of at most {most}" if least is None else f"from {least} to {most}"
        raise ValueError(f"{what}, expected a whole number {bounds}")
    return int(value)


def track_id(value: float, *, what: str) -> int:
    """Returns an identity as an int32 holds it; -1, unknown, for every number below 0.

    Raises:
        ValueError: as `whole`; ids that are hashes have to be numbered anew.
    """
    return max(whole(value, what=what, least=None), -1)


def _lowest(least: int | None) -> float:
    return -math.inf if least is None else least
