"""`lstd-eval --resume`: an evaluation that was cut off goes on, and only with the same inputs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lstd.cli import eval as eval_command
from lstd.cli import eval_fingerprint
from lstd.config import Config
from lstd.data_config import DataConfig, DatasetConfig
from lstd.model_config import ModelConfig
from lstd.runtime.detector import VideoDetector
from tests.cli import eval_inputs
from tests.runtime import fake_exports

VIDEOS = {"a": 5, "b": 4, "c": 6}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_exports.write(tmp_path_factory.mktemp("export"))[0]


@pytest.fixture
def inputs(exported: Path, tmp_path: Path) -> Path:
    """A folder with a model and records of its own, to change."""
    for file in (exported, exported.with_suffix(".json")):
        shutil.copy(file, tmp_path / file.name)
    eval_inputs.records(tmp_path / "videos.tfrecord", VIDEOS)
    return tmp_path


class Seen:
    """Counts the frames that networks see, and stops as Ctrl-C would."""

    def __init__(self) -> None:
        self.frames = 0
        self.stop_at: int | None = None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    counter, real = Seen(), VideoDetector.__call__

    def call(self: VideoDetector, *arguments: Any) -> Any:
        if counter.frames == counter.stop_at:
            raise KeyboardInterrupt
        counter.frames += 1
        return real(self, *arguments)

    monkeypatch.setattr(VideoDetector, "__call__", call)
    return counter


def evaluate(folder: Path, output: str, *more: str) -> int:
    return eval_command.main(
        [
            f"--model={folder / 'model.tflite'}",
            f"--input={folder / 'videos.tfrecord'}",
            "--schedule=LARGE,SKIP1",
            "--metrics=coco,vid,distance,flicker,confusion,size",
            "--set=data.evaluation.unroll_length=2",
            f"--output_directory={folder / output}",
            *more,
        ]
    )


def numbers(folder: Path, output: str) -> dict[str, float]:
    return json.loads((folder / output / "results.json").read_text())["results"]


@pytest.mark.parametrize(
    ("stop_at", "finished"),
    [
        (4, []),  # within a
        # Clips of two frames under two schedules: a is written when b's first clip was seen.
        (20, ["a"]),
        (26, ["a", "b"]),
    ],
)
def test_interrupted_evaluation_goes_on_and_scores_nothing_twice(
    inputs: Path,
    seen: Seen,
    capsys: pytest.CaptureFixture[str],
    stop_at: int,
    finished: list[str],
) -> None:
    assert evaluate(inputs, "whole") == 0
    assert seen.frames == 2 * sum(VIDEOS.values())  # each frame under each schedule
    seen.frames, seen.stop_at = 0, stop_at
    assert evaluate(inputs, "cut") == 130
    assert not (inputs / "cut" / "results.json").exists()
    kept = list((inputs / "cut" / "unfinished" / "model").glob("*.npz"))
    assert len(kept) == len(finished)

    capsys.readouterr()
    seen.frames, seen.stop_at = 0, None
    code = evaluate(inputs, "cut", "--resume")

    printed = capsys.readouterr()
    assert code == 0, printed.err
    left = sum(length for name, length in VIDEOS.items() if name not in finished)
    assert seen.frames == 2 * left
    assert numbers(inputs, "cut") == numbers(inputs, "whole")
    assert numbers(inputs, "whole")["LARGE/coco/ar100"] > 0
    said = f"evaluating: {len(finished)} of 3 videos are done already"
    assert (said in printed.out) == bool(finished)
    assert not (inputs / "cut" / "unfinished").exists()


def test_every_pass_is_resumed(inputs: Path, seen: Seen) -> None:
    other = inputs / "other"
    other.mkdir()
    for name in ("model.tflite", "model.json"):
        shutil.copy(inputs / name, other / name)
    more = [f"--against={other / 'model.tflite'}", "--fps=1", "--draws=10", "--occlusion=0.5"]
    assert evaluate(inputs, "whole", *more) == 0
    all_frames = 2 * sum(VIDEOS.values())
    assert seen.frames == 3 * all_frames

    seen.frames, seen.stop_at = 0, 2 * all_frames + 20  # in the third pass, a is done
    assert evaluate(inputs, "cut", *more) == 130
    seen.frames, seen.stop_at = 0, None
    assert evaluate(inputs, "cut", *more, "--resume") == 0

    assert seen.frames == all_frames - 2 * VIDEOS["a"]
    assert numbers(inputs, "cut") == numbers(inputs, "whole")
    compared = [(inputs / name / "comparison.json").read_text() for name in ("cut", "whole")]
    assert compared[0] == compared[1]


def change_weights(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"more")


def change_labels(folder: Path) -> None:
    (folder / "labels.txt").write_text("dog\nwolf\ncow\n")


def change_data(folder: Path) -> None:
    eval_inputs.records(folder / "videos.tfrecord", VIDEOS, level=90)


def change_nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (change_weights, [], "another evaluation: weights was sha256 "),
        (change_labels, ["--labels={folder}/labels.txt"], "labels was dog, cat, cow, is dog, wolf"),
        (change_data, [], "videos.tfrecord was "),
        (change_nothing, ["--schedule=LARGE"], "schedules was LARGE, SKIP1, is LARGE"),
        (
            change_nothing,
            ["--set=data.evaluation.max_boxes=7"],
            "data.evaluation.max_boxes was 30, is 7",
        ),
        (
            change_nothing,
            ["--set=data.evaluation.unroll_length=3"],
            "data.evaluation.unroll_length was 2, is 3",
        ),
    ],
)
def test_other_inputs_are_not_gone_on_with(
    inputs: Path,
    seen: Seen,
    capsys: pytest.CaptureFixture[str],
    change: Any,
    more: list[str],
    message: str,
) -> None:
    seen.stop_at = 20
    assert evaluate(inputs, "cut") == 130
    change(inputs)
    seen.frames, seen.stop_at = 0, None
    capsys.readouterr()

    code = evaluate(inputs, "cut", "--resume", *(each.format(folder=inputs) for each in more))

    sentence = capsys.readouterr().err.strip()
    assert code == 2
    assert message in sentence
    assert sentence.endswith("leave out --resume to begin anew")
    assert "\n" not in sentence
    assert seen.frames == 0  # before a network ran


def test_what_is_only_drawn_or_scored_differently_may_change(inputs: Path, seen: Seen) -> None:
    seen.stop_at = 20
    assert evaluate(inputs, "cut") == 130
    seen.frames, seen.stop_at = 0, None

    more = ["--metrics=coco,vid_ap50", "--set=evaluation.min_score_threshold=0.1", "--resume"]
    assert evaluate(inputs, "cut", *more) == 0

    assert seen.frames == 2 * (VIDEOS["b"] + VIDEOS["c"])
    assert "SKIP1/vid/ap50" in numbers(inputs, "cut")


def test_starting_anew_and_having_nothing_to_go_on_with_are_said(
    inputs: Path, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    seen.stop_at = 20
    assert evaluate(inputs, "cut") == 130
    seen.stop_at = None
    capsys.readouterr()
    assert evaluate(inputs, "cut") == 0
    assert "had done (videos: 1) is removed; --resume would have" in capsys.readouterr().err
    assert evaluate(inputs, "new", "--resume") == 0
    assert "starting from the beginning" in capsys.readouterr().err


def test_fingerprint_of_a_run_has_the_models_settings_and_not_the_trainings(tmp_path: Path) -> None:
    weights = tmp_path / "best.weights.h5"
    weights.write_bytes(b"weights")
    data = tmp_path / "a.tfrecord"
    data.write_bytes(b"data")
    split = DatasetConfig(input_path=(str(data),), batch_size=1)
    config = Config(
        model=ModelConfig(num_classes=1, labels=("cat",)), data=DataConfig(evaluation=split)
    )

    def facts(**changes: Any) -> dict[str, Any]:
        settings = {"model_is_known": True, "labels": ["cat"], "schedules": ["LARGE"], **changes}
        return eval_fingerprint.facts([weights], config, **settings)

    found = facts()
    assert found["model.num_classes"] == 1
    assert not any(name.startswith(("train", "export")) for name in found)
    assert not any(name.startswith("model.") for name in facts(model_is_known=False))
    assert found[str(data)].startswith("4 bytes of ")
    weights.write_bytes(b"weightz")
    assert facts()["weights"] != found["weights"]
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"0")
    config = Config(data=DataConfig(evaluation=DatasetConfig(input_path=(str(folder),))))
    before = facts()[str(folder)]
    (folder / "1.png").write_bytes(b"1")
    assert facts()[str(folder)] != before


@pytest.mark.slow
def test_killed_process_is_gone_on_with(exported: Path, tmp_path: Path) -> None:
    videos = {f"v{number:02}": 40 for number in range(40)}
    eval_inputs.records(tmp_path / "videos.tfrecord", videos)
    command = [
        *(sys.executable, "-m", "lstd.cli.eval"),
        f"--model={exported}",
        f"--input={tmp_path / 'videos.tfrecord'}",
        "--schedule=LARGE,SKIP1,SKIP3,SMALL",
    ]
    output = tmp_path / "cut"
    process = subprocess.Popen([*command, f"--output_directory={output}"])
    kept = output / "unfinished" / "model"
    until = time.monotonic() + 120
    while not list(kept.glob("[!.]*.npz")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < len(list(kept.glob("[!.]*.npz"))) < 40
    assert not (output / "results.json").exists()

    resumed = subprocess.run(
        [*command, f"--output_directory={output}", "--resume"],
        capture_output=True,
        text=True,
        check=True,
    )
    subprocess.run([*command, f"--output_directory={tmp_path / 'whole'}"], check=True)

    assert "of 40 videos are done already" in resumed.stdout
    assert numbers(tmp_path, "cut") == numbers(tmp_path, "whole")
