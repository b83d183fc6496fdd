"""Ctrl-C as a question that work answers where nothing is lost by it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interrupts(told: str = "") -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C sets; the next one interrupts as usual.

    Only the main thread may do so; elsewhere, and where a shell lets the program ignore Ctrl-C
    because it runs in the background, the event stays unset.

    Args:
        told: what standard error says then.
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
