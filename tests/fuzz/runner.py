"""Runs broken inputs in this process; `python -m tests.fuzz.runner TARGET SEED` repeats one.

An input fails when anything but a user's error comes out, it takes too long or too much memory,
or it leaves a half-written file.
"""

import contextlib
import faulthandler
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from lstd.cli import failures
from tests.fuzz import mutate
from tests.fuzz.targets import TARGETS

SECONDS = 30
BYTES = 4 << 30


class TooSlowError(BaseException):
    """An input has taken more than `SECONDS`."""


def run_one(name: str, seed: int, *, sample: Path, work: Path) -> str:
    """Returns what went wrong with an input, '' if nothing did."""
    target, rng = TARGETS[name], Random(f"{name} {seed}")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sample, work / "in")
    mutate.mutate(work / "in", rng)
    said = io.StringIO()
    try:
        with _limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = target.run(work / "in", rng)
    except TooSlowError:
        return f"took more than {SECONDS} s"
    except SystemExit as error:
        return f"SystemExit {error}"
    except Exception as error:
        if isinstance(error, MemoryError) or failures.sentence(error) is None:
            return traceback.format_exc()
        code = None
    text = said.getvalue()
    if code not in (None, 0, 1, 2) or "out of memory" in text or (code == 2 and not text.strip()):
        return f"exit code {code}: {text[-500:]}"
    left = [path for path in work.rglob("*") if path.name.endswith(".part")]
    if code == 2:  # what --resume goes on with may stay, and whole parts of split
        made = [
            path for path in work.rglob("*") if path.is_file() and work / "in" not in path.parents
        ]
        kept = {".conversion", "train.txt", "val.txt", "train", "val"}
        left += [p for p in made if p.suffix != ".tfrecord" and not kept & {*p.parts}]
    return f"left behind: {left[0]}" if left else ""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)  # where no Python runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()


def place_of(problem: str) -> str:
    """Returns the kind of a problem: the last line of ours in a traceback, and the error."""
    lines = problem.strip().splitlines()
    ours = [line.strip() for line in lines if "/lstd/" in line and line.strip().startswith("File")]
    error = lines[-1].partition(":")[0] if ours else lines[-1][:60]
    return f"{error} {ours[-1] if ours else ''}"


def inputs_of(name: str, seeds: int) -> int:
    """Returns how many of so many seeds a target is run with."""
    return -(-seeds * TARGETS[name].share // 100)


def run(names: Sequence[str], seeds: range, *, folder: Path, log: Any) -> dict[str, int]:
    """Returns how many inputs of each target ran; failures go to the log, one JSON a line."""
    counts = dict.fromkeys(names, 0)
    for name in names:
        sample = folder / f"sample_{name}"
        sample.mkdir()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            TARGETS[name].make(sample)
        for seed in seeds[: inputs_of(name, len(seeds))]:
            (folder / "current").write_text(f"{name} {seed}")
            began = time.monotonic()
            problem = run_one(name, seed, sample=sample, work=folder / "work")
            counts[name] += 1
            if problem:
                took = round(time.monotonic() - began, 1)
                told = {"target": name, "seed": seed, "seconds": took, "problem": problem}
                print(json.dumps({**told, "kind": place_of(problem)}), file=log, flush=True)
    return counts


def _limit_memory() -> None:
    import tensorflow as tf

    tf.constant([1.0]) + 1.0  # what TensorFlow takes for itself
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(arguments: Sequence[str]) -> int:
    """Runs one input, or with NAMES FIRST COUNT FOLDER many of them."""
    _limit_memory()
    if len(arguments) == 2:
        name, seed = arguments[0], int(arguments[1])
        folder, sample = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        TARGETS[name].make(sample)
        problem = run_one(name, seed, sample=sample, work=folder / "work")
        print(problem or "nothing went wrong", f"\nthe input is in {folder / 'work' / 'in'}")
        return int(bool(problem))
    names, first, count, folder = arguments
    with open(Path(folder) / "failures", "a") as log:
        seeds = range(int(first), int(first) + int(count))
        counts = run(names.split(","), seeds, folder=Path(folder), log=log)
    (Path(folder) / "counts").write_text(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
