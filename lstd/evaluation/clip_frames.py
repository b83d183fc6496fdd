"""Frames with detections out of clips: the detector is run, the state carried, padding left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.types import ClipBatch, Detections, GroundTruth
from lstd.evaluation import baselines
from lstd.evaluation.detectors import ClipDetector
from lstd.fit import first_batches
from lstd.ops import schedule as schedule_ops


class Frame(NamedTuple):
    """A frame of a video, ready for the metrics: NumPy, boxes in pixels, no padding."""

    frame_id: tuple[bytes, int]
    ground_truth: dict[str, np.ndarray]  # see `objects.ground_truth_of`
    detections: dict[str, dict[str, Any]]  # of each schedule and baseline, see `objects`
    image: np.ndarray  # [H, W, C], as the dataset gave it


def detect_clips(
    detector: ClipDetector,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    columns: Sequence[str],
) -> Iterator[list[Frame]]:
    """Yields the frames of each batch of clips with what `detector` finds under each schedule.

    Where a column is a baseline of a schedule (SKIP9-held), it is answered from the same run.

    Raises:
        ValueError: the number of lanes changes in the midst of a video; frames or boxes that mean
            something else, see `first_batches.check_values`.
    """
    schedules = tuple(dict.fromkeys(map(baselines.schedule_of, columns)))
    guesses = baselines.Guesses(columns)
    states: dict[str, Any] = {}
    lanes, classes = 0, len(detector.labels)
    chosen = getattr(detector, "for_schedule", None)  # where each schedule needs its own
    detectors = {name: chosen(name) if chosen else detector for name in schedules}
    for number, (clip, ground_truth) in enumerate(dataset):
        if number < first_batches.BATCHES:
            first_batches.check_values(clip.frames, ground_truth, num_classes=classes)
        if len(clip.frames) != lanes:
            if states and not np.asarray(clip.starts)[:, 0].all():
                raise ValueError(
                    f"the dataset goes from {lanes} to {len(clip.frames)} clips in a batch within "
                    "a video; the state cannot be carried"
                )
            lanes = len(clip.frames)
            states = {name: detectors[name].initial_state(lanes) for name in schedules}
        found: _Found = {}
        for name, each in detectors.items():
            networks = _networks(detector, name, clip)
            detections, states[name] = each.detect_clip(clip, states[name], networks)
            own = getattr(each, "last_networks", networks)  # one that follows schedules by itself
            ran = np.zeros(np.shape(clip.frame_index), int) if own is None else np.asarray(own)
            found[name] = Detections(*map(np.asarray, detections)), ran
        frames = _frames_of(clip, ground_truth, found, classes)
        for frame in frames:
            shape = frame.image.shape
            frame.detections.update(guesses.of_frame(frame.frame_id, frame.detections, shape[:2]))
        yield frames


def true_frames(dataset: Iterable[tuple[ClipBatch, GroundTruth]]) -> Iterator[Frame]:
    """Yields the frames of a dataset without detections, and without regions to ignore."""
    for clip, ground_truth in dataset:
        yield from _frames_of(clip, ground_truth, {}, 0)


_Found = dict[str, tuple[Detections, np.ndarray]]
"""By schedule the detections of a clip, and which network ran on each frame: 0 large, 1 small."""


def _frames_of(
    clip: ClipBatch, ground_truth: GroundTruth, found: _Found, num_classes: int
) -> list[Frame]:
    """Returns the frames; a region to ignore is a crowd of each class."""
    height_px, width_px = clip.frames.shape[2:4]
    size = np.array([height_px, width_px, height_px, width_px], np.float64)
    index, video, images = map(np.asarray, (clip.frame_index, clip.video_id, clip.frames))
    given = ground_truth._asdict().items()
    truth = {name: np.asarray(values) for name, values in given if values is not None}
    crowds = truth.get("is_crowd", np.zeros(truth["classes"].shape, bool))
    frames = []
    for place in zip(*np.nonzero(index >= 0), strict=True):  # the others are padding
        rows = np.flatnonzero(truth["classes"][place] >= 0)
        regions = np.flatnonzero((truth["classes"][place] < 0) & crowds[place])
        rows = np.concatenate([rows, np.repeat(regions, num_classes)])
        true = {name: values[place][rows] for name, values in truth.items()}
        for_each = np.tile(np.arange(num_classes), len(regions))
        true["classes"][len(rows) - len(for_each) :] = for_each
        detections: dict[str, dict[str, Any]] = {}
        for name, (every, ran) in found.items():
            count = int(every.count[place])
            detections[name] = {
                "boxes": every.boxes[place][:count] * size,
                "classes": every.classes[place][:count],
                "scores": every.scores[place][:count],
                "network": ("large", "small")[int(ran[place])],
            }
        true["boxes"] = true["boxes"] * size
        frames.append(Frame((video[place[0]], int(index[place])), true, detections, images[place]))
    return frames


def _networks(detector: ClipDetector, schedule: str, clip: ClipBatch) -> tf.Tensor | None:
    """Returns which network runs, int32 `[B, T]`: a tensor, so that no schedule is traced anew."""
    if len(detector.networks) == 1:
        return None
    numbers = np.maximum(np.asarray(clip.frame_index), 0)
    if detector.schedule_counts == "unroll":
        numbers = np.broadcast_to(np.arange(numbers.shape[1], dtype=np.int32), numbers.shape)
    return tf.cast(schedule_ops.networks_of(schedule, tf.constant(numbers)), tf.int32)
