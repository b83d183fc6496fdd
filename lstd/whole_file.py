"""Files that appear under their names only when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the name to write to; `path` is there when the block has ended well, else as before.

    The other name has the same suffix, and stands in the same folder.

    Raises:
        OSError: there is no such folder, or the file cannot be put in its place.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    temporary = path.with_name(f".{os.getpid()}.part.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes bytes, or text as UTF-8.

    Raises:
        OSError: the file cannot be written; an older one is then as it was.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Removes what killed processes left half written in a folder."""
    for path in Path(folder).glob(".*.part.*"):
        path.unlink(missing_ok=True)
