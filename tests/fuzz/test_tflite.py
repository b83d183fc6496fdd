"""Damaged `.tflite` files: none may kill the process that opens them, or raise but in a sentence.

Each file is opened and run as a user would, in a process of its own, forked from one without
TensorFlow's threads; so is the first run that `tflite_damage` tries, which saves the start of
a Python for each file.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstd.base import tflite_damage, tflite_metadata

SECONDS = 60
"""A file that takes longer is one that hangs."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Here, so that the process below has no TensorFlow.
    from lstd.export import interpreters, metadata
    from tests.export import exports

    module, path = exports.module(), tmp_path_factory.mktemp("tflite") / "model.tflite"
    content = exports.converted(module)
    step = interpreters.step(content)
    facts = metadata.facts_of(module, labels=("a", "b", "c"))
    facts = metadata.completed(facts, module, name="a", content=content, step=step, differences={})
    path.write_bytes(tflite_metadata.embed(content, metadata.as_text(facts)))
    path.with_name("bare.tflite").write_bytes(content)
    return path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize(
    ("kind", "door", "count"),
    [
        ("model", "detect", 40),
        ("bare", "detect", 20),
        pytest.param("model", "detect", 1000, marks=pytest.mark.slow),
        pytest.param("bare", "detect", 1000, marks=pytest.mark.slow),
        pytest.param("bare", "benchmark", 300, marks=pytest.mark.slow),
        pytest.param("model", "check", 150, marks=pytest.mark.slow),
        pytest.param("bare", "check", 150, marks=pytest.mark.slow),
    ],
)
def test_no_damage_kills_or_surprises(model: Path, kind: str, door: str, count: int) -> None:
    command = [sys.executable, "-m", "tests.fuzz.test_tflite"]
    done = subprocess.run(
        [*command, str(model.with_name(f"{kind}.tflite")), door, str(count)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes, failures = json.loads(done.stdout)
    assert not failures, f"{len(failures)} of {count}: {failures[:3]}"
    assert outcomes["a sentence"] > count / 4, outcomes
    if (kind, door) == ("model", "detect"):  # Only the text of the metadata may have changed.
        assert outcomes.get("runs", 0) < count / 10, outcomes


def _damaged(content: bytes, rng: random.Random, places: np.ndarray) -> bytes:
    """Returns a file with wrong bytes at some of these places, or without its end."""
    result = bytearray(content)
    place = int(places[rng.randrange(len(places))])
    kind = rng.choice(["bit", "bit", "bits", "byte", "number", "zeros", "end"])
    if kind == "bit":
        result[place] ^= 1 << rng.randrange(8)
    elif kind == "bits":
        for other in rng.sample(list(places), rng.randrange(2, 20)):
            result[other] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        result[place] = rng.randrange(256)
    elif kind == "number":
        value = rng.choice([-1, 0, 1, 2**31 - 1, -(2**31), rng.randrange(2**31)])
        place = min(place & ~3, len(result) - 4)
        result[place : place + 4] = value.to_bytes(4, "little", signed=True)
    elif kind == "zeros":
        end = min(place + rng.choice([4, 16, 64, 1024]), len(result))
        result[place:end] = bytes(end - place)
    else:
        del result[rng.randrange(len(result)) :]
    return bytes(result)


def _structure(content: bytes) -> np.ndarray:
    """Returns the places of all bytes but the weights, whose values are not looked at."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    kept = np.ones(len(content), bool)
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        start = buffer._tab.Vector(buffer._tab.Offset(4)) if buffer.DataLength() > 256 else 0
        kept[start + 16 : start + buffer.DataLength()] = False
    return np.flatnonzero(kept)


def _detect(path: Path) -> None:
    from lstd.runtime.detector import VideoDetector

    detector = VideoDetector(path)
    for _ in range(4):
        assert detector(np.full((24, 40, 3), 128, np.uint8)).names is not None


def _benchmark(path: Path) -> None:
    from lstd.runtime import timed_models, timing

    subject = timed_models.of_model(path, name="a", schedule=None, threads=1)
    timing.measure([subject], turns=1, frames=2, warm_up=1)


def _check(path: Path) -> None:
    from lstd.export import check_file

    check_file.inspect(path)


def _forked(run: Callable[[], None], *, seconds: int = SECONDS) -> tuple[int, str]:
    """Returns how a process ended that runs this, as `subprocess` tells it, and what it printed."""
    with tempfile.TemporaryFile("w+") as output:
        pid = os.fork()
        if pid == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.alarm(seconds)
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    run()
                    code = 0
                except ValueError:
                    code = 2
                except BaseException as error:
                    print(repr(error), flush=True)
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        output.seek(0)
        return code, output.read()


def _fork_instead(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    """Stands in for `subprocess.run` of a first run; its last line is the call."""
    call = command[-1].splitlines()[-1]
    code, text = _forked(lambda: exec(call), seconds=tflite_damage.SECONDS)
    return subprocess.CompletedProcess(command, code, text, "")


def _main(source: str, door: str, count: int) -> None:
    run = {"detect": _detect, "benchmark": _benchmark, "check": _check}[door]
    content = Path(source).read_bytes()
    places, rng = _structure(content), random.Random(f"{door} {count}")
    subprocess.run = _fork_instead  # type: ignore[assignment]
    path = Path(source).with_name(f"damaged-{door}.tflite")
    path.write_bytes(content)
    run(path)  # Imports everything, and is no damaged file.
    outcomes: Counter[str] = Counter()
    failures = []
    for number in range(count):
        path.write_bytes(_damaged(content, rng, places))
        code, text = _forked(lambda: run(path))
        outcomes[{0: "runs", 2: "a sentence"}.get(code, "fails")] += 1
        if code not in (0, 2):
            failures.append(f"file {number}: {text or signal.Signals(-code).name}")
    print(json.dumps([outcomes, failures]))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
