"""The run over the data: every frame, the state carried through each video, any schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd import schedule_names
from lstd.evaluation import catalogue
from lstd.evaluation.coco import CocoMetric
from lstd.evaluation.detector import ClipDetector, as_detector
from lstd.evaluation.occlusion import OccludedDataset
from lstd.evaluation.store import Frame as Frame
from lstd.evaluation.store import FrameStore
from lstd.evaluation.streaming import Latencies
from lstd.ops import schedule as schedule_ops
from lstd.types import ClipBatch, Detections, GroundTruth

Metrics = Sequence[Any] | Mapping[str, Sequence[Any]]
Numbers = dict[str, float]


def evaluate(
    model: Any,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    metrics: Metrics | None = None,
    schedules: Sequence[str] | None = None,
    *,
    latencies: Latencies | None = None,
    fps: float | None = None,
    occlusion: Sequence[float] = (),
    max_frames: int | None = None,
    watchers: Sequence[Callable[[Frame], None]] = (),
    store: FrameStore | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Returns named numbers: how good `model` is on `dataset`.

    The state is carried from clip to clip, in each lane of the batch for itself; all schedules
    share one pass over the data and one traced graph.

    Args:
        model: an `LSTMSSD`, or anything of the form of `lstd.evaluation.detector.ClipDetector`.
        dataset: every frame once, each video's in order, as an evaluation dataset gives them;
            frames with index -1 are padding.
        metrics: a list of metrics. Each is a name of `lstd.evaluation.catalogue` (such as "vid"), a
            factory, called with the labels once per schedule (such as the class `CocoMetric`), or,
            for a single schedule, an object with `add` and `result`. Or a dict: such a list for
            each schedule. None: COCO.
        schedules: names such as "LARGE", "SKIP3". None: the model's own evaluation schedule.
        latencies: milliseconds by network, for the metric "sap"; see `StreamingMetric`.
        fps: frames a second of the videos, for the metric "sap".
        occlusion: probabilities with which true objects are hidden, each in a pass of its own, with
            the numbers under `occluded/0.25/coco/ap` and so on.
        max_frames: score only so many, the first that the dataset gives; None: all.
        watchers: called with each frame after the metrics, to draw it; not in occluded passes.
        store: keeps the detections of each finished video, and has those of an earlier run, which
            are not computed again; not in occluded passes.
        progress: called after each batch of clips with the number of frames in it.

    Returns:
        `frames`, how many frames counted, and the metrics' numbers under their own names, such as
        `coco/ap`; with more than one schedule each name has the schedule before it, such as
        `SKIP3/coco/ap`.

    Raises:
        ValueError: an unknown schedule, or one that a single backbone cannot follow; a metric
            object for several schedules or passes; an unknown name of a metric, or "sap" without
            latencies and fps; a dataset without frames; a frame that comes twice.
    """
    detector = as_detector(model)
    names = _checked_schedules(detector, schedules)
    metrics = _named(metrics, latencies=latencies, fps=fps)
    _check_limits(max_frames, occlusion, metrics)

    def score(
        clips: Iterable[Any], watching: Sequence[Callable[[Frame], None]], kept: FrameStore | None
    ) -> Numbers:
        metrics_of = metrics_by_schedule(metrics, names, detector.labels)
        count = 0
        for frames in _first(detect_clips(detector, clips, names, kept), max_frames):
            for frame in frames:
                add_frame(metrics_of, frame)
                for watcher in watching:
                    watcher(frame)
            count += len(frames)
            if progress is not None:
                progress(len(frames))
        return {"frames": count, **results_of(metrics_of)}

    numbers = score(dataset, watchers, store)
    for probability in occlusion:
        hidden = score(OccludedDataset(dataset, probability=probability), (), None)
        numbers.update(under_schedule(hidden, names, f"occluded/{probability:g}/"))
    return numbers


def add_frame(metrics_of: Mapping[str, Sequence[Any]], frame: Frame) -> None:
    """Adds a frame to the metrics of each schedule."""
    for name, metrics in metrics_of.items():
        for metric in metrics:
            metric.add(frame.frame_id, frame.ground_truth, frame.detections[name])


def results_of(metrics_of: Mapping[str, Sequence[Any]]) -> Numbers:
    """Returns the numbers of all schedules, with the schedule before them if there are several."""
    numbers: Numbers = {}
    for name, metrics in metrics_of.items():
        prefix = f"{name}/" if len(metrics_of) > 1 else ""
        for metric in metrics:
            numbers.update({prefix + key: value for key, value in metric.result().items()})
    return numbers


