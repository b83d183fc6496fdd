"""ImageNet VID's AP@0.5 by hand, and against the protocol written down word for word."""

import random
from typing import Any

import numpy as np
import pytest

from lstd.evaluation import VidMetric
from tests.evaluation import vid_oracle
from tests.evaluation.fakes import filled, found, truth

LABELS = ("cat", "dog")
BOX = [0.0, 0.0, 99.0, 99.0]  # 100 x 100 px, last pixels included: threshold 0.5
FAR = [500.0, 500.0, 599.0, 599.0]


NOTHING = found([], [])


def split(*frames: tuple[Any, Any]) -> dict[str, float]:
    metric = filled(VidMetric(LABELS), [(("v", n), *frame) for n, frame in enumerate(frames)])
    return {
        name.removeprefix("vid/ap50_"): value
        for name, value in metric.result().items()
        if name.startswith("vid/ap50_")
    }


def test_perfect_detections_score_one() -> None:
    metric = VidMetric(LABELS)
    metric.add(("v", 0), truth([BOX, FAR], [0, 1]), found([BOX, FAR], [0.9, 0.8], [0, 1]))

    assert metric.result() == {
        "vid/ap50": 1.0,
        "vid/ap50_slow": -1.0,
        "vid/ap50_medium": -1.0,
        "vid/ap50_fast": 1.0,  # a track of one frame has motion IoU 0
        "vid/classes": 2.0,
        "vid/classes_slow": 0.0,
        "vid/classes_medium": 0.0,
        "vid/classes_fast": 2.0,
        "vid/ap50/cat": 1.0,
        "vid/ap50/dog": 1.0,
    }


SMALL = [0.0, 0.0, 9.0, 9.0]  # 10 x 10 px: threshold 100 / 400 = 0.25
# w h / ((w + 10) (h + 10)) is 576 / 1156 = 0.498 at 24 x 24; so is the IoU with 24 x wide.
MIDDLE, WIDE = [0.0, 0.0, 23.0, 23.0], 576 / 24 * 34 * 34 / 576
NEAR = [0.0, 0.0, 99.0, 89.0]
AP_BY_HAND = {
    # 100 x 100 against 100 x 50 within: exactly half. Without the +1 it would be 49 / 99.
    "areas include the last pixel": ([(truth([BOX]), found([[0, 0, 99, 49]], [0.9]))], 1.0),
    "and not more": ([(truth([BOX]), found([[0, 0, 99, 48]], [0.9]))], 0.0),
    "small boxes need less": ([(truth([SMALL]), found([[0, 0, 9, 39]], [0.9]))], 1.0),  # 100 / 400
    "but so much": ([(truth([SMALL]), found([[0, 0, 9, 40]], [0.9]))], 0.0),  # 100 / 410
    "nearly a half": ([(truth([MIDDLE]), found([[0, 0, 23, WIDE - 1 - 1e-6]], [0.9]))], 1.0),
    "less than that": ([(truth([MIDDLE]), found([[0, 0, 23, WIDE - 1 + 1e-3]], [0.9]))], 0.0),
    # The first takes BOX, which fits best; the second, though it fits BOX best too, takes NEAR.
    "free box with the largest IoU": ([(truth([NEAR, BOX]), found([BOX, BOX], [0.9, 0.8]))], 1.0),
    # By score: true, false, true of two: recall 1/2 at precision 1, then 1 at 2/3.
    "second detection is false": (
        [(truth([BOX]), found([BOX, BOX], [0.9, 0.8])), (truth([BOX]), found([BOX], [0.7]))],
        0.5 + 0.5 * 2 / 3,
    ),
    # The better box comes second: it is false, after full recall at precision 1.
    "lower score waits": ([(truth([BOX]), found([BOX, [0, 10, 99, 109]], [0.5, 0.9]))], 1.0),
    "another class": ([(truth([BOX], [0]), found([BOX], [0.9], [1]))], 0.0),
    "empty frame": ([(truth([]), found([BOX], [0.9])), (truth([BOX]), found([BOX], [0.8]))], 0.5),
    # FAR is found within the crowd, and then no more: neither right nor wrong. The last one is.
    "crowds do not count": (
        [
            (
                {**truth([BOX, FAR], track_ids=[1, -1]), "is_crowd": [False, True]},
                found([FAR, FAR, BOX, [900, 900, 950, 950]], [0.9, 0.8, 0.7, 0.6]),
            )
        ],
        1.0,
    ),
    # false, true, true: precisions 0, 1/2, 2/3; the envelope makes both steps 2/3.
    "envelope": (
        [(truth([BOX, FAR]), found([[900, 900, 950, 950], BOX, FAR], [0.9, 0.8, 0.7]))],
        2 / 3,
    ),
}


