"""Watchers, part of the data, names of metrics: what surrounds the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import Detections
from lstd.evaluation import detectors, evaluate
from lstd.evaluation.clip_frames import Frame
from lstd.evaluation.pictures import WorstFrames, mistakes, side_by_side
from tests.evaluation.fakes import Collector, FakeModel, SeesClear, bright_clips, clips

LABELS = ("by large", "by small")
VIDEOS = [[(b"a", 5), (b"b", 3), (b"c", 4)]]


def test_part_of_the_data_is_its_first_frames() -> None:
    collector = Collector(LABELS)

    numbers = evaluate.evaluate(
        FakeModel(), clips(VIDEOS, unroll=2), [collector], ["LARGE"], max_frames=6
    )

    assert numbers["frames"] == 6
    assert sorted(collector.ground_truth) == [*(("a", i) for i in range(5)), ("b", 0)]
    with pytest.raises(ValueError, match="max_frames must be at least 1"):
        evaluate.evaluate(FakeModel(), [], max_frames=0)


def test_metrics_by_name_and_networks_from_the_run() -> None:
    numbers = evaluate.evaluate(
        FakeModel(),
        clips([[(b"v", 6)]], unroll=3),
        ["vid_ap50", "sap", "distance", "confusion"],
        ["SKIP2", "LARGE"],
        latencies={"large": 0, "small": 0},
        fps=30,
    )

    # True boxes are of class 0, which only the large network finds: every third frame.
    assert numbers["SKIP2/distance/0/ap50"] == pytest.approx(1.0)
    assert numbers["SKIP2/distance/1/ap50"] == 0.0
    assert numbers["LARGE/vid/ap50"] == numbers["LARGE/sap/in_time"] == 1.0
    assert "SKIP2/confusion/found" in numbers
    with pytest.raises(ValueError, match="unknown metric 'cocoo'; did you mean 'coco'"):
        evaluate.evaluate(FakeModel(), [], ["cocoo"])
    with pytest.raises(ValueError, match="sap needs latencies"):
        evaluate.evaluate(FakeModel(), [], ["sap"])
    with pytest.raises(ValueError, match=r"metrics must be a list, such as \['coco'\]"):
        evaluate.evaluate(FakeModel(), [], "coco")


def test_occluded_passes_have_their_own_numbers_and_images() -> None:
    data = bright_clips([[(b"v", 40)]], unroll=4)

    one = evaluate.evaluate(SeesClear(), data, ["coco"], ["LARGE"], occlusion=[0.25, 1])
    two = evaluate.evaluate(SeesClear(), data, ["coco"], ["LARGE", "SMALL"], occlusion=[1])

    assert one["coco/ap"] == pytest.approx(1.0)
    assert 0.5 < one["occluded/0.25/coco/ap"] < 0.95
    assert one["occluded/1/coco/ap"] == 0.0
    assert one["frames"] == 40
    assert two["LARGE/occluded/1/coco/ap"] == 0.0
    assert two["LARGE/coco/ap"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="with occlusion the metrics must be names or classes"):
        evaluate.evaluate(SeesClear(), data, [Collector(LABELS)], ["LARGE"], occlusion=[0.5])
    with pytest.raises(ValueError, match="a probability twice"):
        evaluate.evaluate(SeesClear(), data, ["coco"], ["LARGE"], occlusion=[0.5, 0.5])


class Stream:
    """A frame detector whose score counts its frames since the reset, in hundredths."""

    labels = LABELS
    networks = ("large", "small")

    def __init__(self, schedule: str | None) -> None:
        self.schedule = schedule or "SKIP1"
        self.last_network: str | None = None
        self.count = 99

    def reset(self) -> None:
        self.count = 0

    def __call__(self, frame: np.ndarray) -> Detections:
        assert frame.dtype == np.uint8
        large = self.schedule == "LARGE" or self.count % 2 == 0
        self.last_network = "large" if large else "small"
        self.count += 1
        return Detections(
            np.array([[0.1, 0.2, 0.5, 0.5]], np.float32),
            np.array([self.count / 100], np.float32),
            np.array([0 if large else 1], np.int32),
            np.array(1, np.int32),
        )


def test_streams_keep_lanes_and_schedules_apart() -> None:
    lanes = [[(b"a", 5), (b"b", 3)], [(b"c", 4), (b"d", 6)]]
    data = [
        (clip._replace(frames=tf.cast(clip.frames, tf.float32)), true)
        for clip, true in clips(lanes, unroll=2)
    ]
    collectors = {name: Collector(LABELS) for name in ("SKIP1", "LARGE")}

    evaluate.evaluate(
        detectors.StreamDetector(Stream),
        data,
        {name: [each] for name, each in collectors.items()},
        ["SKIP1", "LARGE"],
    )

    found = collectors["SKIP1"].detections
    assert [round(float(found["d", i].scores[0]) * 100) for i in range(6)] == [1, 2, 3, 4, 5, 6]
    assert [found["b", i].network for i in range(3)] == ["large", "small", "large"]
    assert {each.network for each in collectors["LARGE"].detections.values()} == {"large"}
    assert len(found) == 18
    with pytest.raises(ValueError, match="does not say what its classes are called"):
        detectors.StreamDetector(lambda name: type("Mute", (Stream,), {"labels": ()})(name))


def test_side_by_side_video_has_a_panel_for_each_schedule(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "v.mp4"

    found, data = {name: Collector(LABELS) for name in ("LARGE", "SMALL")}, clips(VIDEOS, unroll=2)
    evaluate.evaluate(FakeModel(), data, {n: [each] for n, each in found.items()}, list(found))
    side_by_side(path, data, {name: (each, 0.5) for name, each in found.items()}, fps=10)

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 12
    assert frames[0].shape == (250 + 24, 2 * 500, 3)  # enlarged five times, with the titles' strip
    left, right = frames[0][24:44, 2:20], frames[0][24:44, 502:520]
    assert abs(left.astype(int) - right).max() > 100  # the badges of two networks


def frame(index: int, true: list[Any], found: list[Any], scores: list[float]) -> Frame:
    def objects(boxes: list[Any]) -> dict[str, Any]:
        return {"boxes": np.reshape(boxes, (-1, 4)).astype(float), "classes": [0] * len(boxes)}

    detections = {**objects(found), "scores": np.array(scores), "network": "large"}
    image = np.full((50, 100, 3), 90, np.uint8)
    return Frame((b"v", index), objects(true), {"LARGE": detections}, image)


def test_worst_frames_are_those_with_the_most_mistakes() -> None:
    one, two = [0, 0, 30, 30], [10, 60, 40, 90]
    frames = [
        frame(0, [one], [one], [0.9]),
        frame(1, [one, two], [], []),  # two missed
        frame(2, [one], [one, two], [0.9, 0.8]),  # one false
        frame(3, [one, two], [two, two], [0.9, 0.2]),  # one missed; 0.2 does not show
        frame(4, [], [one, two, one], [0.9, 0.9, 0.9]),  # three false
    ]
    worst = WorstFrames(LABELS, "LARGE", count=3, stretch=1)
    for each in frames:
        worst(each)

    assert [mistakes(each, "LARGE", 2, min_score=0.5) for each in frames] == [
        (0, 0),
        (2, 0),
        (0, 1),
        (1, 0),
        (0, 3),
    ]
    assert [(each.frame_id[1], count) for each, count in worst.frames()] == [(4, 3), (1, 2), (2, 1)]
    sheet = worst.sheet()
    assert sheet is not None
    assert sheet.shape[1] == 3 * 320 + 4 * 8
    apart = WorstFrames(LABELS, "LARGE", count=3, stretch=2)  # frames 0 and 1, 2 and 3, 4
    for each in frames:
        apart(each)
    assert [(each.frame_id[1], count) for each, count in apart.frames()] == [(4, 3), (1, 2), (2, 1)]
    apart(frame(5, [], [one] * 4, [0.9] * 4))  # beside frame 4, and worse
    assert [each.frame_id[1] for each, _ in apart.frames()] == [5, 1, 2]
    good = WorstFrames(LABELS, "LARGE")
    good(frames[0])
    assert good.sheet() is None
