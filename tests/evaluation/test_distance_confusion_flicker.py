"""AP by distance, the confusion matrix and flicker, on boxes to compute by hand."""

import numpy as np
import pytest

from lstd.evaluation import ConfusionMetric, DistanceMetric, FlickerMetric
from lstd.evaluation.metrics.confusion import BestScore, best_score
from tests.evaluation.fakes import found, truth

LABELS = ("cat", "dog")
BOX = [0.0, 0.0, 40.0, 40.0]
FAR = [200.0, 200.0, 240.0, 240.0]


def test_each_distance_is_scored_on_its_own_frames() -> None:
    metric = DistanceMetric(LABELS, schedule="SKIP2")
    for index in range(6):  # found at distance 0 and 1, lost at 2
        metric.add(("v", index), truth([BOX]), found([BOX] if index % 3 < 2 else []))

    result = metric.result()

    assert [result[f"distance/{d}/ap50"] for d in range(3)] == pytest.approx([1.0, 1.0, 0.0])
    assert [result[f"distance/{d}/frames"] for d in range(3)] == [2.0, 2.0, 2.0]
    assert result["distance/fade_ap50"] == pytest.approx(1.0)
    assert "distance/none/ap" not in result


def test_distance_follows_what_the_detections_say_and_starts_anew_with_a_video() -> None:
    metric = DistanceMetric(LABELS, max_distance=2)
    for index, network in enumerate(["small", "large", "small", "small", "small"]):
        metric.add(("v", index), truth([BOX]), {**found([BOX]), "network": network})
    metric.add(("w", 0), truth([BOX]), {**found([BOX]), "network": "small"})

    assert list(metric.distances().values()) == [-1, 0, 1, 2, 3, -1]
    result = metric.result()
    assert result["distance/none/frames"] == 2.0
    assert result["distance/2/frames"] == 2.0  # 2 and 3 together
    assert next(iter(result)) == "distance/0/ap"


def test_one_network_alone_has_nothing_that_fades() -> None:
    metric = DistanceMetric(LABELS, schedule="LARGE")
    metric.add(("v", 0), truth([BOX]), found([BOX]))
    small = DistanceMetric(LABELS, schedule="SMALL")
    small.add(("v", 0), truth([BOX]), found([BOX]))

    assert metric.result()["distance/fade_ap50"] == -1.0
    assert set(small.result()) == {
        *(f"distance/none/{kind}" for kind in ("ap", "ap50", "frames")),
        "distance/fade_ap50",
    }
    unknown = DistanceMetric(LABELS)
    unknown.add(("v", 0), truth([BOX]), found([BOX]))
    with pytest.raises(ValueError, match=r"frame \('v', 0\): which network ran is not known"):
        unknown.result()
    with pytest.raises(ValueError, match="max_distance must be at least 1"):
        DistanceMetric(LABELS, max_distance=0)


def test_confusion_counts_right_wrong_missed_and_invented() -> None:
    metric = ConfusionMetric(LABELS)
    metric.add(
        ("v", 0),
        truth([BOX, FAR, [100, 0, 140, 40]], [0, 1, 1]),
        found([BOX, FAR, [0, 300, 40, 340], BOX], [0.9, 0.8, 0.7, 0.4], [0, 0, 1, 1]),
    )

    # A cat found, a dog taken for a cat, a dog missed, a dog invented; 0.4 does not count.
    np.testing.assert_array_equal(metric.matrix(), [[1, 0, 0], [1, 0, 1], [0, 1, 0]])
    assert metric.result() == pytest.approx(
        {"confusion/found": 2 / 3, "confusion/right_class": 1 / 2, "confusion/false": 1 / 3}
    )