@pytest.mark.parametrize("rule", AP_BY_HAND)
def test_ap_by_hand(rule: str) -> None:
    frames, expected = AP_BY_HAND[rule]
    parts = [(("v", index), *frame) for index, frame in enumerate(frames)]
    metric = filled(VidMetric(LABELS, motion=False), parts)
    assert metric.result()["vid/ap50"] == pytest.approx(expected)


def test_class_without_objects_is_left_out_of_the_mean() -> None:
    metric = VidMetric(LABELS, motion=False)
    metric.add(("v", 0), truth([BOX], [0]), found([BOX, FAR], [0.9, 0.8], [0, 1]))

    result = metric.result()

    assert result["vid/ap50"] == 1.0
    assert result["vid/classes"] == 1.0
    assert result["vid/ap50/dog"] == -1.0
    assert "vid/ap50_slow" not in result


@pytest.mark.parametrize(
    ("width", "ranges"),
    [
        (100, {"slow"}),
        (95, {"slow"}),
        (90, {"slow", "medium"}),
        (80, {"medium"}),
        (70, {"medium", "fast"}),
        (60, {"fast"}),
    ],
)
def test_ranges_are_closed_at_both_ends(width: int, ranges: set[str]) -> None:
    # Two frames of a track, one within the other: both have the motion IoU width / 100.
    inner = [0.0, 0.0, 99.0, width - 1.0]
    got = split((truth([BOX]), NOTHING), (truth([inner]), NOTHING))

    assert {name for name, value in got.items() if value != -1} == ranges


def test_mean_that_is_an_end_by_rights_counts_as_the_end() -> None:
    # (0.5 + 0.6 + 1.0) / 3 is 0.7, in floats 0.7000000000000001: medium, and fast as well.
    widths = (100, 50, 60, 100)
    frames = [(truth([[0, 0, 99, width - 1]]), NOTHING) for width in widths]
    moved = [
        vid_oracle.motion(
            {("v", i): ([([0, 0, 99, w - 1], 0, 0)], []) for i, w in enumerate(widths)}, "v", 0, 0
        )
    ]
    assert moved[0] == pytest.approx(0.7, abs=1e-12)
    metric = VidMetric(LABELS)
    for index, frame in enumerate(frames):
        metric.add(("v", index), *frame)
    in_set = dict(zip(metric.counted().names, metric.counted().in_set[:, 0], strict=True))
    assert in_set == {"": True, "_slow": False, "_medium": True, "_fast": True}


def test_window_ends_after_ten_frames_and_at_the_videos_ends() -> None:
    def moving(gap: int) -> dict[str, float]:
        metric = VidMetric(LABELS)
        metric.add(("v", 0), truth([BOX]), NOTHING)
        metric.add(("v", gap), truth([BOX]), NOTHING)
        metric.add(("w", gap - 1), truth([BOX]), NOTHING)  # the same track id in another video
        return metric.result()

    assert moving(10)["vid/classes_slow"] == 1.0
    assert moving(11)["vid/classes_slow"] == 0.0


