"""What became of a check."""

from __future__ import annotations

from typing import NamedTuple

OK, FAILED, IMPOSSIBLE = "ok", "FAILED", "not possible"


class Finding(NamedTuple):
    """What became of one check.

    Attributes:
        check: its name.
        verdict: `OK`, `FAILED` or `IMPOSSIBLE`.
        detail: the numbers, or why.
    """

    check: str
    verdict: str
    detail: str


def first_line(error: Exception) -> str:
    """Returns what an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
