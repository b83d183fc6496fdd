"""What no network finds: the boxes of large frames, moved on by rules that a hand can follow."""

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lstd.evaluation import baselines, evaluate
from lstd.evaluation.metrics.streaming import StreamingMetric
from tests.evaluation.fakes import Collector, FakeModel, clips

SIZE = (100, 200)
LABELS = ("by large", "by small")


def found(boxes: Sequence[Sequence[float]], classes: Sequence[int], *, network: str) -> Any:
    return {
        "boxes": np.reshape(np.array(boxes, float), (-1, 4)),
        "classes": np.array(classes, int),
        "scores": np.full(len(classes), 0.5),
        "network": network,
    }


def answers(
    name: str, large: dict[int, tuple[Sequence[Sequence[float]], Sequence[int]]], frames: int
) -> list[Any]:
    """Returns what a baseline says of each frame of a video, from what the large frames found."""
    guesses = baselines.Guesses([f"SKIP3-{name}"])
    small = found([[0, 0, 99, 99]], [1], network="small")  # which no baseline may look at
    return [
        guesses.of_frame(
            ("v", index),
            {"SKIP3": found(*large[index], network="large") if index in large else small},
            SIZE,
        )[f"SKIP3-{name}"]
        for index in range(frames)
    ]


def test_boxes_are_held_until_the_large_network_runs_again_in_each_video() -> None:
    guesses = baselines.Guesses(["SKIP2", "SKIP2-held"])
    shown: dict[str, list[Any]] = {"a": [], "b": []}
    for index in range(5):
        for video, first in (("a", 0), ("b", 1)):  # b begins in the midst of a period
            network = "small" if (index + first) % 3 else "large"
            box = [[index, first, index + 9, 30]]
            mine = {"SKIP2": found(box, [0], network=network)}
            (answer,) = guesses.of_frame((video, index), mine, SIZE).values()
            shown[video].append((answer["network"], answer["boxes"][:, 0].tolist()))

    held = "none"
    assert shown["a"] == [("large", [0]), (held, [0]), (held, [0]), ("large", [3]), (held, [3])]
    assert shown["b"] == [(held, []), (held, []), ("large", [2]), (held, [2]), (held, [2])]


def test_velocity_goes_on_with_what_overlaps_in_the_large_frame_before() -> None:
    large = {
        0: ([[10, 10, 30, 30], [50, 100, 70, 140]], [0, 1]),
        # The first went 2 down, 1 to the right a frame; the second became another class.
        4: ([[50, 104, 70, 144], [18, 14, 38, 34]], [0, 0]),
    }

    shown = answers("velocity", large, 7)

    np.testing.assert_array_equal(shown[3]["boxes"], large[0][0])  # there is nothing before
    np.testing.assert_array_equal(shown[4]["boxes"], large[4][0])
    np.testing.assert_allclose(shown[6]["boxes"], [[50, 104, 70, 144], [22, 16, 42, 36]])
    assert shown[6]["classes"].tolist() == [0, 0]
    assert shown[6]["network"] == "none"


def test_velocity_takes_each_box_once_the_best_pair_first() -> None:
    large = {
        0: ([[20, 20, 40, 40]], [0]),
        2: ([[26, 20, 46, 40], [22, 20, 42, 40]], [0, 0]),
    }

    assert answers("velocity", large, 4)[3]["boxes"][:, 0].tolist() == [26, 23]


def test_what_scores_low_is_held() -> None:
    box = found([[10, 10, 30, 30], [12, 10, 32, 30]], [0, 0], network="large")
    scores = np.array([0.29, 0.3])
    guesses = baselines.Guesses(["SKIP1-velocity"])
    for index in range(4):
        moved = box["boxes"] + [index, 0, index, 0]
        network = "small" if index % 2 else "large"
        mine = {**box, "boxes": moved, "scores": scores, "network": network}
        (answer,) = guesses.of_frame(("v", index), {"SKIP1": mine}, SIZE).values()

    assert answer["boxes"][:, 0].tolist() == [12, 15]
    assert answer["scores"].tolist() == [0.29, 0.3]


