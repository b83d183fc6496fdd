"""What TensorBoard is given: curves, histograms, pictures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import lstd
from lstd.base.types import ClipBatch, GroundTruth
from lstd.media import draw
from lstd.training.tensorboard import Events, WriteSamples, WriteScalars
from tests import tiny
from tests.training import doubles


def _written(folder: Path, plugin: str) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Returns what the event files hold for a plugin: (step, value) by tag."""
    found: dict[str, list[tuple[int, np.ndarray]]] = {}
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == plugin:
                    array = tf.make_ndarray(value.tensor)
                    found.setdefault(value.tag, []).append((event.step, array))
    return found


def test_curves_are_means_since_the_point_before_and_end_with_the_epoch(tmp_path: Path) -> None:
    scalars = WriteScalars(Events(tmp_path), every=2)
    doubles.fit(doubles.line(), [doubles.Measure([0.1, 0.25]), scalars], epochs=2, steps=3)

    points = _written(tmp_path, "scalars")
    errors = [9 * 0.36**step for step in range(6)]  # The factor of a step is 0.6, squared.
    assert points["train/loss"] == [
        (2, pytest.approx((errors[0] + errors[1]) / 2)),
        (3, pytest.approx(errors[2], rel=1e-4)),  # Of two sums in float32.
        (5, pytest.approx((errors[3] + errors[4]) / 2)),
        (6, pytest.approx(errors[5], rel=1e-4)),
    ]
    assert points["train/learning_rate"][-1] == (6, pytest.approx(0.1))
    assert points["evaluation/coco/ap"] == [(3, pytest.approx(0.1)), (6, 0.25)]


def test_tensorboard_reads_all_three_kinds_and_is_not_needed_to_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events(tmp_path / "events")
    events.flush()
    assert not events.folder.exists()  # nothing written is no file
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tensorboard", None)  # an import now fails
        events.scalar("curve", 0.25, 7)
        events.histogram("scores", np.array([0.01, 0.02, 0.99, 1.0]), 7)
        events.pictures("frames", [np.full([2, 3, 3], level, np.uint8) for level in (0, 200)], 7)
        events.close()
    assert _written(events.folder, "scalars") == {"curve": [(7, 0.25)]}

    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = accumulators.EventAccumulator(str(events.folder))
    reader.Reload()

    plugins = {"curve": "scalars", "scores": "histograms", "frames": "images"}
    assert set(reader.Tags()["tensors"]) == set(plugins)
    for tag, plugin in plugins.items():
        assert reader.SummaryMetadata(tag).plugin_data.plugin_name == plugin
    (histogram,) = reader.Tensors("scores")
    rows = tf.make_ndarray(histogram.tensor_proto)
    assert histogram.step == 7
    assert rows[0].tolist() == pytest.approx([0.0, 1 / 30, 2.0])
    assert rows[-1].tolist() == pytest.approx([29 / 30, 1.0, 2.0])
    assert rows[:, 2].sum() == 4
    width, height, *pictures = tf.make_ndarray(reader.Tensors("frames")[0].tensor_proto)
    assert (width, height, len(pictures)) == (b"3", b"2", 2)
    assert tf.io.decode_png(pictures[1]).numpy()[0, 0].tolist() == [200, 200, 200]


class _Detector:
    """Finds the left half of each frame, of class 1, with a score of 0.95; anchor 0 says so."""

    networks, labels, eval_schedule = ("large", "small"), ("cat", "dog"), "SKIP1"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, clip: ClipBatch, *, networks: Any, training: bool) -> Any:
        self.asked.append((clip.frames.shape[:2], networks.tolist()))
        logits = np.full([1, clip.frames.shape[1], 2, 3], -9.0, np.float32)
        logits[..., 0, 2] = np.log(19)  # sigmoid 0.95
        encodings = tf.zeros([1, clip.frames.shape[1], 2, 4])
        return lstd.Output(lstd.Predictions(encodings, tf.constant(logits)), None)

    def detect(self, predictions: lstd.Predictions) -> lstd.Detections:
        one = np.ones([1, predictions.class_logits.shape[1], 1], np.float32)
        boxes = one[..., np.newaxis] * np.array([0.0, 0.0, 1.0, 0.5], np.float32)
        return lstd.Detections(boxes, 0.95 * one, one.astype(int), one[..., 0].astype(int))


LOSS = lstd.DetectionLoss(
    anchors=np.array([[0.0, 0.0, 1.0, 0.5], [0.4, 0.6, 0.6, 0.8]], np.float32), num_classes=2
)


def _samples(folder: Path, dataset: Any, said: list[str]) -> tuple[WriteSamples, _Detector]:
    events, model = Events(folder), _Detector()
    samples = WriteSamples(
        dataset, events, loss=LOSS, min_score=0.5, step=lambda: 12, say=said.append
    )
    samples.model = model
    return samples, model


def _batch() -> tuple[ClipBatch, GroundTruth]:
    """Returns two clips; in the first, the left half is a cat in all six frames."""
    clip, truth = tiny.batch(6)
    boxes = truth.boxes.numpy()
    boxes[0, :, 0] = [0.0, 0.0, 1.0, 0.5]
    classes = np.zeros([2, 6, 2], np.int32)
    classes[..., 1] = -1
    return clip, GroundTruth(tf.constant(boxes), tf.constant(classes))


def test_samples_show_frames_with_boxes_and_how_scores_spread(tmp_path: Path) -> None:
    reads = []

    class Dataset:
        def __iter__(self) -> Iterator[Any]:
            reads.append(1)
            return iter([_batch(), _batch()])

    samples, model = _samples(tmp_path, Dataset(), [])
    for epoch in range(2):
        samples.on_epoch_end(epoch)

    assert len(reads) == 1
    assert model.asked == [((1, 6), [[0, 1, 0, 1, 0, 1]])] * 2
    images = _written(tmp_path, "images")
    assert [len(images[tag]) for tag in ("frames/truth", "frames/detections")] == [1, 2]
    step, (width, height, *pictures) = images["frames/detections"][0]
    assert (step, width, height, len(pictures)) == (12, b"512", b"512", 4)
    picture = tf.io.decode_png(pictures[0]).numpy()
    assert (picture[200, 1] == draw.color_of(1)).all()  # the edge of a dog's box
    histograms = _written(tmp_path, "histograms")
    objects, background = (histograms[f"scores/{part}"][0][1] for part in ("objects", "background"))
    assert objects[28].tolist() == pytest.approx([28 / 30, 29 / 30, 6])  # anchor 0 in six frames
    assert background[0, 2] == 6  # anchor 1


def test_without_pillow_there_are_histograms_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    said: list[str] = []
    samples, _ = _samples(tmp_path, [_batch()], said)

    for epoch in range(2):
        samples.on_epoch_end(epoch)

    assert len(said) == 1
    assert said[0].startswith("no pictures for TensorBoard: ")
    assert _written(tmp_path, "images") == {}
    assert len(_written(tmp_path, "histograms")["scores/objects"]) == 2


def test_no_data_is_no_sample(tmp_path: Path) -> None:
    samples, model = _samples(tmp_path, (), [])

    samples.on_epoch_end(0)

    assert model.asked == []
