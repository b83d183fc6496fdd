"""COCO numbers against hand-computed ones and against pycocotools used directly."""

import json
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.evaluation import coco_files
from lstd.evaluation.metrics import coco
from lstd.evaluation.metrics.coco import NAMES, CocoMetric, Library
from tests.evaluation.fakes import Collector, filled, found, random_frames, truth
from tests.evaluation.test_coco_files import stock

LABELS = ("cat", "dog")
BOX = [10.0, 20.0, 50.0, 80.0]  # 40 x 60 px: medium
FAR = [200.0, 200.0, 240.0, 260.0]


NOTHING = found([], [], [])


def test_perfect_detections_score_one() -> None:
    metric = CocoMetric(LABELS)
    metric.add(("v", 0), truth([BOX, FAR], [0, 1]), found([BOX, FAR], [0.9, 0.8], [0, 1]))

    result = metric.result()

    for name in ("ap", "ap50", "ap75", "ap_medium", "ar1", "ar10", "ar100", "ar_medium"):
        assert result[f"coco/{name}"] == pytest.approx(1.0, abs=1e-12)
    assert result["coco/ap_small"] == -1  # no ground truth of that size
    for name in ("coco/ap/cat", "coco/ap50/dog"):
        assert result[name] == pytest.approx(1.0, abs=1e-12)


def test_names_are_cocos_twelve_then_the_classes() -> None:
    metric = CocoMetric(("cat",))
    metric.add(("v", 0), truth([BOX]), NOTHING)

    assert tuple(metric.result()) == (*NAMES, "coco/ap/cat", "coco/ap50/cat")
    metric.per_class = False
    assert tuple(metric.result()) == NAMES


AP_BY_HAND = {
    # Precision 1 at the recall points 0, 0.01, ... 0.5, and 0 at the 50 above.
    "one of two missed": ([(truth([BOX, FAR]), found([BOX]))], 51 / 101),
    # By score: true, false, true: precision 1 up to recall 0.5, then 2/3.
    "duplicate is false": (
        [
            (truth([BOX]), found([BOX, BOX], [0.9, 0.8])),
            (truth([BOX]), found([BOX], [0.7])),
        ],
        (51 + 50 * 2 / 3) / 101,
    ),
    "empty frames count": (
        [
            (truth([BOX]), found([BOX], [0.5])),
            (truth([], []), found([BOX])),
        ],
        0.5,
    ),
    "wrong class is false": ([(truth([BOX]), found([BOX], [0.5], [1]))], 0.0),
    "crowd is neither missed nor false": (
        [(truth([BOX, FAR], is_crowd=[False, True]), found([BOX]))],
        1.0,
    ),
}


@pytest.mark.parametrize("rule", AP_BY_HAND)
def test_ap_by_hand(rule: str) -> None:
    frames, expected = AP_BY_HAND[rule]
    metric = filled(CocoMetric(LABELS), [(("v", n), *frame) for n, frame in enumerate(frames)])

    assert metric.result()["coco/ap"] == pytest.approx(expected, abs=1e-12)
    assert metric.result()["coco/ap/dog"] == -1  # no dog to find


@pytest.mark.parametrize("library", ["pycocotools", "hotcoco"])
@pytest.mark.parametrize("seed", range(4))
def test_random_frames_equal_pycocotools(seed: int, library: Library, tmp_path: Path) -> None:
    if library == "hotcoco":
        pytest.importorskip("hotcoco")
    frames = random_frames(seed, decimals=1 if seed % 2 else 9)  # many ties, or none
    metric = filled(CocoMetric(LABELS, library=library), frames)
    result = metric.result()
    paths = tmp_path / "a.json", tmp_path / "d.json"
    ids = coco_files.write_annotations(paths[0], LABELS, metric.ground_truth)
    coco_files.write_detections(paths[1], metric.detections, ids, (1, 2))
    expected = stock(*(json.loads(path.read_text()) for path in paths))
    np.testing.assert_allclose([result[name] for name in NAMES], expected, rtol=0, atol=1e-9)
    assert 0 < result["coco/ap"] < 1
    per_class = [result[f"coco/ap/{label}"] for label in LABELS]
    assert np.mean(per_class) == pytest.approx(result["coco/ap"], abs=1e-9)


@pytest.mark.parametrize("decimals", [0, 1, 2])  # 0: all scores are 0 or 1
def test_libraries_give_the_same_tables(decimals: int) -> None:
    pytest.importorskip("hotcoco")
    ours, theirs = (CocoMetric(LABELS, library=name) for name in ("pycocotools", "hotcoco"))
    frames = random_frames(20 + decimals, decimals=decimals)
    for number, (_, true, detected) in enumerate(frames):
        for metric in (ours, theirs):
            metric.add((f"v{number % 11}", number), true, detected)

    for one, other in zip(ours.counted(), theirs.counted(), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12)


def test_many_detections_go_to_the_library_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hotcoco")
    metric = CocoMetric(LABELS)
    metric.add(("v", 0), truth([BOX]), found([BOX]))
    monkeypatch.setattr(coco, "MANY_DETECTIONS", 1)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pycocotools.coco", None)
        assert metric.result()["coco/ap"] == pytest.approx(1.0)

    monkeypatch.setattr(coco.importlib.util, "find_spec", lambda name: None)
    metric.add(("v", 1), truth([], []), None)
    with pytest.warns(UserWarning, match="1 detections by pycocotools"):
        assert metric.result()["coco/ap"] == pytest.approx(1.0)