def test_confusion_takes_the_best_box_by_falling_score() -> None:
    metric = ConfusionMetric(LABELS, min_score=0.0)
    near = [0.0, 10.0, 40.0, 50.0]  # IoU 0.6 with BOX
    metric.add(("v", 0), truth([near, BOX], [1, 0]), found([BOX, BOX], [0.3, 0.9], [1, 0]))

    np.testing.assert_array_equal(metric.matrix(), [[1, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_crowds_are_neither_missed_nor_confused_with() -> None:
    metric = ConfusionMetric(LABELS)
    crowd = [0.0, 0.0, 400.0, 400.0]
    metric.add(
        ("v", 0),
        truth([crowd], [0], is_crowd=[True]),
        found([BOX, [0, 380, 40, 420], [500, 500, 540, 540]]),  # within, half within, outside
    )

    np.testing.assert_array_equal(metric.matrix(), [[0, 0, 0], [0, 0, 0], [1, 0, 0]])
    assert metric.result()["confusion/found"] == -1.0
    with pytest.raises(ValueError, match="iou must be above 0 and at most 1, got 0"):
        ConfusionMetric(LABELS, iou=0)


def test_best_score_parts_what_is_right_from_what_is_not() -> None:
    metric = ConfusionMetric(LABELS)
    boxes, scores = [BOX, FAR, FAR, BOX, [300, 300, 340, 340]], [0.9, 0.8, 0.7, 0.6, 0.2]
    metric.add(("v", 0), truth([BOX, FAR], [0, 1]), found(boxes, scores, [0, 0, 1, 0, 1]))
    assert best_score(metric.flat()) == pytest.approx(BestScore(2 * 2 / (3 + 2), 0.65))

    # One more by 0.4, and the best F1 has all of it: hits 1, 1, 2, 2, 3, then a false one.
    metric.add(("v", 1), truth([BOX]), found([BOX], [0.4]))
    assert best_score(metric.flat()) == pytest.approx(BestScore(2 * 3 / (5 + 3), 0.3))

    # Between equals no line can be drawn, whichever of them is right; a crowd counts neither way.
    metric.add(("v", 2), truth([FAR], is_crowd=[True]), found([BOX, BOX, FAR], [0.4, 0.4, 0.99]))
    assert best_score(metric.flat()) == pytest.approx(BestScore(2 * 2 / (3 + 3), 0.65))


def test_best_score_of_nothing_that_is_right_is_not_known() -> None:
    metric = ConfusionMetric(LABELS)
    metric.add(("v", 0), truth([BOX]), found([FAR], [0.9]))
    assert best_score(metric.flat()) is None
    metric.add(("v", 1), truth([BOX]), found([BOX], [0.8]))  # the last one there is
    assert best_score(metric.flat()) == BestScore(2 / (2 + 2), 0.4)


def flickering(pattern: str, *, step: int = 1) -> dict[str, float]:
    """Returns the numbers of an object that is found where `pattern` has an x."""
    metric = FlickerMetric(LABELS)
    for place, sign in enumerate(pattern):
        boxes = [BOX] if sign == "x" else []
        metric.add(("v", place * step), truth([BOX], track_ids=[5]), found(boxes))
    return metric.result()


@pytest.mark.parametrize(
    ("pattern", "rate", "lost", "share"),
    [
        ("xxxxx", 0.0, 0.0, 1.0),
        ("-----", 0.0, -1.0, 0.0),
        ("xx-xx", 2 / 4, 1 / 3, 4 / 5),
        ("x-x-x", 1.0, 1.0, 3 / 5),
        ("--xxx", 1 / 4, 0.0, 3 / 5),
        ("x", -1.0, -1.0, 1.0),
    ],
)
def test_flicker_counts_changes_from_frame_to_frame(
    pattern: str, rate: float, lost: float, share: float
) -> None:
    assert flickering(pattern) == pytest.approx(
        {"flicker/rate": rate, "flicker/lost": lost, "flicker/found": share}
    )


def test_flicker_needs_frames_that_follow_one_another() -> None:
    assert flickering("x-x-x", step=2)["flicker/rate"] == -1.0


def test_flicker_sees_what_is_shown_and_each_object_for_itself() -> None:
    metric = FlickerMetric(LABELS, min_score=0.5)
    tracks = {"track_ids": [1, 2]}
    metric.add(("v", 0), truth([BOX, FAR], **tracks), found([BOX, FAR], [0.9, 0.4]))
    metric.add(("v", 1), truth([FAR, BOX], track_ids=[2, 1]), found([FAR, BOX], [0.9, 0.9]))
    metric.add(("w", 2), truth([BOX], track_ids=[1]), found([]))  # another video

    assert metric.result() == {"flicker/rate": 0.5, "flicker/lost": 0.0, "flicker/found": 3 / 5}


def test_flicker_without_tracks_is_refused() -> None:
    metric = FlickerMetric(LABELS)
    with pytest.raises(ValueError, match="no track_ids; flicker follows objects over frames"):
        metric.add(("v", 0), truth([BOX], track_ids=None), found([]))
    with pytest.raises(ValueError, match=r"a track id stands twice, \[3, 3\]"):
        metric.add(("v", 0), truth([BOX, FAR], track_ids=[3, 3]), found([]))