STILL = truth([BOX], track_ids=[1])
NOWHERE = [900.0, 0.0, 950.0, 50.0]
SPLIT_BY_HAND = {
    # Slow: the cat stands still. Fast: another cat, in the first frame alone.
    "detection on an object out of range is ignored": (
        [
            (truth([BOX, FAR], track_ids=[1, 2]), found([FAR, BOX], [0.9, 0.8])),
            (STILL, found([BOX], [0.7])),
        ],
        {"slow": 1.0, "medium": -1.0, "fast": 1.0},
    ),
    # Two detections overlap an object too little, one each.
    # Slow: the first false, then true, true: 2/3. Fast: the second false, then true: 1/2.
    "unmatched follows the better overlap": (
        [
            (
                truth([BOX, FAR], track_ids=[1, 2]),
                found([[0, 70, 99, 169], [500, 570, 599, 669], BOX, FAR], [0.9, 0.8, 0.7, 0.6]),
            ),
            (STILL, found([BOX], [0.5])),
        ],
        {"slow": 2 / 3, "medium": -1.0, "fast": 0.5},
    ),
    # A dog is detected on the standing cat: false for slow, nothing for fast. Fast dogs: two.
    "overlap with another class counts": (
        [
            (truth([BOX, FAR], [0, 1], track_ids=[1, 2]), found([BOX, FAR], [0.9, 0.8], [1, 1])),
            (truth([BOX, [0, 300, 99, 399]], [0, 1], track_ids=[1, 3]), NOTHING),
        ],
        {"fast": 0.5},
    ),
    # Three slow boxes of one track and one fast: 3/4 and 1/4 of a false positive.
    "empty frame weighs the share in range": (
        [
            (truth([BOX, FAR], track_ids=[1, 2]), found([BOX, FAR], [0.8, 0.8])),
            (STILL, found([BOX], [0.7])),
            (STILL, found([BOX], [0.6])),
            (truth([]), found([BOX], [0.9])),
        ],
        {"fast": 1 / 1.25, "slow": 3 / 3.75},
    ),
    # One slow and two fast objects; a detection far from all of them.
    # Slow: 2/3 of a false one before 2 hits. Fast: 1/3 before 2 hits.
    "equal overlaps weigh the share out of range": (
        [
            (
                truth([BOX, [500, 500, 599, 599], [700, 700, 799, 799]], track_ids=[1, 2, 3]),
                found(
                    [NOWHERE, BOX, [500, 500, 599, 599], [700, 700, 799, 799]],
                    [0.9, 0.8, 0.8, 0.8],
                ),
            ),
            (STILL, found([BOX], [0.7])),
        ],
        {"slow": 2 / (2 + 2 / 3), "fast": 2 / (2 + 1 / 3)},
    ),
    # No object out of range: overlap 0 with those in range is more than none at all.
    "far from all is false where all are in range": (
        [
            (truth([BOX]), found([NOWHERE, BOX], [0.9, 0.8])),
            (truth([BOX]), found([BOX], [0.7])),
            (truth([FAR], track_ids=[9]), found([NOWHERE, FAR], [0.9, 0.8])),
        ],
        {"slow": 2 / 3, "fast": 1 / 2},
    ),
    "two boxes of a track in one frame are neighbours": (
        [(truth([BOX, BOX], track_ids=[4, 4]), NOTHING)],
        {"slow": 0.0},
    ),
}


