"""The terminal of a process: colours, Ctrl-C, and libraries that write past it."""

import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, Literal, TextIO

_CODES = {"bold": 1, "red": 31, "yellow": 33}


def painted(text: str, how: Literal["bold", "red", "yellow"], stream: TextIO) -> str:
    """Returns text that a terminal shows so; as it is for a file, or with NO_COLOR set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\033[{_CODES[how]}m{text}\033[0m"


@contextlib.contextmanager
def interrupts(told: str = "") -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C sets, after `told` on stderr; the next one interrupts.

    Only the main thread may do so; elsewhere, and where a shell lets the program ignore Ctrl-C
    because it runs in the background, the event stays unset.
    """
    asked = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual == signal.SIG_IGN:
        yield asked
        return
    if usual is None:  # Set outside of Python; it cannot be put back.
        usual = signal.default_int_handler

    def first(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, usual)
        if told:
            with contextlib.suppress(OSError):
                os.write(2, f"\n{told}\n".encode())  # print may be at work where this comes in

    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


_QUIET = threading.RLock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Turns stderr, the file descriptor itself, to a file; where the block fails, it is shown."""
    with _QUIET, _turned_away():  # of two threads at a time, one would put the other's file back
        yield


@contextlib.contextmanager
def _turned_away() -> Iterator[None]:
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


def import_tensorflow(then: str = "", *arguments: Any) -> None:
    """Imports TensorFlow, where it is installed, without its greeting.

    The greeting comes from C++ before the logging is set up; no setting of 2.21 silences it.

    `then` is called next, with the arguments: "module:function", of a module that imports it, too.
    """
    is_loaded = "tensorflow" in sys.modules or os.environ.get("LSTD_DEBUG") == "1"
    # What runs a .tflite can do without.
    if not is_loaded and importlib.util.find_spec("tensorflow") is not None:
        with quiet():
            import tensorflow  # noqa: F401
    if then:
        module, _, function = then.partition(":")
        getattr(importlib.import_module(module), function)(*arguments)
