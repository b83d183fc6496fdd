"""examples/track.py in a process of its own."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstd.media import video
from lstd.media.video_writer import VideoWriter
from tests.runtime import fake_exports

SCRIPT = Path(__file__).parents[1] / "examples" / "track.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("supervision", "trackers", "av")),
        reason='needs pip install "lstd[video,tracking]"',
    ),
]


def _track(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_objects_that_stand_still_keep_their_numbers(tmp_path: Path) -> None:
    model = fake_exports.write(tmp_path)[0]
    clip, output = tmp_path / "clip.mp4", tmp_path / "tracks.mp4"
    with VideoWriter(clip, fps=10, width=64, height=48) as writer:
        for _ in range(9):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    more = ("--min_score=0.5", "--max_frames=8", "--schedule=LARGE")
    result = _track("--model", model, "--input", clip, "--output", output, *more)
    assert result.returncode == 0, result.stderr
    # Of the two boxes of the fake only the better one is over the score.
    assert "1 objects in 8 frames" in result.stdout
    assert "cow" in result.stdout
    assert video.probe(output).num_frames == 8


def test_a_wrong_model_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    result = _track("--model", tmp_path / "none.tflite", "--input", folder)
    assert result.returncode == 1
    assert "track.py: error: " in result.stderr
    assert "Traceback" not in result.stderr
