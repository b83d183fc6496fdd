"""`lstd-eval --against` and what else is refused before a network runs."""

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lstd.base.progress import Progress
from lstd.cli import eval as eval_command
from lstd.cli import eval_run, eval_write
from lstd.evaluation.bootstrap import Comparison
from lstd.media.draw import NETWORK_COLORS, color_of
from lstd.runtime.detector import VideoDetector
from tests.base.test_progress import Terminal
from tests.cli import eval_inputs
from tests.runtime import fake_exports


class Inputs(NamedTuple):
    """Models and records: two networks, one network, other classes; tracks, none, ten videos."""

    saved: Path
    model: Path
    single: Path
    foreign: Path
    data: Path
    trackless: Path
    many: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, exported: tuple[Path, Path]) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    made = [*reversed(exported)]
    own: dict[str, Any] = {"one": {"min_score": 0.9}, "foreign": {"labels": ["dog", "cat", "yak"]}}
    for name, facts in own.items():
        (folder / name).mkdir()
        made.append(fake_exports.write(folder / name, names=("step",))[0])
        made[-1].with_suffix(".json").write_text(json.dumps({**fake_exports.METADATA, **facts}))
    return Inputs(
        *made,
        eval_inputs.records(folder / "data.tfrecord", {"a": 12, "b": 8}),
        eval_inputs.records(folder / "trackless.tfrecord", {"a": 5}, tracks=False),
        eval_inputs.records(folder / "many.tfrecord", {f"v{n}": 3 for n in range(10)}),
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a network ran")

    monkeypatch.setattr(VideoDetector, "__call__", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against={single}"], "intervals over 2 videos are drawn from blocks"),
        (
            ["--against={single}", "--input={many}", "--max_frames=7"],
            "intervals over 3 videos are drawn from blocks",
        ),
        (["--against={single}", "--metrics=distance,confusion"], "nothing to compare: intervals"),
        (["--against={single}x", "--fps=1"], "--against: no file or folder "),
        (["--against={data}", "--fps=1"], "data.tfrecord"),
        (
            ["--against={foreign}", "--fps=1"],
            "--against: its classes are dog, cat, yak; this model's dog, cat, cow",
        ),
        (["--input={trackless}", "--metrics=vid"], "vid needs track ids, which the data has not; "),
        (["--input={trackless}", "--metrics=flicker"], "flicker needs track ids, which the data"),
        (
            ["--metrics=sap", "--latency=large=5", "--fps=30", "--schedule=LARGE,SKIP1"],
            "--latency: SKIP1 runs the small network, whose latency is not given; there is large",
        ),
        (
            ["--video", "--set=data.evaluation.batch_size=2"],
            "--video: data.evaluation.batch_size is 2, so the videos would come in turns",
        ),
        (["--model={single}", "--schedule=SKIP3"], "this model has one backbone"),
        (["--schedule=LARGE,LARGE"], "--schedule holds a name twice"),
        (["--metrics=coco,coco"], "--metrics holds a name twice"),
        (["--latency=large=5,large=6", "--fps=1", "--metrics=sap"], "large is given twice"),
        (["--weights=best"], "--weights=best chooses among the files of a run folder"),
        (["--output_directory={data}"], "data.tfrecord is a file, expected a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_network_runs(
    inputs: Inputs,
    tmp_path: Path,
    refused: Callable[..., str],
    arguments: list[str],
    message: str,
) -> None:
    usual = {"model": inputs.model, "input": inputs.data, "output_directory": tmp_path / "out"}
    given = (argument.format(**inputs._asdict()) for argument in arguments)
    flags = (f"--{name}={value}" for name, value in usual.items())
    assert message in refused(eval_command.main, *flags, *given)
    assert not list(tmp_path.glob("out/*.*"))


@pytest.mark.usefixtures("no_network")
def test_missing_packages_are_told_before_a_network_runs(
    inputs: Inputs, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_command.importlib.util, "find_spec", lambda name: None)
    usual = f"--model={inputs.model}", f"--input={inputs.data}"
    for flag, package in (("video", "av"), ("report", "matplotlib"), ("worst_frames=2", "PIL")):
        told = refused(eval_command.main, *usual, f"--{flag}")
        assert f"{package} is not installed, which this needs: pip install" in told


IN_TURNS = ["large", "small", "large"]
ALWAYS = ["large"] * 3


@pytest.mark.parametrize(
    ("other", "schedules", "badges"),
    [
        ("single", "SKIP1", [[IN_TURNS, ALWAYS]]),  # whose one network sees every frame
        ("model", "LARGE,SKIP1", [[ALWAYS, IN_TURNS]] * 2),
    ],
)
def test_two_models_have_a_panel_for_each_schedule_with_the_network_that_ran(
    inputs: Inputs, tmp_path: Path, other: str, schedules: str, badges: list[list[list[str]]]
) -> None:
    av = pytest.importorskip("av")

    flags = [f"--model={inputs.model}", f"--against={getattr(inputs, other)}"]
    flags += [f"--input={inputs.data}", f"--schedule={schedules}", "--fps=1", "--draws=10"]
    flags += ["--video", "--max_frames=13", f"--output_directory={tmp_path}"]
    assert eval_command.main(flags) == 0
    with av.open(str(tmp_path / "side_by_side.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 13
    # 48 x 80 pixels enlarged six times, a title of 24 above each; a row for each model.
    assert frames[0].shape == (len(badges) * 312, 2 * 480, 3)
    shown = [frames[0], frames[1], frames[12]]  # another video begins
    for row, panels in enumerate(badges):
        for column, expected in enumerate(panels):
            assert [badge(frame, column * 480, row * 312) for frame in shown] == expected
            # The best score is 0.75, and each model has its own from which on boxes are drawn.
            panel = frames[0][row * 312 :, column * 480 :][:312, :480].astype(int)
            is_cow = (
                abs(panel - color_of(fake_exports.LABELS.index("cow"))).max(axis=-1) < 40
            ).sum()
            assert (is_cow > 300) == (other == "model" or column == 0)
    compared = json.loads((tmp_path / "comparison.json").read_text())["schedules"]
    ap = compared["SKIP1"]["differences"]["coco/ap"]
    assert (ap["one"] == ap["other"]) == (other == "model")
    assert ap["low"] is None  # two blocks


def test_a_saved_model_finds_what_its_tflite_finds(inputs: Inputs, tmp_path: Path) -> None:
    found = []
    for model in (inputs.saved, inputs.model.parent):
        arguments = [f"--model={model}", f"--input={inputs.data}", "--schedule=LARGE,SKIP1"]
        assert eval_command.main([*arguments, f"--output_directory={tmp_path}"]) == 0
        found.append(json.loads((tmp_path / "results.json").read_text())["results"])
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0]["frames"] == 20
    assert found[0]["SKIP1/coco/ap/cow"] > 0


def test_the_line_of_progress_has_a_total_of_frames_and_videos(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [f"--model={inputs.model}", f"--input={inputs.data}"]
    arguments += ["--set=data.evaluation.unroll_length=3", f"--output_directory={tmp_path}"]

    def shown(*more: str) -> list[str]:
        stream, ticks = Terminal(), itertools.count()  # a second passes whenever it is asked
        progress = functools.partial(Progress, stream=stream, clock=lambda: float(next(ticks)))
        monkeypatch.setattr(eval_run, "Progress", progress)
        assert eval_command.main([*arguments, *more]) == 0
        return [each.strip() for each in stream.getvalue().replace("\n", "\r").split("\r") if each]

    lines = shown()
    assert lines[0].startswith("evaluating 3/20 frames, ")
    assert lines[1].startswith("evaluating 6/20 frames, ")
    assert " left, video 1 of 2" in lines[1]
    assert lines[4].startswith("evaluating 15/20 frames")
    assert lines[4].endswith("video 2 of 2")
    assert lines[-1].startswith("evaluating 20 frames in ")
    part = shown("--max_frames=7")
    assert part[0].startswith("evaluating 3/7 frames, ")
    assert part[-1].startswith("evaluating 7 frames in ")


def test_the_report_says_why_there_is_no_interval() -> None:
    compared = Comparison({}, "3 blocks", 0.95, 0, "an interval needs 10 of them")
    table = eval_write._comparison_table("LARGE", compared, {"against": "b"})
    assert table.caption == "No intervals from 3 blocks: an interval needs 10 of them."


def badge(frame: np.ndarray, left: int, top: int = 0) -> str:
    """Returns the network whose colour the upper left corner of a panel has."""
    corner = frame[top + 26 : top + 29, left + 2 : left + 5].reshape(-1, 3).mean(axis=0)
    distance = {name: abs(corner - color).max() for name, color in NETWORK_COLORS.items()}
    name = min(distance, key=lambda each: distance[each])
    assert distance[name] < 30  # the video is compressed
    return name
