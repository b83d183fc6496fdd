"""Intervals: what is drawn, and that a weight counts a frame as often as adding it would."""

import numpy as np
import pytest

from lstd.evaluation import (
    CocoMetric,
    ConfusionMetric,
    FlickerMetric,
    StreamingMetric,
    VidMetric,
    bootstrap,
)
from tests.evaluation.fakes import filled, random_frames

LABELS = ("cat", "dog")
METRICS = {
    "coco": lambda: CocoMetric(LABELS),
    "vid": lambda: VidMetric(LABELS),
    "sap": lambda: StreamingMetric(LABELS, {"large": 45.0, "small": 45.0}, 30),
    "flicker": lambda: FlickerMetric(LABELS, min_score=0.3),
}


@pytest.mark.parametrize("name", METRICS)
def test_weight_counts_a_video_as_often_as_adding_it(name: str) -> None:
    make, parts = METRICS[name], random_frames(0, length=8, decimals=9)
    order, numbers_of = filled(make(), parts).weighted()
    # One output shown twice has equal scores, whose order differs: not exact there.
    for times, exact in (((1, 1, 1, 1), 1e-12), ((2, 0, 3, 1), 0.01)):
        again = [
            ((f"{video}{copy}", index), true, found)
            for (video, index), true, found in parts
            for copy in range(times[int(video[1:])])
        ]
        numbers = numbers_of(np.array([times[int(video[1:])] for video, _ in order], float))
        result = filled(make(), again).result()
        tolerance = exact if name == "sap" else 1e-12
        assert numbers == pytest.approx({name: result[name] for name in numbers}, abs=tolerance)
    assert len(numbers) >= 3
    assert 0 < next(iter(numbers.values())) < 1


def test_ten_videos_are_drawn_as_they_are() -> None:
    drawn = bootstrap.units_of([(f"v{n}", i) for n in range(10) for i in range(3)], fps=None)

    assert drawn.text == "10 videos"
    assert drawn.unit_of["v4", 0] == drawn.unit_of["v4", 2] != drawn.unit_of["v5", 0]
    with pytest.raises(ValueError, match=r"over 1 videos are drawn from blocks .* needs fps"):
        bootstrap.units_of([("v", 0)], fps=None)


@pytest.mark.parametrize(
    ("lengths", "fps", "sizes"),
    [
        ([100], 10, [50, 50]),
        ([149], 10, [75, 74]),
        ([1499], 29.97, [167, 166, 167, 166, 167, 167, 166, 167, 166]),  # 150 frames are 5 s
        ([50, 50, 30, 30], 10, [50, 50, 60]),  # two short ones together
        ([50, 50, 30], 10, [50, 80]),  # a short one left over joins the last
    ],
)
def test_fewer_videos_are_cut_into_blocks_of_five_seconds(
    lengths: list[int], fps: float, sizes: list[int]
) -> None:
    names = [(f"v{n}", i) for n, length in enumerate(lengths) for i in range(length)]

    drawn = bootstrap.units_of(names, fps=fps)

    assert sorted(np.bincount(list(drawn.unit_of.values()))) == sorted(sizes)
    assert drawn.text.startswith(f"{len(sizes)} blocks of at least 5 s from {len(lengths)} video")
    assert drawn.text.endswith("(fewer than ten videos)")


@pytest.mark.parametrize(("length", "blocks"), [(19, 1), (30, 3), (99, 9), (100, 10)])
def test_fewer_than_ten_units_give_no_interval_and_say_what_is_missing(
    length: int, blocks: int
) -> None:
    one, other = (
        filled(CocoMetric(LABELS), random_frames(0, videos=1, length=length, noise=noise))
        for noise in (1, 9)
    )

    found = bootstrap.compare([one], [other], fps=2, draws=10)

    assert found.units.startswith(f"{blocks} block")
    ap = found.differences["coco/ap"]
    assert ap.other < ap.one
    if blocks < 10:
        assert f"score {(10 - blocks) * 5} s more video, or 10 videos" in found.missing
        assert np.isnan([ap.low, ap.high]).all()
    else:
        assert found.missing == ""
        assert ap.low <= ap.other - ap.one <= ap.high


def test_better_detections_differ_surely_and_the_same_not_at_all() -> None:
    good, bad = (random_frames(0, videos=12, length=6, noise=noise) for noise in (1, 15))

    found = bootstrap.compare(
        [filled(CocoMetric(LABELS), bad), filled(VidMetric(LABELS), bad)],
        [filled(CocoMetric(LABELS), good), filled(VidMetric(LABELS), good)],
        draws=200,
    )

    assert found.units == "12 videos"
    ap = found.differences["coco/ap"]
    assert ap.one < ap.other
    assert 0 < ap.low < ap.other - ap.one < ap.high
    assert found.differences["vid/ap50"].low > 0
    same = bootstrap.compare(
        [filled(CocoMetric(LABELS), bad)], [filled(CocoMetric(LABELS), bad)], draws=20
    )
    assert same.differences["coco/ap"][2:] == (0.0, 0.0)


def test_interval_of_a_mean_is_that_of_the_theory() -> None:
    # Flicker rate of one model is 0, of the other a mean of independent videos.
    rng = np.random.default_rng(3)
    box, nothing = {"boxes": [[0, 0, 50, 50]], "classes": [0]}, {"boxes": [], "classes": []}
    one, other = FlickerMetric(LABELS), FlickerMetric(LABELS)
    lost = rng.random(200) < 0.3
    for video in range(200):
        for index in range(2):
            true = {**box, "track_ids": [0]}
            one.add((f"v{video}", index), true, {**box, "scores": [0.9]})
            shown = nothing if lost[video] and index else box
            other.add((f"v{video}", index), true, {**shown, "scores": [0.9] * len(shown["boxes"])})

    found = bootstrap.compare([one], [other], draws=2000).differences["flicker/rate"]

    error = np.sqrt(lost.mean() * (1 - lost.mean()) / 200)
    assert found.high - lost.mean() == pytest.approx(1.96 * error, rel=0.15)
    assert lost.mean() - found.low == pytest.approx(1.96 * error, rel=0.15)


def test_what_cannot_be_compared_is_refused() -> None:
    parts = random_frames(0, videos=10, length=2)
    ours, vid = filled(CocoMetric(LABELS), parts), filled(VidMetric(LABELS), parts)
    confusion, part = filled(ConfusionMetric(LABELS), parts), filled(CocoMetric(LABELS), parts[:-1])
    for one, other, settings, message in (
        (ours, part, {}, r"frame \('v09', 1\) was scored for one of the two only"),
        (ours, vid, {}, "need the same metrics and the same classes"),
        (confusion, confusion, {}, "nothing to compare: intervals can be had for coco"),
        (ours, ours, {"draws": 0}, "draws must be at least 1"),
        (ours, ours, {"confidence": 95}, "confidence must be above 0 and below 1, got 95"),
    ):
        with pytest.raises(ValueError, match=message):
            bootstrap.compare([one], [other], **settings)
