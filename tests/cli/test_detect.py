import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstd.cli import detect
from lstd.media import video
from lstd.media.video_writer import VideoWriter


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a video of six grey frames, 10 frames/s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path, fps=10, width=64, height=48) as writer:
        for _ in range(6):
            writer.write(np.full((48, 64, 3), 51, np.uint8))
    return path


def _arguments(model: Path | str, source: Path | str, output: Path, *more: str) -> list[str]:
    return [f"--model={model}", f"--input={source}", f"--output_directory={output}", *more]


def _lines(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / "detections.jsonl").read_text().splitlines()]


def test_video_and_lines_are_written_and_named(
    exported: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "out"
    assert detect.main(_arguments(exported[0], clip, output, "--schedule=SKIP2")) == 0
    assert sorted(path.name for path in output.iterdir()) == ["detections.jsonl", "detections.mp4"]
    assert [line["network"] for line in _lines(output)] == ["large", "small", "small"] * 2
    assert video.probe(output / "detections.mp4").num_frames == 6
    text = capsys.readouterr().out
    assert str(output / "detections.mp4") in text
    assert str(output / "detections.jsonl") in text
    assert "large: 2 frames" in text
    assert "small: 4 frames" in text
    assert "frames/s" in text


def test_saved_model_folder_and_tflite_give_the_same_lines(
    exported: tuple[Path, Path], clip: Path, tmp_path: Path
) -> None:
    outputs = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    models = (*exported, exported[0].parent)
    for model, output in zip(models, outputs, strict=True):
        assert detect.main(_arguments(model, clip, output, "--max_frames=3")) == 0
    first, *others = (_lines(output) for output in outputs)
    assert len(first) == 3
    assert others == [first, first]
    assert "state_frame" not in first[0]
    assert [line["network"] for line in first] == ["large", "small", "large"]  # SKIP1 of the JSON.


def test_async_answers_with_small_and_says_whose_state_it_has(
    exported: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--schedule=SKIP2", "--async")
    for delay, name in ((("--delay=2",), "a"), ((), "b")):
        assert detect.main(_arguments(exported[0], clip, tmp_path / name, *more, *delay)) == 0
        lines = _lines(tmp_path / name)
        assert {line["network"] for line in lines} == {"small"}
        assert (len(lines), lines[0]["state_frame"]) == (6, None)
        text = capsys.readouterr().out
        if delay:
            assert [line["state_frame"] for line in lines] == [None, None, 0, 0, 0, 3]
            assert "large: beside them 2 frames, 0 turns skipped" in text
            assert "after 2 frames (median; 2 to 2)" in text


def test_labels_threads_and_min_score_are_used_and_what_was_found_is_told(
    exported: tuple[Path, Path], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\nthree\n")
    more = (f"--labels={names}", "--threads=2", "--schedule=LARGE")
    for min_score, labels, told in (
        ("0.2", ["three", "one"], "12 detections of a score of 0.2 or more"),
        ("0.95", [], "no detection has a score of 0.95 or more, the best has 0.75; --min_score"),
    ):
        arguments = _arguments(exported[0], clip, tmp_path / "out", *more)
        assert detect.main([*arguments, f"--min_score={min_score}"]) == 0
        assert [row["label"] for row in _lines(tmp_path / "out")[0]["detections"]] == labels
        assert told in capsys.readouterr().out


def test_bad_input_is_one_sentence_and_leaves_nothing(
    exported: tuple[Path, Path],
    single: Path,
    clip: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    model, output, text = exported[0], tmp_path / "out", tmp_path / "text.mp4"
    text.write_text("not a video " * 50)
    names = tmp_path / "two.txt"
    names.write_text("one\ntwo\n")
    beside = shutil.copy(clip, tmp_path / "detections.mp4")
    usual = _arguments(model, clip, output)
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in (
        (_arguments(text, clip, output), "not a TFLite file"),
        (_arguments(model, tmp_path / "text.mp3", output), f"did you mean {text}"),
        (_arguments(model, text, output), "not a video"),
        (_arguments(model, clip.parent, output), "holds no image"),
        (_arguments(model, clip, text), "expected a folder"),
        (_arguments(model, beside, tmp_path), "what this command writes"),
        (_arguments(single, clip, output, "--async"), "needs a large and a small network"),
        (usual[:2], "--output_directory must be given"),
        ([*usual, "--schedule=SKIP"], "unknown schedule 'SKIP'"),
        ([*usual, "--min_score=2"], "--min_score"),
        ([*usual, "--max_frames=0"], "--max_frames"),
        ([*usual, "--labels=none.txt"], "--labels: no file none.txt"),
        ([*usual, f"--labels={names}"], "labels: 2 names; the model has 3"),
        ([*usual, "--config=a.yaml"], "needs none; leave it out"),
        ([*usual, "--delay=2"], "--delay belongs to --async"),
        ([*usual, "--async", "--delay=0"], "--delay=0"),
    ):
        assert message in refused(detect.main, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_video_that_ends_early_is_told(
    exported: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The head of the file still counts all frames, the pictures of the last ones are lost."""
    path, whole = tmp_path / "cut.mp4", tmp_path / "whole.mp4"
    noise = np.random.default_rng(0)
    with VideoWriter(whole, fps=10, width=64, height=48) as writer:
        for _ in range(30):
            writer.write(noise.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    content = whole.read_bytes()
    index = content.find(b"moov")
    if index > len(content) // 2:
        pytest.skip("the index stands at the end of the file and would be lost too")
    path.write_bytes(content[: len(content) // 2])
    assert detect.main(_arguments(exported[0], path, tmp_path / "out")) == 0
    read = len(_lines(tmp_path / "out"))
    assert read < 30
    assert f"cut.mp4 ends after {read} of 30 frames; it may be cut" in capsys.readouterr().err