def under_schedule(numbers: Numbers, schedules: Sequence[str], prefix: str) -> Numbers:
    """Returns `numbers` with `prefix` before each name, but behind its schedule; no frames."""
    renamed = {}
    for name, value in numbers.items():
        schedule = name.partition("/")[0] if len(schedules) > 1 else ""
        if schedule in schedules:
            renamed[f"{schedule}/{prefix}{name.removeprefix(f'{schedule}/')}"] = value
        elif name != "frames":
            renamed[prefix + name] = value
    return renamed


def detect_clips(
    detector: ClipDetector,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    schedules: Sequence[str],
    store: FrameStore | None = None,
) -> Iterator[list[Frame]]:
    """Yields the frames of each batch of clips with what `detector` finds under each schedule.

    Args:
        detector: see `ClipDetector`.
        dataset: as in `evaluate`.
        schedules: names; a detector with a single network runs once and ignores them.
        store: see `evaluate`.

    Raises:
        ValueError: the number of lanes changes in the midst of a video.
    """
    states: dict[str, Any] = {}
    lanes = 0
    detectors = {name: _for_schedule(detector, name) for name in schedules}
    for clip, ground_truth in dataset:
        if len(clip.frames) != lanes:
            if states and not np.asarray(clip.starts)[:, 0].all():
                raise ValueError(
                    f"the dataset goes from {lanes} to {len(clip.frames)} clips in a batch within "
                    "a video; the state cannot be carried"
                )
            lanes = len(clip.frames)
            states = {name: detectors[name].initial_state(lanes) for name in schedules}
        if store is not None and store.has_all(clip):
            yield store.completed(_frames_of(clip, ground_truth, {}, {}))
            continue
        found: dict[str, Detections] = {}
        ran: dict[str, np.ndarray] = {}
        for name, each in detectors.items():
            networks = _networks(detector, name, clip)
            detections, states[name] = each.detect_clip(clip, states[name], networks)
            found[name] = Detections(*(np.asarray(part) for part in detections))
            own = getattr(each, "last_networks", networks)  # one that follows schedules by itself
            shape = np.asarray(clip.frame_index).shape
            ran[name] = np.zeros(shape, int) if own is None else np.asarray(own)
        frames = _frames_of(clip, ground_truth, found, ran)
        yield frames if store is None else store.completed(frames)
    if store is not None:
        store.end()


def true_frames(dataset: Iterable[tuple[ClipBatch, GroundTruth]]) -> Iterator[Frame]:
    """Yields the frames of a dataset without detections."""
    for clip, ground_truth in dataset:
        yield from _frames_of(clip, ground_truth, {}, {})


def _frames_of(
    clip: ClipBatch,
    ground_truth: GroundTruth,
    found: Mapping[str, Detections],
    ran: Mapping[str, np.ndarray],
) -> list[Frame]:
    height_px, width_px = clip.frames.shape[2:4]
    size = np.array([height_px, width_px, height_px, width_px], np.float64)
    index, video = np.asarray(clip.frame_index), np.asarray(clip.video_id)
    truth = {
        name: np.asarray(values)
        for name, values in ground_truth._asdict().items()
        if values is not None
    }
    images = np.asarray(clip.frames)
    frames = []
    for place in zip(*np.nonzero(index >= 0), strict=True):  # the others are padding
        rows = truth["classes"][place] >= 0
        true = {name: values[place][rows] for name, values in truth.items()}
        frames.append(
            Frame(
                (video[place[0]], int(index[place])),
                {**true, "boxes": true["boxes"] * size},
                {
                    name: {
                        **_unpadded(detections, place, size),
                        "network": ("large", "small")[int(ran[name][place])],
                    }
                    for name, detections in found.items()
                },
                images[place],
            )
        )
    return frames


def _unpadded(
    detections: Detections, place: tuple[int, int], size: np.ndarray
) -> dict[str, np.ndarray]:
    count = int(detections.count[place])
    return {
        "boxes": detections.boxes[place][:count] * size,
        "classes": detections.classes[place][:count],
        "scores": detections.scores[place][:count],
    }


