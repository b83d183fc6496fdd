"""No broken input gives anything but an answer; see `runner`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import runner
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the memory")
ROOT = Path(__file__).parents[2]
NAMES = [*TARGETS]
INPUTS = 10_000


def run(names: list[str], *, first: int, count: int, folder: Path) -> int:
    """Returns how many inputs ran in a process of their own; fails with a way to repeat each."""
    command = [sys.executable, "-m", "tests.fuzz.runner", ",".join(names)]
    child = subprocess.run(
        [*command, str(first), str(count), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    repeat = "repeat it with: python -m tests.fuzz.runner"
    if child.returncode:
        last = (folder / "current").read_text()
        pytest.fail(f"ended with {child.returncode}; {repeat} {last}\n{child.stderr[-3000:]}")
    failures = [json.loads(line) for line in (folder / "failures").read_text().splitlines()]
    one_each = {failure["kind"]: failure for failure in failures}
    told = [f"{repeat} {f['target']} {f['seed']}\n{f['problem']}" for f in one_each.values()]
    assert not told, f"{len(failures)} inputs failed:\n" + "\n".join(told)
    return sum(json.loads((folder / "counts").read_text()).values())


def test_some_broken_inputs_are_answered(tmp_path: Path) -> None:
    assert run(NAMES, first=0, count=20, folder=tmp_path) >= len(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("group", range(5))
def test_ten_thousand_broken_inputs_are_answered(group: int, tmp_path: Path) -> None:
    names = NAMES[group::5]
    count = -(-INPUTS * 100 // sum(target.share for target in TARGETS.values()))
    expected = sum(runner.inputs_of(name, count) for name in names)
    assert run(names, first=1000, count=count, folder=tmp_path) == expected


def test_what_goes_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(answer: Callable[[Path], object]) -> str:
        def answered(folder: Path, rng: object) -> object:
            return answer(folder)

        name = "label_maps"
        monkeypatch.setitem(TARGETS, name, TARGETS[name]._replace(run=answered))
        monkeypatch.setattr(runner, "SECONDS", 0.2)
        sample = tmp_path / "sample"
        sample.mkdir(exist_ok=True)
        return runner.run_one(name, 0, sample=sample, work=tmp_path / "work")

    def endless(folder: Path) -> None:
        while True:
            pass

    assert "ZeroDivisionError" in found(lambda folder: 1 / 0)
    assert "took more than" in found(endless)
    assert found(lambda folder: int("x")) == found(lambda folder: 0) == ""
    assert found(lambda folder: (folder / "x.part").mkdir()).startswith("left behind")
    assert found(lambda folder: 139).startswith("exit code 139")
