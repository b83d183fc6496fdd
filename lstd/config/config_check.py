"""What the dataclasses of a config call to refuse a value."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raises unless the condition holds.

    Raises:
        ValueError: with the message, which says what must hold.
    """
    if not condition:
        raise ValueError(message)
