"""The order in which people count: 2 stands before 10."""

import re


def key(name: str) -> list[tuple[int, int, str]]:
    """Returns what to sort names by.

    >>> sorted(["a10.jpg", "a2.jpg"], key=key)
    ['a2.jpg', 'a10.jpg']
    """
    parts = [(part, part.lstrip("0")) for part in re.split(r"(\d+)", name) if part]
    return [  # of numbers without zeros in front, which may be of any length, the longer is larger
        (0, len(number), f"{number} {part}") if part.isdecimal() else (1, 0, part.lower())
        for part, number in parts
    ]
