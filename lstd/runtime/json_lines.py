"""Writes one JSON object a line, into a file that appears when it is whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lstd.base.whole_file import whole_file


@contextlib.contextmanager
def json_lines(path: str | os.PathLike[str]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yields what appends an object.

    The file appears under its name when the block ends well, and not at all when it ends with an
    error.

    Args:
        path: the file; its folder must exist. An older file is replaced.

    Raises:
        OSError: the file cannot be written.
        ValueError: by what is yielded, a number that JSON does not know.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:

        def append(value: Mapping[str, Any]) -> None:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

        yield append
