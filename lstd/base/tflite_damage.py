"""Keeps a damaged `.tflite` from killing the process that runs it.

LiteRT checks that a file is a FlatBuffer, not what its numbers mean: one wrong bit makes it read
and write anywhere. A file of our export has a checksum inside. Any other is first run in a process
of its own; that takes about a second, and is remembered as long as the file stays.
"""

import contextlib
import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from lstd.base import tflite_metadata, tflite_runners

SECONDS = 30
"""How long the first run may take; four times that where the caller says what it is."""
NOT_RUNNABLE = "damaged, or not runnable here: "
"""What is said of a file that the runtime refuses, before its reason."""
_RUN = "lstd.base.tflite_damage:run"
_BYTES = 4 << 30
"""How much memory it may take, beside what goes with the size of the file."""


def check(path: str | os.PathLike[str], *, first_run: str = "") -> None:
    """Raises unless a `.tflite` can be run without harm.

    `first_run`, "module:function", is what is done with it, by its path, in a process of its own,
    where it may have been changed since our export wrote it. Without, a file of ours that was
    changed is refused, and any other is run once.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is not a TFLite file, or damaged.
        ImportError: neither LiteRT nor TensorFlow is installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    status = path.stat()
    _check(path.resolve(), path, first_run, (status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache(maxsize=16)
def _check(path: Path, name: Path, first_run: str, _: tuple[int, ...]) -> None:
    try:
        whole = tflite_metadata.is_whole(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if whole is False and not first_run:
        raise ValueError(
            f"{name}: damaged, or changed after lstd-export wrote it: the checksum inside is not "
            "that of its bytes; get it again, or export it again"
        )
    if not whole:
        _try(path, name, first_run or _RUN, seconds=4 * SECONDS if first_run else SECONDS)


def _try(path: Path, name: Path, run: str, *, seconds: int) -> None:
    """Raises unless a file can be run in a process of its own."""
    tflite_runners.interpreter_class()  # Where there is none, it is not the file's fault.
    is_python = "py" in Path(sys.executable or "").name.lower()
    if not is_python or getattr(sys, "frozen", False):  # It would start the app, or its server.
        return
    code = (
        f"import sys; sys.path[:] = {[str(each) for each in sys.path]!r}\n"
        f"from lstd.base import tflite_damage; tflite_damage.first_run({run!r}, {str(path)!r})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{name}: damaged, or too slow: it takes over {seconds} s") from None
    if not done.returncode:
        return
    lines, what = done.stdout.strip().splitlines(), f"exit code {done.returncode}"
    with contextlib.suppress(ValueError):
        what = signal.Signals(-done.returncode).name
    reason = lines[-1].rstrip(".") if lines else f"a process that runs it is ended by {what}"
    raise ValueError(f"{name}: {NOT_RUNNABLE}{reason}")


def first_run(run: str, path: str) -> None:
    """Does the first run and ends the process, with 1 and the reason where it fails."""
    _limit_memory(os.path.getsize(path))
    try:
        module, _, function = run.partition(":")
        getattr(importlib.import_module(module), function)(path)
    except Exception as error:  # Whatever a wrong number led to.
        text = (str(error).strip().splitlines() or [""])[0].removeprefix(f"{path}: ")
        text = text.removeprefix(NOT_RUNNABLE)  # which the other process says
        print(text if isinstance(error, (ValueError, RuntimeError)) and text else repr(error))
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)  # What is damaged may also die while it is taken down.


def run(path: str) -> None:
    """Runs all that is in a file once."""
    interpreter = tflite_runners.interpreter_class()(model_path=path, num_threads=1)
    # First, for an interpreter does not run as long as one of its signature runners is there.
    tflite_runners.on_noise(tflite_runners.FirstSubgraph(interpreter))()
    for runner in tflite_runners.of_signatures(interpreter).values():
        tflite_runners.on_noise(runner)()
        runner.get_output_details()


def _limit_memory(num_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows.
        return
    limit = _BYTES + 4 * num_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
