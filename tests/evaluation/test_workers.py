"""Workers that each saw a part: what they merge is what one would have found in the whole."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from lstd.evaluation import CocoMetric, ConfusionMetric, VidMetric, evaluate
from lstd.evaluation.metrics import by_name
from lstd.evaluation.occlusion import OccludedDataset
from tests.evaluation.fakes import Part, SeesClear, bright_clips, filled, random_frames

LABELS = ("cat", "dog")
LATENCIES = {"large": [40.0, 90.0], "small": [5.0, 8.0]}


HALVES: dict[str, Callable[[Part], bool]] = {
    "by video": lambda part: part[0][0] in ("v00", "v03"),
    "by frame": lambda part: part[0][1] % 2 == 0,  # tracks, distances and streams are torn apart
}


@pytest.mark.parametrize("halves", HALVES)
@pytest.mark.parametrize("name", by_name.NAMES)
def test_merge_of_two_halves_equals_the_whole(name: str, halves: str) -> None:
    make = by_name.factory(name, latencies=LATENCIES, fps=30)
    frames = random_frames(seed=list(HALVES).index(halves))
    whole = filled(make(LABELS), frames)
    left = filled(make(LABELS), [part for part in frames if HALVES[halves](part)])
    right = filled(make(LABELS), [part for part in frames if not HALVES[halves](part)])
    left.result(), right.result()  # what they found apart is forgotten

    merged = right.merge(pickle.loads(pickle.dumps(left)))  # from another process

    assert merged.result() == whole.result()
    assert any(0 < value < 1 for value in whole.result().values())
    assert len(merged) == len(whole) == 36
    if isinstance(merged, ConfusionMetric):
        np.testing.assert_array_equal(merged.matrix(), whole.matrix())
    if isinstance(merged, CocoMetric):
        for ours, theirs in zip(
            merged.precision_recall(0.75), whole.precision_recall(0.75), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    if isinstance(merged, VidMetric):
        for ours, theirs in zip(
            merged.precision_recall("dog"), whole.precision_recall("dog"), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_occluded_halves_equal_the_occluded_whole() -> None:
    def occluded(*videos: tuple[bytes, int]) -> CocoMetric:
        data = bright_clips([list(videos)], unroll=4)
        metric = CocoMetric(("by large", "by small"))
        evaluate.evaluate(SeesClear(), OccludedDataset(data, probability=0.5), [metric], ["LARGE"])
        return metric

    merged = occluded((b"a", 12), (b"b", 8)).merge(occluded((b"c", 20)))

    whole = occluded((b"c", 20), (b"b", 8), (b"a", 12))
    assert merged.result() == whole.result()
    assert 0.2 < whole.result()["coco/ap"] < 0.8
