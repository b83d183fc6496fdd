"""What COCO's and VID's numbers must do whatever the frames are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstd.evaluation import CocoMetric, VidMetric
from lstd.evaluation.metrics.frame_metric import FrameMetric

pytestmark = pytest.mark.parametrize("kind", [CocoMetric, VidMetric], ids=["coco", "vid"])

LABELS = ("cat", "dog")
MOST_FOUND = 12  # in all frames together; each has a score of its own
FEW = settings(max_examples=20)
EXACT = {"rel": 0.0, "abs": 1e-12}
"""The same sums, in another order at most."""

Row = tuple[list[int], int]
Frame = tuple[list[Row], list[Row]]
"""True and detected objects: box and class."""

corners, sides = st.sampled_from([0, 5, 20, 60]), st.sampled_from([9, 10, 30, 40, 110])
rows = st.tuples(
    st.builds(lambda y, x, h, w: [y, x, y + h, x + w], corners, corners, sides, sides),
    st.integers(0, 1),
)


def frame(true: list[Row], near: list[tuple[int, int]], anywhere: list[Row]) -> Frame:
    """Returns a frame in which some detections lie some pixels beside a true box of their class."""
    found = list(anywhere)
    for which, shift in near if true else ():
        box, label = true[which % len(true)]
        found.append(([box[0], box[1] + shift, box[2], box[3] + shift], label))
    return true, found


near_truth = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 4])), max_size=3)
videos = st.lists(
    st.builds(frame, st.lists(rows, max_size=3), near_truth, st.lists(rows, max_size=1)),
    min_size=1,
    max_size=3,
)
score_orders = st.permutations(range(MOST_FOUND))


def scored(video: list[Frame], order: list[int]) -> list[tuple[Any, Any]]:
    """Returns the frames as metrics take them; no two detections have the same score."""
    scores = iter(np.array(order) / 16 + 1 / 8)
    frames = []
    for true, found in video:
        frames.append(
            (
                {
                    "boxes": [box for box, _ in true],
                    "classes": [label for _, label in true],
                    "track_ids": list(range(len(true))),
                },
                {
                    "boxes": [box for box, _ in found],
                    "classes": [label for _, label in found],
                    "scores": [next(scores) for _ in found],
                },
            )
        )
    return frames


def numbers(
    kind: Callable[..., FrameMetric],
    *videos: list[tuple[Any, Any]],
    labels: tuple[str, ...] = LABELS,
) -> dict[str, float]:
    """Returns the numbers of a metric but how many classes were measured."""
    metric = kind(labels)
    for number, video in enumerate(videos):
        for index, (true, found) in enumerate(video):
            metric.add((f"v{number}", index), true, found)
    return {name: x for name, x in metric.result().items() if "/classes" not in name}


def changed(values: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Returns objects with other boxes."""
    return {**values, "boxes": [change(box) for box in values["boxes"]]}


@FEW
@given(video=videos, order=score_orders)
def test_every_number_is_in_zero_to_one_or_not_measured(
    kind: type[FrameMetric], video: list[Frame], order: list[int]
) -> None:
    for value in numbers(kind, scored(video, order)).values():
        assert value == -1.0 or 0.0 <= value <= 1.0 + 1e-12


@FEW
@given(video=videos, order=score_orders)
def test_detections_that_are_the_truth_score_one(
    kind: type[FrameMetric], video: list[Frame], order: list[int]
) -> None:
    perfect = numbers(kind, scored([(true, true) for true, _ in video], order))
    perfect.pop("coco/ar1", None)  # one detection cannot find two objects
    for value in perfect.values():
        assert value in (-1.0, pytest.approx(1.0, **EXACT))
    assert (max(perfect.values()) > 0) == any(true for true, _ in video)


@FEW
@given(video=videos, order=score_orders)
def test_another_numbering_of_the_classes_does_not_matter(
    kind: type[FrameMetric], video: list[Frame], order: list[int]
) -> None:
    frames = scored(video, order)
    renumbered = [
        tuple({**each, "classes": [1 - label for label in each["classes"]]} for each in frame)
        for frame in frames
    ]
    assert numbers(kind, renumbered, labels=LABELS[::-1]) == pytest.approx(
        numbers(kind, frames), **EXACT
    )


@FEW
@given(video=videos, order=score_orders)
def test_neither_place_nor_which_axis_is_which_matters(
    kind: type[FrameMetric], video: list[Frame], order: list[int]
) -> None:
    frames = scored(video, order)
    expected = pytest.approx(numbers(kind, frames), **EXACT)
    for change in (lambda box: np.add(box, 7), lambda box: np.take(box, [1, 0, 3, 2])):
        other = [tuple(changed(each, change) for each in frame) for frame in frames]
        assert numbers(kind, other) == expected


@FEW
@given(video=videos, order=score_orders, place=st.integers(0, 2), label=st.integers(0, 1))
def test_a_false_detection_never_helps_and_does_no_harm_behind_all_others(
    kind: type[FrameMetric], video: list[Frame], order: list[int], place: int, label: int
) -> None:
    frames = scored(video, order)
    true, found = frames[place % len(frames)]
    before = numbers(kind, frames)
    for score in (0.0, 0.5, 2.0):
        false = {
            "boxes": [*found["boxes"], [9000, 9000, 9050, 9050]],
            "classes": [*found["classes"], label],
            "scores": [*found["scores"], score],
        }
        frames[place % len(frames)] = (true, false)
        after = numbers(kind, frames)
        if score == 0.0:
            assert after == pytest.approx(before, **EXACT)
        for name, value in after.items():
            assert value <= before[name] + 1e-12, (name, score)
