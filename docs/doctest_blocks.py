"""Shows the examples of docstrings on the site as code, without a heading of their own."""

from __future__ import annotations

import re
from typing import Any

import griffe

_FLAG = re.compile(r" *# doctest: .*")


class DoctestBlocks(griffe.Extension):
    """Puts every paragraph that begins with >>> into a block of code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of one object before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = with_blocks(obj.docstring.value)


def with_blocks(text: str) -> str:
    """Returns a docstring with its examples as blocks of code.

    >>> print(with_blocks("Returns one.").replace("`", "'"))
    Returns one.
    """
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        f"```pycon\n{_FLAG.sub('', part)}\n```" if part.startswith(">>> ") else part
        for part in paragraphs
    )
