"""How far `lstd-eval` is: the line of progress knows how many frames and videos there are."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from lstd.base.progress import Progress
from lstd.cli import eval as eval_command
from lstd.cli import eval_run
from tests.base.test_progress import Terminal
from tests.cli import eval_inputs

Lite = tuple[Path, Path]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What the progress writes, to a clock that a second passes on whenever it is asked."""
    stream, real, ticks = Terminal(), Progress, itertools.count()

    def progress(label: str, **settings: Any) -> Progress:
        return real(label, stream=stream, clock=lambda: float(next(ticks)), **settings)

    monkeypatch.setattr(eval_run, "Progress", progress)
    return stream


def lines(exported: Lite, data: Path, terminal: Terminal, *more: str) -> list[str]:
    arguments = [
        f"--model={exported[0]}",
        f"--input={data}",
        "--set=data.evaluation.unroll_length=3",
        f"--output_directory={data.parent / 'out'}",
    ]
    assert eval_command.main([*arguments, *more]) == 0
    return [line.strip() for line in terminal.getvalue().replace("\n", "\r").split("\r") if line]


def test_frames_and_videos_have_a_total(exported: Lite, tmp_path: Path, terminal: Terminal) -> None:
    data = eval_inputs.records(tmp_path / "a.tfrecord", {"a": 6, "b": 5})

    shown = lines(exported, data, terminal)

    assert shown[0].startswith("evaluating 3/11 frames, ")
    assert shown[1].startswith("evaluating 6/11 frames, ")
    assert " left, video " in shown[1]
    assert shown[2].startswith("evaluating 9/11 frames")
    assert shown[2].endswith("video 2 of 2")
    assert shown[-1].startswith("evaluating 11 frames in ")
    part = lines(exported, data, terminal, "--max_frames=7")[len(shown) :]
    assert part[0].startswith("evaluating 3/7 frames, ")
    assert part[-1].startswith("evaluating 7 frames in ")
