from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstd.media import draw, video
from lstd.runtime.detect_video import Summary, detect_video
from lstd.runtime.detector import VideoDetector
from tests.runtime.fake_exports import FakeModule

LABELS = ("dog", "Käfer", "cow")
LEVELS = (51, 0, 102, 0, 51)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Returns a folder of five frames, 40 x 20, each of one level of grey."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, level in enumerate(LEVELS):
        Image.new("RGB", (40, 20), (level,) * 3).save(folder / f"{index}.png")
    return folder


def _run(
    source: Path,
    output: Path,
    *,
    pixels: bool = False,
    min_score: float | None = None,
    **arguments: Any,
) -> tuple[Summary, list[dict[str, Any]]]:
    given = {"labels": LABELS, "pixels": pixels, "min_score": min_score}
    detector = VideoDetector(FakeModule(), "SKIP1", **given)
    detector(np.full((9, 9, 3), 255, np.uint8))  # Another video, whose state must not stay.
    with video.VideoReader(source) as reader:
        summary = detect_video(
            detector,
            reader,
            video_path=output / "a.mp4",
            json_lines_path=output / "a.jsonl",
            **arguments,
        )
    lines = (output / "a.jsonl").read_text(encoding="utf-8").splitlines()
    return summary, [json.loads(line) for line in lines]


def test_every_frame_is_a_line_with_its_time_network_and_detections(
    frames: Path, tmp_path: Path
) -> None:
    summary, lines = _run(frames, tmp_path)
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    times = np.arange(5) / video.FOLDER_FPS
    np.testing.assert_allclose([line["time_s"] for line in lines], times, atol=1e-4)
    networks = ["large", "small", "large", "small", "large"]
    assert [line["network"] for line in lines] == networks
    assert lines[1]["detections"] == [
        {
            "label": "Käfer",
            "class": 1,
            "score": 0.75,
            "box": [pytest.approx(0.2), 0.25, 1.0, 0.75],
            "box_px": [pytest.approx(4.0), 10.0, 20.0, 30.0],
        }
    ]
    c = [line["detections"][0]["box"][0] for line in lines]
    np.testing.assert_allclose(c, [0.2, 0.2, 0.6, 0.6, 0.8], atol=1e-6)
    assert summary.frames_by_network == {"large": 3, "small": 2}
    assert summary.num_frames == 5
    assert not summary.interrupted
    assert min(summary.frames_per_second_by_network.values()) > 0


def test_boxes_of_a_detector_that_counts_pixels_are_the_same(frames: Path, tmp_path: Path) -> None:
    expected, found = (
        [row for line in _run(frames, tmp_path, pixels=on)[1] for row in line["detections"]]
        for on in (False, True)
    )
    for ours, wanted in zip(found, expected, strict=True):
        assert ours["box"] == pytest.approx(wanted["box"], abs=2e-6)
        assert ours["box_px"] == pytest.approx(wanted["box_px"], abs=0.011)


def test_the_video_shows_boxes_and_badges_enlarged(frames: Path, tmp_path: Path) -> None:
    _run(frames, tmp_path)
    shown = list(video.read_frames(tmp_path / "a.mp4"))
    scale = draw.readable_scale(20, 40)
    assert [frame.shape for frame in shown] == [(20 * scale, 40 * scale, 3)] * 5
    for frame, network, class_index in ((shown[0], "large", 2), (shown[1], "small", 1)):
        # Lossy: the colour at half the resolution is off by some tens at a thin line.
        badge = frame[2, 2].astype(int) - draw.NETWORK_COLORS[network]
        assert np.abs(badge).max() < 40
        bottom = frame[20 * scale - 2, 20 * scale].astype(int) - draw.color_of(class_index)
        assert np.abs(bottom).max() < 90


def test_min_score_and_max_frames_decide_what_is_listed(frames: Path, tmp_path: Path) -> None:
    calls: list[int] = []
    for min_score, count in ((0.2, 2), (0.75, 1), (0.76, 0)):
        settings = {"min_score": min_score, "max_frames": 2, "progress": lambda: calls.append(1)}
        _, lines = _run(frames, tmp_path, **settings)
        assert [len(line["detections"]) for line in lines] == [count] * 2
    assert len(calls) == 6
    assert len(_run(frames, tmp_path, max_frames=99)[1]) == 5
    assert "Käfer" in (tmp_path / "a.jsonl").read_text(encoding="utf-8")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal, also where the tests run in the background, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_after_the_frame_and_keeps_both_files(frames: Path, tmp_path: Path) -> None:
    usual = signal.getsignal(signal.SIGINT)
    calls = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)

    summary, lines = _run(frames, tmp_path, progress=interrupt)
    assert summary.interrupted
    assert summary.num_frames == len(lines) == 3
    assert len(list(video.read_frames(tmp_path / "a.mp4"))) == 3
    assert signal.getsignal(signal.SIGINT) is usual


@pytest.mark.usefixtures("ctrl_c")
def test_in_the_background_ctrl_c_stays_ignored(frames: Path, tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    summary, _ = _run(frames, tmp_path, progress=lambda: signal.raise_signal(signal.SIGINT))
    assert (summary.interrupted, summary.num_frames) == (False, 5)


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_aborts_and_leaves_nothing(frames: Path, tmp_path: Path) -> None:
    def interrupt_twice() -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _run(frames, tmp_path, progress=interrupt_twice)
    assert [item.name for item in tmp_path.iterdir()] == ["frames"]
    assert signal.getsignal(signal.SIGINT) is usual


def test_it_runs_in_another_thread(frames: Path, tmp_path: Path) -> None:
    results = []
    thread = threading.Thread(target=lambda: results.append(_run(frames, tmp_path)))
    thread.start()
    thread.join()
    assert results[0][0].num_frames == 5


def test_an_error_on_the_way_leaves_nothing(frames: Path, tmp_path: Path) -> None:
    content = (frames / "4.png").read_bytes()
    (frames / "4.png").write_bytes(content[:-30])
    with pytest.raises(ValueError, match=r"4\.png"):
        _run(frames, tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["frames"]
