"""The run over the data: state, schedules, padding, metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import Detections
from lstd.evaluation import evaluate
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics.coco import CocoMetric
from tests.evaluation.fakes import HEIGHT, WIDTH, Collector, FakeModel, clips

LABELS = ("by large", "by small")
LANES = [[(b"a", 5), (b"b", 3)], [(b"c", 4), (b"d", 6)]]  # padding: 1 + 1 frames, 0 + 0
ALL = {(name.decode(), i) for lane in LANES for name, length in lane for i in range(length)}


def collected(model: Any, dataset: Any, schedules: Sequence[str]) -> dict[str, Collector]:
    collectors = {name: Collector(LABELS) for name in schedules}
    evaluate.evaluate(model, dataset, {name: [c] for name, c in collectors.items()}, schedules)
    return collectors


def told(collector: Collector, video: str) -> list[tuple[int, int]]:
    """Returns (network that ran, frames the large one has seen) for each frame of a video."""
    frames = sorted(frame for frame in collector.detections if frame[0] == video)
    return [
        (int(found.classes[0]), round(float(found.scores[0]) * 100))
        for found in (collector.detections[frame] for frame in frames)
    ]


def test_each_schedule_runs_its_networks_and_carries_its_own_state() -> None:
    schedules = ["LARGE", "SKIP2", "SMALL", "SKIP1"]
    found = collected(FakeModel(), clips(LANES, unroll=2), schedules)

    assert told(found["LARGE"], "d") == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6)]
    # Frames 0 and 3 are the large network's, whatever the clips' length of 2.
    assert told(found["SKIP2"], "d") == [(0, 1), (1, 1), (1, 1), (0, 2), (1, 2), (1, 2)]
    assert told(found["SMALL"], "d") == [(1, 0)] * 6
    # The state begins anew with each video of a lane.
    assert told(found["SKIP1"], "a") == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]
    assert told(found["SKIP1"], "b") == [(0, 1), (1, 1), (0, 2)]


def test_schedule_that_counts_unrolls_begins_anew_with_each_clip() -> None:
    model = FakeModel()
    model.schedule_counts = "unroll"

    found = collected(model, clips([[(b"d", 6)]], unroll=2), ["SKIP9"])["SKIP9"]

    assert told(found, "d") == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]


def test_one_trace_serves_all_schedules_and_all_later_runs() -> None:
    model = FakeModel()
    detector = ModelDetector(model)

    evaluate.evaluate(detector, clips(LANES, unroll=2), schedules=["LARGE", "SKIP3", "SMALL"])
    evaluate.evaluate(detector, clips(LANES, unroll=2), schedules=["SKIP1", "RANDOM"])

    assert model.traces == 1


def test_padding_neither_counts_nor_reaches_the_metrics() -> None:
    numbers = evaluate.evaluate(FakeModel(), clips(LANES, unroll=4), schedules=["LARGE"])
    found = collected(FakeModel(), clips(LANES, unroll=4), ["LARGE"])["LARGE"]

    assert numbers["frames"] == len(ALL) == 18
    assert set(found.ground_truth) == set(found.detections) == ALL
    assert {len(each.boxes) for each in found.detections.values()} == {1}
    assert {len(each.boxes) for each in found.ground_truth.values()} == {1}


def test_boxes_are_in_pixels_of_a_frame_that_is_not_square() -> None:
    found = collected(FakeModel(), clips([[(b"v", 1)]], unroll=1), ["LARGE"])["LARGE"]

    expected = [[0.1 * HEIGHT, 0.2 * WIDTH, HEIGHT / 2, WIDTH / 2]]
    # 0.1 and 0.2 are float32.
    np.testing.assert_allclose(found.detections["v", 0].boxes, expected, rtol=1e-6)
    np.testing.assert_allclose(found.ground_truth["v", 0].boxes, expected, rtol=1e-6)


def test_names_have_the_schedule_before_them_only_where_there_are_several() -> None:
    dataset = clips(LANES, unroll=2)
    one = evaluate.evaluate(FakeModel(), dataset, schedules=["LARGE"])
    two = evaluate.evaluate(FakeModel(), dataset, schedules=["LARGE", "SMALL"])

    # True boxes are of class 0, which only the large network finds.
    assert one["coco/ap"] == two["LARGE/coco/ap"] == pytest.approx(1.0, abs=1e-12)
    assert two["SMALL/coco/ap"] == 0
    assert "coco/ap" not in two


def test_without_schedules_the_models_own_counts() -> None:
    dataset = clips([[(b"v", 4)]], unroll=2)
    model = FakeModel()
    collector = Collector(LABELS)

    numbers = evaluate.evaluate(model, dataset, [CocoMetric, collector])

    assert told(collector, "v") == [(0, 1), (1, 1), (0, 2), (1, 2)]  # SKIP1
    assert 0.4 < numbers["coco/ap"] < 0.6


def test_single_backbone_runs_on_every_frame() -> None:
    dataset = clips([[(b"v", 3)]], unroll=3)
    model = FakeModel(networks=("large",))
    model.labels = ()  # then classes have numbers

    numbers = evaluate.evaluate(model, dataset)
    assert numbers["coco/ap"] == numbers["coco/ap/class 0"] == pytest.approx(1.0, abs=1e-12)
    assert evaluate.evaluate(model, dataset, schedules=["LARGE"])["frames"] == 3
    with pytest.raises(ValueError, match="SKIP3 needs a large and a small network"):
        evaluate.evaluate(model, dataset, schedules=["SKIP3"])


def test_a_detector_of_somebodys_own_class_is_evaluated() -> None:
    class Own:
        labels, networks, schedule, schedule_counts = LABELS, ("large", "small"), "SKIP1", "video"

        def initial_state(self, batch_size: int) -> int:
            return 0

        def detect_clip(self, clip: Any, state: int, networks: Any) -> tuple[Detections, int]:
            state = 1 if clip.starts[0, 0] else state + 1
            boxes, score = np.float32([[[[0, 0, 0.5, 0.5]]]]), np.float32([[[state / 100]]])
            return Detections(boxes, score, np.asarray(networks)[..., None], np.ones([1, 1])), state

    found = collected(Own(), clips([[(b"v", 2), (b"w", 2)]], unroll=1), ["SKIP1"])["SKIP1"]

    assert told(found, "v") == told(found, "w") == [(0, 1), (1, 2)]


def test_smaller_last_batch_is_fine_between_videos_only() -> None:
    wide, narrow = clips([[(b"a", 2)], [(b"b", 2)]], unroll=2), clips([[(b"c", 4)]], unroll=2)

    assert evaluate.evaluate(FakeModel(), wide + narrow)["frames"] == 8
    with pytest.raises(ValueError, match="from 2 to 1 clips in a batch within a video"):
        evaluate.evaluate(FakeModel(), wide + narrow[1:])


def test_datasets_of_tf_data_are_read() -> None:
    batches = [
        (
            clip,
            true._replace(track_ids=true.classes + 7, is_crowd=tf.fill(true.classes.shape, True)),
        )
        for clip, true in clips(LANES, unroll=2)
    ]
    stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *batches)
    collector = Collector(LABELS)

    numbers = evaluate.evaluate(
        FakeModel(), tf.data.Dataset.from_tensor_slices(stacked), [collector], ["LARGE"]
    )

    assert numbers["frames"] == 18
    true = collector.ground_truth["a", 4]
    assert true.track_ids.tolist() == [7] + [6] * len(LABELS)
    assert true.classes.tolist() == [0, *range(len(LABELS))]  # a region is a crowd of each class
    assert true.is_crowd.all()


@pytest.mark.parametrize(
    ("dataset", "metrics", "schedules", "message"),
    [
        ([], None, None, "gave no frames"),
        (None, None, ["SKIP"], "unknown schedule 'SKIP'"),
        (None, None, "SKIP3", "schedules must be a list"),
        (None, None, [], "schedules must be a list"),
        (None, None, ["LARGE", "LARGE"], "holds a name twice"),
        (None, [CocoMetric(LABELS)], ["LARGE", "SMALL"], "one CocoMetric cannot count 2"),
        (None, {"LARGE": []}, ["SMALL"], "given for LARGE; the schedules are SMALL"),
        (clips([[(b"v", 2), (b"v", 2)]], unroll=2), None, None, r"\('v', 0\) was added before"),
    ],
)
def test_what_cannot_be_is_refused(
    dataset: Any, metrics: Any, schedules: Any, message: str
) -> None:
    dataset = clips(LANES, unroll=2) if dataset is None else dataset

    with pytest.raises(ValueError, match=message):
        evaluate.evaluate(FakeModel(), dataset, metrics, schedules)


def test_boxes_in_pixels_are_refused() -> None:
    (clip, truth), *_ = clips([[(b"a", 2)]], unroll=2)
    with pytest.raises(ValueError, match=r"got \[5, 10, 25, 25\]: of pixels"):
        evaluate.evaluate(FakeModel(), [(clip, truth._replace(boxes=truth.boxes * 50))])
