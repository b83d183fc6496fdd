"""examples/demo.py removes what an earlier demo made, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from examples import demo
from tests import tiny

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_a_folder_with_other_files_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.csv").write_text("mine")

    assert demo.main(["--output_directory", str(tmp_path)]) == 2

    assert [path.name for path in tmp_path.rglob("*")] == ["data", "mine.csv"]
    assert "name another folder" in capsys.readouterr().err


def test_what_benchmarks_take_from_the_demo_is_there() -> None:
    taken = {
        (script.name, node.attr)
        for script in BENCHMARKS.glob("*.py")
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "demo"
    }
    assert len(taken) > 3
    assert [each for each in taken if not hasattr(demo, each[1])] == []


def test_an_earlier_demo_gives_way(tmp_path: Path) -> None:
    demo.claim(tmp_path / "demo")
    for name in ("data", "run", "export"):
        (tmp_path / "demo" / name).mkdir()

    demo.claim(tmp_path / "demo")

    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["export", demo.MARK]


def test_a_wrong_setting_removes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.claim(tmp_path)
    (tmp_path / "run").mkdir()

    assert demo.main(["--output_directory", str(tmp_path), "--set", "train.stepps=3"]) == 2

    assert (tmp_path / "run").exists()
    assert "steps" in capsys.readouterr().err


def test_first_look_shows_what_the_model_that_comes_with_lstd_finds(tmp_path: Path) -> None:
    target = tmp_path / "look"

    demo.detect(demo.SHIPPED, demo.FREEDOOM, target)
    sheet = demo.write_sheet(target, caption="frame")

    lines = target.with_suffix(".jsonl").read_text().splitlines()
    assert len(lines) == 90
    assert sum('"label": "lost soul"' in line for line in lines) > 45  # one is in every frame
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_training_goes_on_from_the_model_of_the_first_look(tmp_path: Path) -> None:
    assert demo.config_of(tmp_path, []).train.fine_tune.run == demo.SHIPPED


def test_curves_of_a_run_are_drawn(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss,val_loss,val_coco/ap\n0,2.5,3.0,\n1,1.0,,0.2\n")

    pictures = demo.history_plots(history)

    assert sorted(pictures) == ["ap.svg", "loss.svg"]
    assert all(content.startswith(b"<?xml") for content in pictures.values())


def test_every_fifth_frame_is_a_video_of_its_own() -> None:
    clip, truth = tiny.batch(10, batch_size=1, starts=True)
    last = clip._replace(frame_index=clip.frame_index + 10)

    faster, objects = demo.every_fifth_frame(clip, truth)
    after, _ = demo.every_fifth_frame(last, truth)

    np.testing.assert_array_equal(faster.frames, np.asarray(clip.frames)[:, [0, 5]])
    np.testing.assert_array_equal(faster.starts, [[True, False]])
    np.testing.assert_array_equal(objects.boxes, np.asarray(truth.boxes)[:, [0, 5]])
    assert faster.frame_index.numpy().tolist() + after.frame_index.numpy().tolist() == [
        [0, 1],
        [2, 3],
    ]
    assert faster.video_id is clip.video_id
