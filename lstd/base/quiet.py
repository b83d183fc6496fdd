"""Keeps libraries quiet that write to the terminal from C++, past Python's own stderr."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Turns stderr, the file descriptor itself, to a file; where the block fails, it is shown."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no stderr: nothing to keep quiet
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        done = False
        try:
            yield
            done = True
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if not done:
                written.seek(0)
                sys.stderr.write(written.read().decode(errors="replace"))
