"""`lstd-eval` on a tiny run folder and records made here."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.any_model import open_model
from lstd.checkpoints.tf1_names import variables_by_tf1_name
from lstd.cli import eval as eval_command
from lstd.cli import eval_run, eval_write
from tests.cli import eval_inputs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model with two backbones."""
    return eval_inputs.run_folder(
        tmp_path_factory.mktemp("runs") / "one", eval_inputs.MODEL, weights="best"
    )


@pytest.fixture(scope="module")
def single_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model with one backbone, with averages only."""
    return eval_inputs.run_folder(
        tmp_path_factory.mktemp("runs") / "single", eval_inputs.SINGLE, weights="average"
    )


def test_table_and_files_hold_the_same_numbers(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "results"

    code = eval_command.main(
        ["--model", str(run), "--baselines=held", "--output_directory", str(output)]
    )

    assert code == 0
    saved = json.loads((output / "results.json").read_text())
    assert saved["results"]["frames"] == 8
    assert saved["schedules"] == ["LARGE", "SKIP3", "SKIP3-held"]
    assert saved["weights"] == "best"
    with (output / "results.csv").open(newline="") as file:
        rows = {(row["schedule"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    ar100 = saved["results"]["SKIP3/coco/ar100"]
    assert ar100 > 0
    assert float(rows["SKIP3", "coco/ar100"]) == ar100
    assert ("SKIP3-held", "coco/ar100") in rows
    printed = capsys.readouterr()
    line = next(line for line in printed.out.splitlines() if line.startswith("coco/ar100 "))
    assert line.split()[2] == f"{ar100:.3f}"
    assert "evaluating 8 frames" in printed.err
    assert saved["min_score"] == 0.5
    assert re.search(r"^LARGE: the best F1, 0\.\d{3}, is that of .* 0\.\d", printed.out, re.M)


def test_flags_choose_schedule_input_and_weights(single_run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.tfrecord").write_bytes((single_run / "videos.tfrecord").read_bytes())

    flags = [f"--model={single_run / 'average.weights.h5'}", "--schedule=SKIP0"]
    flags += [f"--input={tmp_path}/*.tfrecord", "--set=data.evaluation.unroll_length=3"]
    assert eval_command.main([*flags, f"--output_directory={tmp_path}"]) == 0
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["schedules"] == ["SKIP0"]
    assert saved["input"] == [f"{tmp_path}/*.tfrecord"]
    assert saved["weights"] == "average.weights.h5"
    assert {"frames", "coco/ap", "coco/ap/dog"} <= set(saved["results"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schedule=SKPI3"], "--schedule: unknown schedule 'SKPI3'; expected LARGE"),
        (["--baselines=hold"], "--baselines: unknown baseline 'hold'; did you mean 'held'?"),
        (["--weights=last"], "no weights last.weights.h5; there are: best.weights.h5"),
        (["--weights=first"], "expected one of best, last, average"),
        (["--input=absent.tfrecord"], "no file matches 'absent.tfrecord'"),
        (["--set=model.num_classes=3", "--set=model.labels=[]"], "--set can change data and"),
        (["--sched=LARGE"], "did you mean"),
        (["--output_directory={run}/config.yaml"], "is a file, expected a folder"),
        (["--model={run}e"], "no file or folder {run}e; did you mean {run}?"),
        (["--model="], "--model must be given"),
        (["--occlusion=2"], "--occlusion: expected different numbers in [0, 1]"),
        (["--occlusion=a"], "--occlusion: expected different numbers"),
        (["--labels=absent.txt"], "--labels: no file absent.txt"),
        (["--metrics="], "--metrics"),
    ],
)
def test_bad_flag_is_one_sentence_and_exit_code_2(
    run: Path, refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    given = (argument.format(run=run) for argument in arguments)
    assert message.format(run=run) in refused(eval_command.main, f"--model={run}", *given)


def test_a_run_stands_against_a_checkpoint_of_the_original_either_way(
    single_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights, config = single_run / "average.weights.h5", single_run / "config.yaml"
    variables = variables_by_tf1_name(open_model.load_model(weights))
    original = tmp_path / "old.npz"
    np.savez(original, **{name: each.numpy() for name, each in variables.items()})
    ran: list[Any] = []
    monkeypatch.setattr(eval_run, "_run_all", lambda *arguments: ran.append(arguments[:2]))
    monkeypatch.setattr(eval_write, "write", lambda *arguments: None)
    for pair in ((original, weights), (weights, original)):
        flags = [f"--model={pair[0]}", f"--against={pair[1]}", f"--config={config}", "--fps=1"]

        assert eval_command.main([*flags, f"--output_directory={tmp_path}"]) == 0, (
            capsys.readouterr().err
        )

        assert tuple(subject.path for subject in ran[-1]) == pair
        one, other = (subject.detector._model.get_weights() for subject in ran[-1])
        assert all(map(np.array_equal, one, other))


def test_single_backbone_needs_no_schedule_and_the_config_chooses_its_weights(
    single_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(eval_run, "_run_all", lambda subject, *others: ran.append(subject))
    monkeypatch.setattr(eval_write, "write", lambda *arguments: None)
    flags = [f"--model={single_run}", f"--output_directory={tmp_path}"]

    assert eval_command.main([*flags, "--set=evaluation.use_moving_averages=true"]) == 0

    assert (ran[0].weights, ran[0].schedules) == ("average", ["LARGE"])


@pytest.mark.slow
def test_everything_that_is_asked_for_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"

    flags = f"--model={run} --against={run} --output_directory={output} --schedule=LARGE,SKIP1"
    flags += " --metrics=coco,vid_ap50,sap,distance,confusion --latency=large=50,small=5"
    flags += " --fps=0.4 --occlusion=0.5 --max_frames=7 --write_detections --video"
    code = eval_command.main([*flags.split(), "--worst_frames=2", "--report", "--draws=20"])

    assert code == 0, capsys.readouterr().err
    saved = json.loads((output / "results.json").read_text())
    numbers = saved["results"]
    assert numbers["frames"] == saved["max_frames"] == 7
    for name in ("coco/ap", "vid/ap50", "sap/ap", "distance/0/ap"):
        assert f"SKIP1/{name}" in numbers
    assert "SKIP1/occluded/0.5/coco/ap" in numbers
    assert numbers["LARGE/confusion/found"] >= 0
    assert (output / "side_by_side.mp4").stat().st_size > 1000
    assert (output / "worst_frames_LARGE.png").read_bytes().startswith(b"\x89PNG")
    page = (output / "report.html").read_text()
    assert f"Against {run}, SKIP1" in page
    assert (page.count("data:image/svg+xml"), page.count("data:image/png")) == (3, 2)  # two sheets
    assert "SKIP1-held, the best baseline" in page
    assert set(saved["frames_per_second"]) == {"LARGE", "SKIP1", "SKIP1-held", "SKIP1-velocity"}
    compared = json.loads((output / "comparison.json").read_text())["schedules"]["LARGE"]
    # A model against itself. At 0.4 frames a second, video a has two blocks of 5 s, b one.
    assert compared["units"].startswith("3 blocks of at least 5 s from 2 videos")
    assert compared["missing"].startswith("an interval needs 10 of them; score 35 s more video")
    assert compared["differences"]["coco/ap"]["low"] is None

    again = [f"--detections={output / 'detections_SKIP1.json'}", "--latency=large=50,small=5"]
    again += [f"--annotations={output / 'annotations.json'}", "--metrics=coco,vid_ap50,sap"]
    again += ["--schedule=SKIP1", f"--output_directory={tmp_path / 'again'}"]
    code = eval_command.main(again)
    assert code == 0, capsys.readouterr().err
    read = json.loads((tmp_path / "again" / "results.json").read_text())["results"]
    for name in ("coco/ap", "coco/ar100", "vid/ap50", "sap/ap"):
        assert read[name] == pytest.approx(numbers[f"SKIP1/{name}"], abs=1e-6)  # float32 boxes


def test_labels_name_the_classes_of_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    common = [f"--model={run}", f"--labels={names}", f"--output_directory={tmp_path}"]
    names.write_text("lion\nwolf\n")

    assert eval_command.main([*common, "--schedule=LARGE"]) == 0

    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert results["coco/ap50/wolf"] > 0
    assert "coco/ap50/dog" not in results
    names.write_text("lion\n")
    assert eval_command.main(common) == 2
    assert "1 names given, the model has 2 classes" in capsys.readouterr().err