@pytest.mark.parametrize("rule", SPLIT_BY_HAND)
def test_split_by_hand(rule: str) -> None:
    frames, expected = SPLIT_BY_HAND[rule]
    result = split(*frames)
    assert {name: result[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("block", range(4))
def test_random_videos_equal_the_protocol_word_for_word(block: int) -> None:
    different = videos = 0
    for seed in range(block * 60, block * 60 + 60):  # 240 sets, 480 videos in all
        frames = random_videos(seed)
        metric = VidMetric(("a", "b", "c"), per_class=False)
        for frame, (true, detected) in frames.items():
            boxes, classes, tracks = map(list, zip(*true, strict=True)) if true else ([], [], [])
            seen, labels, scores = map(list, zip(*detected, strict=True)) if detected else ([],) * 3
            metric.add(frame, truth(boxes, classes, track_ids=tracks), found(seen, scores, labels))
        expected = vid_oracle.results(frames, 3)

        # The same sums in another order: the last bits.
        assert metric.result() == pytest.approx(expected, abs=1e-12)
        different += len({*expected.values()}) > 4
        videos += len({video for video, _ in frames})
    assert different > 20  # most sets tell the ranges apart
    assert videos > 100


def test_precision_over_recall_of_a_class() -> None:
    metric = VidMetric(LABELS, motion=False)
    metric.add(("v", 0), truth([BOX, FAR]), found([BOX, BOX, FAR], [0.9, 0.8, 0.7]))

    curve = metric.precision_recall("cat")

    np.testing.assert_allclose(curve, [[0.5, 0.5, 1.0], [1.0, 0.5, 2 / 3]])
    assert len(metric.precision_recall("dog")[0]) == 0
    with pytest.raises(ValueError, match="no class 'bird'; the classes are cat, dog"):
        metric.precision_recall("bird")


@pytest.mark.parametrize(
    ("true", "message"),
    [
        ({"boxes": [BOX], "classes": [0]}, r"frame \('v', 3\): .* no track_ids; the motion split"),
        (truth([BOX], track_ids=[-1]), "track id -1, which means unknown; the motion split"),
    ],
)
def test_split_without_tracks_is_refused(true: Any, message: str) -> None:
    metric = VidMetric(LABELS)

    with pytest.raises(ValueError, match=message):
        metric.add(("v", 3), true, NOTHING)

    assert len(metric) == 0
    plain = VidMetric(LABELS, motion=False)
    plain.add(("v", 3), true, NOTHING)
    assert plain.result()["vid/ap50"] == 0.0


def test_frames_without_objects_need_no_tracks_and_measure_nothing() -> None:
    metric = VidMetric(LABELS)
    metric.add(("v", 0), {"boxes": [], "classes": []}, found([BOX], [0.5]))

    assert metric.result()["vid/ap50"] == metric.result()["vid/ap50_slow"] == -1.0


def random_videos(seed: int) -> vid_oracle.Video:
    """Returns one to three short videos: boxes on a coarse grid, so that many touch and repeat."""
    rng = random.Random(seed)
    frames: vid_oracle.Video = {}

    def box() -> list[float]:
        corner = [rng.choice([-30, 0, 10, 20, 60, 95]), rng.choice([-30, 0, 10, 20, 60, 95])]
        size = [rng.choice([0, 9, 10, 19, 24, 49]), rng.choice([0, 9, 10, 19, 24, 49])]
        return [*corner, corner[0] + size[0], corner[1] + size[1]]

    for number in range(rng.randint(1, 3)):
        tracks = [
            [track, rng.randrange(3), box(), rng.choice([0, 0, 1, 3, 10]), rng.random()]
            for track in range(rng.randint(0, 4))
        ]
        for index in range(rng.randint(1, 16)):
            true, detected = [], []
            if rng.random() < 0.15:
                frames[f"v{number}", index] = ([], [(box(), rng.randrange(3), rng.random())])
                continue
            for track, label, place, speed, steadiness in tracks:
                place[1], place[3] = place[1] + speed, place[3] + speed
                if rng.random() < steadiness:  # a low one leaves tracks of a single frame
                    true.append((list(place), label, track))
                    if rng.random() < 0.2:
                        true.append((list(place), rng.randrange(3), rng.randrange(6)))
            for place, label, _ in true:
                for _ in range(rng.choice([0, 1, 1, 2])):
                    shift = rng.choice([0, 0, 1, 4, 12])
                    moved = [place[0], place[1] + shift, place[2], place[3] + shift]
                    score = rng.choice([rng.random(), 0.5])  # equal scores too
                    detected.append((moved, rng.choice([label, label, rng.randrange(3)]), score))
            for _ in range(rng.randint(0, 2)):
                detected.append((box(), rng.randrange(3), rng.random()))
            frames[f"v{number}", index] = (true, detected)
    return frames
