"""Numbers and lines of label files, checked; errors say what was expected, what came, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lstd.base import documents, limits


def number(said: Any, what: str) -> float:
    """Returns a field of a file as a number, perhaps not finite; `what` names it in errors.

    Raises:
        ValueError: it is missing, or no number.
    """
    try:
        return float(said)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} is {said!r:.80}, expected a number") from None


def whole(said: Any, what: str, *, least: int = 0, most: int = limits.WHOLE) -> int:
    """Returns a whole number within bounds.

    Raises:
        ValueError: it is not.

    >>> whole("3.0", "a.csv, line 3: frame")
    3
    """
    value = number(said, what)
    if value % 1 or not least <= value <= most:  # of what is not finite the rest is NaN
        raise ValueError(
            f"{what} is {str(said)[:80]}, expected a whole number from {least} to {most}"
        ) from None
    return int(value)


def frame(said: Any, what: str, *, least: int = 0) -> int:
    """Returns a frame number; raises as `whole`."""
    return whole(said, what, least=least, most=limits.FRAMES)


def track_id(said: Any, what: str) -> int:
    """Returns a track id, -1 (unknown) for every number below 0; raises as `whole`."""
    return max(whole(said, what, least=-limits.WHOLE), -1)


def lines(
    path: Path, separator: str | None, columns: str, *, most: int = 100
) -> Iterator[tuple[str, list[str]]]:
    """Yields "line 1" and so on, and the fields of each line that is not empty.

    Raises:
        ValueError: a line has fewer fields than the names in `columns`, or more than `most`.
    """
    least = len(columns.split(", "))
    for place, line in enumerate(documents.read_text(path).splitlines(), start=1):
        found = [field.strip() for field in line.split(separator)]
        if not any(found):
            continue
        if not least <= len(found) <= most:
            count = f"{least} to {most}" if len(found) > most else f"at least {least}"
            raise ValueError(
                f"{path}, line {place}: {len(found)} columns, expected {count}: {columns}"
            )
        yield f"line {place}", found