def _first(batches: Iterable[list[Frame]], most: int | None) -> Iterator[list[Frame]]:
    """Yields frames until there are `most`; at least one.

    Raises:
        ValueError: there is none.
    """
    count = 0
    for frames in batches:
        kept = frames if most is None else frames[: most - count]
        count += len(kept)
        if kept:
            yield kept
        if most is not None and count >= most:
            return
    if count == 0:
        raise ValueError("the evaluation dataset gave no frames; check its input files")


def _check_limits(max_frames: int | None, occlusion: Sequence[float], metrics: Any) -> None:
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, got {max_frames}")
    lists = metrics.values() if isinstance(metrics, Mapping) else [metrics or []]
    if len(occlusion) and not all(is_factory(metric) for each in lists for metric in each):
        raise ValueError("with occlusion the metrics must be names or classes: one for each pass")
    if len(set(occlusion)) < len(occlusion):
        raise ValueError(f"occlusion holds a probability twice: {list(occlusion)}")


def _named(
    metrics: Metrics | None, *, latencies: Latencies | None, fps: float | None
) -> Metrics | None:
    """Returns the metrics with factories in place of names."""
    if metrics is None:
        return None
    if isinstance(metrics, str):
        raise ValueError(f"metrics must be a list, such as [{metrics!r}]")

    def made(each: Sequence[Any]) -> list[Any]:
        return [
            catalogue.factory(metric, latencies=latencies, fps=fps)
            if isinstance(metric, str)
            else metric
            for metric in each
        ]

    if isinstance(metrics, Mapping):
        return {name: made(each) for name, each in metrics.items()}
    return made(metrics)


def _for_schedule(detector: Any, schedule: str) -> ClipDetector:
    """Returns the detector of one schedule, where each needs its own."""
    chosen = getattr(detector, "for_schedule", None)
    return detector if chosen is None else chosen(schedule)


def _networks(detector: ClipDetector, schedule: str, clip: ClipBatch) -> tf.Tensor | None:
    """Returns which network runs, int32 `[B, T]`: a tensor, so that no schedule is traced anew."""
    if len(detector.networks) == 1:
        return None
    numbers = np.maximum(np.asarray(clip.frame_index), 0)
    if detector.schedule_counts == "unroll":
        numbers = np.broadcast_to(np.arange(numbers.shape[1], dtype=np.int32), numbers.shape)
    return tf.cast(schedule_ops.networks_of(schedule, tf.constant(numbers)), tf.int32)


def _checked_schedules(detector: ClipDetector, schedules: Sequence[str] | None) -> tuple[str, ...]:
    names = (detector.schedule,) if schedules is None else tuple(schedules)
    if isinstance(schedules, str) or not names:
        raise ValueError(f"schedules must be a list of names such as 'SKIP3', got {schedules!r}")
    for name in names:
        schedule_names.check(name, where="schedules")
        if len(detector.networks) == 1 and schedule_names.skip_of(name) != 0:
            raise ValueError(
                f"schedule {name}: this model has one backbone, which sees every frame; "
                "leave the schedule out or use LARGE"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"schedules holds a name twice: {', '.join(names)}")
    return names


def metrics_by_schedule(
    metrics: Metrics | None, schedules: Sequence[str], labels: Sequence[str]
) -> dict[str, list[Any]]:
    """Returns metric objects for each schedule; arguments as in `evaluate`.

    Raises:
        ValueError: a dict for other schedules, or an object that would count several together.
    """
    if isinstance(metrics, Mapping):
        if set(metrics) != set(schedules):
            raise ValueError(
                f"metrics are given for {', '.join(metrics)}; the schedules are "
                f"{', '.join(schedules)}"
            )
        return {name: [_made(metric, labels) for metric in metrics[name]] for name in schedules}
    wanted = [CocoMetric] if metrics is None else list(metrics)
    for metric in wanted:
        if len(schedules) > 1 and not is_factory(metric):
            raise ValueError(
                f"one {type(metric).__name__} cannot count {len(schedules)} schedules apart; give "
                "its class, or a dict with a list of metrics for each schedule"
            )
    return {name: [_made(metric, labels) for metric in wanted] for name in schedules}


def is_factory(metric: Any) -> bool:
    """Returns whether `metric` has yet to be called with the labels."""
    return isinstance(metric, type) or not hasattr(metric, "add")


def _made(metric: Any, labels: Sequence[str]) -> Any:
    return metric(labels) if is_factory(metric) else metric