def test_what_leaves_the_picture_is_cut_and_then_gone() -> None:
    large = {0: ([[10, 150, 30, 180]], [0]), 1: ([[10, 165, 30, 195]], [0])}

    shown = answers("velocity", large, 5)

    assert shown[2]["boxes"].tolist() == [[10, 180, 30, 200]]
    assert [len(shown[4][name]) for name in ("boxes", "classes", "scores")] == [0, 0, 0]


@pytest.mark.skipif(
    importlib.util.find_spec("trackers") is None, reason='needs pip install "lstd[tracking]"'
)
def test_bytetrack_predicts_where_a_track_goes_and_holds_what_has_none() -> None:
    large = {
        index: ([[10 + index, 2 * index, 50 + index, 40 + 2 * index]], [0])
        for index in range(0, 17, 4)
    }
    large[16][0].append([60, 60, 80, 80])
    large[16][1].append(1)  # of another class: a new track

    shown = answers("bytetrack", large, 19)

    assert shown[2]["boxes"].tolist() == large[0][0]
    np.testing.assert_array_equal(shown[16]["boxes"], large[16][0])
    moved, still = shown[18]["boxes"]
    np.testing.assert_allclose(moved, [28, 36, 68, 76], atol=1)
    assert still.tolist() == [60, 60, 80, 80]


def test_numbers_of_baselines_stand_beside_those_of_their_schedule() -> None:
    numbers = evaluate.evaluate(
        FakeModel(),
        clips([[(b"a", 5), (b"b", 3)], [(b"c", 4), (b"d", 6)]], unroll=2),
        ["coco", "distance"],
        ["LARGE", "SKIP1", "SMALL"],
        baselines=["held", "velocity"],
    )

    shown = {name.partition("/")[0] for name in numbers} - {"frames"}
    assert shown == {"LARGE", "SKIP1", "SKIP1-held", "SKIP1-velocity", "SMALL"}
    # The fake's small network says the wrong class, and nothing moves.
    assert numbers["SKIP1/coco/ap50"] < 0.6
    assert numbers["SKIP1-held/coco/ap50"] == pytest.approx(1)
    assert numbers["SKIP1-held/distance/1/frames"] == numbers["SKIP1/distance/1/frames"] == 8


def test_a_baseline_takes_no_time_of_its_own_but_waits_for_the_large_network() -> None:
    for mode in ("synchronous", "asynchronous"):
        metric = StreamingMetric(LABELS, {"large": 15}, fps=100, mode=mode)
        for index in range(4):
            network = "none" if index % 3 else "large"
            mine = found([[0, 0, 9, 9]], [0], network=network)
            metric.add(("v", index), mine, mine)
        told = [None if each is None else each[1] for each in metric.shown().values()]
        assert told == [None, None, 2, 2], mode


def test_baselines_of_random_schedules_follow_the_network_that_ran() -> None:
    collector = {name: [Collector(LABELS)] for name in ("RANDOM", "RANDOM-held")}

    evaluate.evaluate(
        FakeModel(), clips([[(b"v", 9)]], unroll=3), collector, ["RANDOM"], baselines=["held"]
    )

    ran, held = (metrics[0].detections for metrics in collector.values())
    assert [held[frame].network == "large" for frame in held] == [
        ran[frame].network == "large" for frame in ran
    ]


@pytest.mark.parametrize(
    ("names", "schedules", "message"),
    [
        (["hold"], ["SKIP3"], "unknown baseline 'hold'; did you mean 'held'?"),
        (["held", "held"], ["SKIP3"], "holds a name twice: held, held"),
        ("held", ["SKIP3"], r"must be a list, such as \['held'\]"),
        (["held"], ["LARGE", "SMALL"], "schedule such as SKIP9; got LARGE, SMALL"),
    ],
)
def test_what_cannot_be_is_refused(names: Any, schedules: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^baselines.*{message}"):
        evaluate.evaluate(FakeModel(), [], None, schedules, baselines=names)


def test_without_its_package_bytetrack_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "lstd\[tracking\]"'):
        baselines.check(["held", "bytetrack"])
