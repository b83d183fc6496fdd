"""A data set and a model made by hand, in which every detection tells how it came about."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import ClipBatch, Detections, GroundTruth, LSTMState, Output, Predictions
from lstd.evaluation.metrics.frame_metric import FrameMetric

HEIGHT, WIDTH = 50, 100
Part = tuple[tuple[str, int], dict[str, Any], dict[str, Any]]
"""Frame, true and detected objects, as metrics take them."""


def clips(
    lanes: Sequence[Sequence[tuple[bytes, int]]], *, unroll: int, classes: Sequence[int] = (0,)
) -> list[tuple[ClipBatch, GroundTruth]]:
    """Returns clips of `unroll` frames; each lane shows its videos one after the other.

    Every frame holds a true box (0.1, 0.2, 0.5, 0.5) per class in `classes`, and a padding row. A
    video of a length that `unroll` does not divide ends in padding frames.
    """
    rows = [
        [
            (name, number if number < length else -1)
            for name, length in lane
            for number in range(-(-length // unroll) * unroll)
        ]
        for lane in lanes
    ]
    batches = []
    for begin in range(0, len(rows[0]), unroll):
        part = [row[begin : begin + unroll] for row in rows]
        index = np.array([[number for _, number in row] for row in part], np.int32)
        shape = (*index.shape, len(classes) + 1)
        batches.append(
            (
                ClipBatch(
                    frames=tf.zeros([*index.shape, HEIGHT, WIDTH, 3], tf.uint8),
                    starts=tf.constant(index == 0),
                    frame_index=tf.constant(index),
                    video_id=tf.constant([row[0][0] for row in part]),
                    where=tf.fill(index.shape, "somewhere"),
                ),
                GroundTruth(
                    boxes=tf.broadcast_to(tf.constant([0.1, 0.2, 0.5, 0.5]), (*shape, 4)),
                    classes=tf.broadcast_to(tf.constant([*classes, -1], tf.int32), shape),
                ),
            )
        )
    return batches


def truth(boxes: Any, classes: Any = None, **more: Any) -> dict[str, Any]:
    """Returns true objects: of class 0, each a track of its own, unless told otherwise."""
    classes = [0] * len(boxes) if classes is None else classes
    return {"boxes": boxes, "classes": classes, "track_ids": [*range(len(boxes))], **more}


def found(boxes: Any, scores: Any = None, classes: Any = None, **more: Any) -> dict[str, Any]:
    """Returns detected objects: of class 0 and score 0.9, unless told otherwise."""
    classes = [0] * len(boxes) if classes is None else classes
    scores = [0.9] * len(boxes) if scores is None else scores
    return {"boxes": boxes, "classes": classes, "scores": scores, **more}


def filled(metric: Any, parts: Sequence[Any], **more: Any) -> Any:
    """Returns the metric after so many frames, each as `add` takes it."""
    for part in parts:
        metric.add(*part, **more)
    return metric


class FakeModel:
    """Detects one box (0.1, 0.2, 0.5, 0.5) in each frame.

    Its class is the network that ran; its score counts, in hundredths, the frames that the large
    network has seen since the video began. Like the model it zeroes the state at `starts`, and the
    small network does not write the state.
    """

    def __init__(self, networks: tuple[str, ...] = ("large", "small")) -> None:
        self.networks = networks
        self.labels = ("by large", "by small")
        self.num_classes = 2
        self.eval_schedule = "SKIP1"
        self.schedule_counts = "video"
        self.traces = 0

    def initial_state(self, batch_size: int) -> LSTMState:
        zeros = tf.zeros([batch_size])
        return LSTMState(zeros, zeros)

    def __call__(
        self, clip: ClipBatch, state: LSTMState, networks: Any = None, training: bool = True
    ) -> Output:
        self.traces += 1
        if training:
            raise ValueError("evaluation must not run in training mode")
        if networks is None:
            networks = tf.zeros_like(clip.frame_index)
        count = state.c
        seen = []
        for frame in range(clip.frames.shape[1]):
            count = tf.where(clip.starts[:, frame], 0.0, count)
            count += tf.cast(networks[:, frame] == 0, tf.float32)
            seen.append(count)
        return Output(
            Predictions(tf.cast(networks, tf.float32), tf.stack(seen, axis=1)),
            LSTMState(count, state.h),
        )

    def detect(self, predictions: Predictions) -> Detections:
        """Returns the box, then a padding row that must not count."""
        ran, seen = predictions
        boxes = tf.constant([[0.1, 0.2, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
        return Detections(
            boxes=tf.broadcast_to(boxes, [*ran.shape, 2, 4]),
            scores=tf.stack([seen / 100, tf.zeros_like(seen)], axis=-1),
            classes=tf.cast(tf.stack([ran, tf.zeros_like(ran)], axis=-1), tf.int32),
            count=tf.ones(ran.shape, tf.int32),
        )


class SeesClear(FakeModel):
    """Finds objects only in frames without a hidden, black, pixel."""

    def __call__(
        self, clip: ClipBatch, state: LSTMState, networks: Any = None, training: bool = True
    ) -> Output:
        output = super().__call__(clip, state, networks, training)
        dark = tf.reduce_any(clip.frames == 0, axis=[2, 3, 4])
        ran = tf.where(dark, 1.0, output.predictions.box_encodings)
        return output._replace(predictions=output.predictions._replace(box_encodings=ran))


def bright_clips(lanes: Sequence[Sequence[tuple[bytes, int]]], *, unroll: int) -> list[Any]:
    """Returns clips as `clips` does, without a black pixel."""
    return [
        (clip._replace(frames=tf.fill(clip.frames.shape, np.uint8(9))), true)
        for clip, true in clips(lanes, unroll=unroll)
    ]


class Collector(FrameMetric):
    """A metric that counts nothing and keeps everything."""

    def result(self) -> dict[str, float]:
        return {}


def random_frames(
    seed: int, *, videos: int = 4, length: int = 9, noise: float = 4, decimals: int = 1
) -> list[Part]:
    """Returns frames of videos: objects that move, are missed, invented and confused.

    Detections are off by `noise` pixels, the true objects are the same for any; scores of one
    decimal are often equal.
    """
    true_rng, rng = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    result: list[Part] = []
    for video in range(videos):
        corners = true_rng.uniform(0, 200, (4, 2))
        boxes = np.concatenate([corners, corners + true_rng.uniform(8, 150, (4, 2))], axis=1)
        classes = true_rng.integers(0, 2, 4)
        for index in range(length):
            boxes = boxes + true_rng.normal(0, 4, (4, 1))
            there, seen = true_rng.random(4) < 0.8, rng.random(4) < 0.8
            near = boxes[seen] + rng.normal(0, noise, (seen.sum(), 4))
            near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
            labels = np.where(rng.random(seen.sum()) < 0.2, 1 - classes[seen], classes[seen])
            result.append(
                (
                    (f"v{video:02}", index),
                    {
                        "boxes": boxes[there],
                        "classes": classes[there],
                        "track_ids": np.arange(4)[there],
                        "is_crowd": true_rng.random(there.sum()) < 0.1,
                    },
                    {
                        "boxes": near,
                        "classes": labels,
                        "scores": np.round(rng.random(seen.sum()), decimals),
                        "network": "small" if index % 3 else "large",
                    },
                )
            )
    return result