def test_named_tuples_bytes_and_late_detections_are_welcome() -> None:
    Truth = namedtuple("Truth", "boxes classes track_ids is_crowd")
    Found = namedtuple("Found", "boxes classes scores")
    metric = CocoMetric(LABELS)

    metric.add((b"v", np.int32(0)), Truth([BOX], [0], None, None), None)
    metric.add(("v", 0), None, Found(np.array([BOX], np.float32), [0], [1.0]))

    assert metric.result()["coco/ap"] == pytest.approx(1.0, abs=1e-12)


def test_result_prints_nothing_and_counts_what_came_after_an_earlier_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metric = CocoMetric(LABELS)
    more = {"image": np.zeros((9, 9, 3)), "sizes": [(9, 9)] * 5}  # what else a dict may hold
    metric.add(("v", 0), {**truth([BOX]), **more}, {**found([BOX]), **more})
    assert metric.result()["coco/ap"] == pytest.approx(1.0)
    metric.add(("v", 1), truth([BOX]), NOTHING)
    assert capsys.readouterr().out == ""

    assert metric.result()["coco/ap"] == pytest.approx(51 / 101, abs=1e-12)


def test_no_frames_are_refused_and_frames_without_objects_measure_nothing() -> None:
    metric = CocoMetric(LABELS)
    with pytest.raises(ValueError, match="CocoMetric has no frames: the data set is empty"):
        metric.result()
    metric.add(("v", 0), truth([], []), NOTHING)

    assert set(metric.result().values()) == {-1.0}
    assert np.isnan(metric.precision_recall()[1]).all()


def test_precision_over_recall_by_hand() -> None:
    metric = CocoMetric(LABELS)
    metric.add(("v", 0), truth([BOX, FAR]), found([BOX]))

    recall, precision = metric.precision_recall(0.5)

    np.testing.assert_allclose(recall, np.arange(101) / 100, atol=1e-12)
    np.testing.assert_allclose(precision, np.arange(101) <= 50, atol=1e-12)
    with pytest.raises(ValueError, match=r"iou 0\.33 is none of COCO's: 0\.50"):
        metric.precision_recall(0.33)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("v", 0), truth([BOX]), NOTHING), r"frame \('v', 0\) was added before"),
        ((("v", 0), None, NOTHING), r"detections of frame \('v', 0\) were added before"),
        ((("w", 3), None, NOTHING), r"frame \('w', 3\) is unknown"),
        ((("v", 1), truth([BOX], [2]), NOTHING), r"\('v', 1\).*class 2, outside 0 ... 1"),
        ((("v", 1), truth([BOX]), found([BOX], [1], [-1])), r"detection 0 has class -1"),
        (
            (("v", 1), truth([BOX]), found([BOX, [0, 0, np.nan, 1]], [1, 1], [0, 0])),
            r"\('v', 1\): detection box 1 is not finite",
        ),
        ((("v", 1), truth([BOX]), found([BOX], [np.nan], [0])), "scores are not finite"),
        ((("v", 1), truth([BOX]), truth([BOX])), "detections have no scores"),
        ((("v", 1), truth([[5, 5, 2, 9]], [0]), NOTHING), "ends before it begins"),
        ((("v", 1), truth([BOX[:3]], [0]), NOTHING), r"shape \[n, 4\], got \[1, 3\]"),
        ((("v", 1), truth([BOX], [0, 1]), NOTHING), r"classes must have the shape \[1\]"),
        ((("v", 1), truth([BOX], [0.5]), NOTHING), "classes must be whole numbers"),
        ((("v", 1), truth([BOX]), {**NOTHING, "network": "big"}), "'large' or 'small'"),
        ((("v", 1), {"boxes": [BOX]}, NOTHING), "must have `boxes` and `classes`"),
        (("v", truth([BOX]), NOTHING), r"frame_id must be \(video, index\)"),
        ((("v", -1), truth([BOX]), NOTHING), "whole number of at least 0"),
    ],
)
def test_values_that_cannot_be_are_refused_and_change_nothing(
    arguments: tuple[Any, Any, Any], message: str
) -> None:
    metric = CocoMetric(LABELS)
    metric.add(("v", 0), truth([BOX]), found([BOX]))

    with pytest.raises(ValueError, match=message):
        metric.add(*arguments)

    assert len(metric) == 1
    assert metric.result()["coco/ap"] == pytest.approx(1.0)


def test_merging_what_does_not_fit_is_refused() -> None:
    one, two = CocoMetric(LABELS), CocoMetric(LABELS)
    assert one.merge(two) is one
    one.add(("v", 0), truth([BOX]), NOTHING)
    two.add(("v", 0), truth([BOX]), NOTHING)

    with pytest.raises(ValueError, match=r"frame \('v', 0\) is in both"):
        one.merge(two)
    with pytest.raises(ValueError, match="labels differ"):
        one.merge(CocoMetric(("bird",)))
    with pytest.raises(ValueError, match=r"settings differ: .*per_class': True.*per_class': False"):
        one.merge(CocoMetric(LABELS, per_class=False))
    with pytest.raises(ValueError, match="cannot merge a Collector into a CocoMetric"):
        one.merge(Collector(LABELS))
    with pytest.raises(ValueError, match="labels must be the names"):
        CocoMetric("cat")
