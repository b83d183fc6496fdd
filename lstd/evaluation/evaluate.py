"""The run over the data: every frame, the state carried through each video, any schedules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lstd.base.types import MIN_SCORE, ClipBatch, GroundTruth
from lstd.config import schedule_names
from lstd.evaluation import baselines as baseline_columns
from lstd.evaluation import clip_frames, objects
from lstd.evaluation.clip_frames import Frame
from lstd.evaluation.detectors import ClipDetector, as_detector
from lstd.evaluation.metrics import by_name
from lstd.evaluation.metrics.by_name import Metrics
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.metrics.streaming import Latencies
from lstd.evaluation.occlusion import OccludedDataset

Numbers = dict[str, float]


def evaluate(
    model: Any,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    metrics: Metrics | None = None,
    schedules: Sequence[str] | None = None,
    *,
    baselines: Sequence[str] = (),
    latencies: Latencies | None = None,
    fps: float | None = None,
    occlusion: Sequence[float] = (),
    max_frames: int | None = None,
    watchers: Sequence[Callable[[Frame], None]] = (),
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Returns named numbers: how good `model` is on `dataset`.

    The state is carried from clip to clip, in each lane of the batch for itself; all schedules
    share one pass over the data and one traced graph.

    Args:
        model: an `LSTMSSD`; a `VideoDetector`, whose streams share its loaded file; or anything of
            the form of `lstd.evaluation.detectors.ClipDetector`.
        dataset: every frame once, each video's in order, as an evaluation dataset gives them;
            frames with index -1 are padding.
        metrics: a list of metrics. Each is a name of `metrics.by_name` (such as "vid"), a factory,
            called with the labels once per schedule (such as the class `CocoMetric`), or, for a
            single schedule, an object with `add` and `result`. Or a dict: such a list for
            each schedule and baseline. None: COCO.
        schedules: names such as "LARGE", "SKIP3". None: the model's own evaluation schedule.
        baselines: of "held", "velocity", "bytetrack": what they make of the large frames under
            each schedule that runs both networks; their numbers are those of a schedule
            "SKIP3-held" and so on. See `lstd.evaluation.baselines`.
        latencies: milliseconds by network, for the metric "sap"; see `StreamingMetric`.
        fps: frames a second of the videos, for the metric "sap".
        occlusion: probabilities with which true objects are hidden, each in a pass of its own, with
            the numbers under `occluded/0.25/coco/ap` and so on.
        max_frames: score only so many, the first that the dataset gives; None: all.
        watchers: called with each frame after the metrics, to draw it; not in occluded passes.
        progress: called after each batch of clips with the number of frames in it.

    Returns:
        `frames`, how many frames counted, and the metrics' numbers under their own names, such as
        `coco/ap`; with more than one schedule each name has the schedule before it, such as
        `SKIP3/coco/ap`.

    Raises:
        ValueError: an unknown schedule, or one that a single backbone cannot follow; a metric
            object for several schedules or passes; an unknown name of a metric, or "sap" without
            latencies and fps; a dataset without frames; a frame that comes twice; an unknown
            baseline, or no schedule that has any.
        ImportError: "bytetrack" without the package `trackers`.
    """
    detector = as_detector(model)
    names = baseline_columns.columns(checked_schedules(detector, schedules), baselines)
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, got {max_frames}")
    if len(occlusion) and by_name.objects_in(metrics):
        raise ValueError("with occlusion the metrics must be names or classes: one for each pass")
    if len(set(occlusion)) < len(occlusion):
        raise ValueError(f"occlusion holds a probability twice: {list(occlusion)}")
    given: Any = dict(latencies=latencies, fps=fps, max_frames=max_frames, progress=progress)
    count, metrics_of = run(detector, dataset, metrics, names, watchers=watchers, **given)
    numbers = {"frames": count, **results_of(metrics_of)}
    for probability in occlusion:
        hidden = OccludedDataset(dataset, probability=probability)
        _, metrics_of = run(detector, hidden, metrics, names, **given)
        numbers.update(results_of(metrics_of, f"occluded/{probability:g}/"))
    return numbers


def run(
    detector: ClipDetector,
    dataset: Iterable[tuple[ClipBatch, GroundTruth]],
    metrics: Metrics | None,
    columns: Sequence[str],
    *,
    latencies: Latencies | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
    watchers: Sequence[Callable[[Frame], None]] = (),
    progress: Callable[[int], None] | None = None,
) -> tuple[int, dict[str, list[Any]]]:
    """Returns how many frames there were, and the metrics of each column with all of them added.

    A pass of `evaluate`; the columns are schedules and their baselines.
    """
    metrics_of = by_name.metrics_by_schedule(
        metrics,
        columns,
        detector.labels,
        latencies=latencies,
        fps=fps,
        min_score=getattr(detector, "min_score", MIN_SCORE),
    )
    count = 0
    for batch in clip_frames.detect_clips(detector, dataset, columns):
        kept = batch if max_frames is None else batch[: max_frames - count]
        for frame in kept:
            add_frame(metrics_of, frame, num_classes=len(detector.labels))
            for watcher in watchers:
                watcher(frame)
        count += len(kept)
        if progress is not None and kept:
            progress(len(kept))
        if count == max_frames:
            break
    if count == 0:
        raise ValueError("the evaluation dataset gave no frames; check its input files")
    return count, metrics_of


def add_frame(metrics_of: Mapping[str, Sequence[Any]], frame: Frame, *, num_classes: int) -> None:
    """Adds a frame to the metrics of each schedule; ours share the memory that it takes."""
    name = objects.frame_id_of(frame.frame_id)
    true = objects.ground_truth_of(name, frame.ground_truth, num_classes=num_classes)
    for schedule, metrics in metrics_of.items():
        given = frame.detections[schedule]
        found = objects.detections_of(name, given, num_classes=num_classes)
        for metric in metrics:
            if isinstance(metric, FrameMetric):
                metric.add(name, true, found)
            else:
                metric.add(frame.frame_id, frame.ground_truth, given)


def results_of(metrics_of: Mapping[str, Sequence[Any]], prefix: str = "") -> Numbers:
    """Returns the numbers, with `prefix`, and before it the schedule if there are several."""
    return {
        (f"{schedule}/" if len(metrics_of) > 1 else "") + prefix + name: value
        for schedule, metrics in metrics_of.items()
        for metric in metrics
        for name, value in metric.result().items()
    }


def checked_schedules(detector: ClipDetector, schedules: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the schedules that `evaluate` runs."""
    names = (detector.schedule,) if schedules is None else tuple(schedules)
    if isinstance(schedules, str) or not names:
        raise ValueError(f"schedules must be a list of names such as 'SKIP3', got {schedules!r}")
    for name in names:
        schedule_names.check_follows(name, detector.networks, where="schedules")
    if len(set(names)) < len(names):
        raise ValueError(f"schedules holds a name twice: {', '.join(names)}")
    return names
