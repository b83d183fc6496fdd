"""The metrics by name, and metric objects for each schedule."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lstd.base.close_names import close_match
from lstd.base.types import MIN_SCORE
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import ConfusionMetric
from lstd.evaluation.metrics.distance import DistanceMetric
from lstd.evaluation.metrics.flicker import FlickerMetric
from lstd.evaluation.metrics.streaming import Latencies, StreamingMetric
from lstd.evaluation.metrics.vid import VidMetric

NAMES: dict[str, Callable[..., Any]] = {
    "coco": CocoMetric,
    "vid": VidMetric,
    "vid_ap50": functools.partial(VidMetric, motion=False),
    "sap": StreamingMetric,
    "distance": DistanceMetric,
    "confusion": ConfusionMetric,
    "flicker": FlickerMetric,
}
"""Name -> what makes it from the labels."""

Metrics = Sequence[Any] | Mapping[str, Sequence[Any]]


def factory(
    name: str,
    *,
    latencies: Latencies | None = None,
    fps: float | None = None,
    schedule: str | None = None,
    min_score: float = MIN_SCORE,
) -> Callable[..., Any]:
    """Returns what makes the metric of this name from the labels.

    "sap" needs the milliseconds by network, and the frames a second; a schedule says which network
    saw which frame, where detections do not; "confusion" and "flicker" count detections from
    `min_score` on.

    Raises:
        ValueError: no such metric (with the close match), or "sap" without latencies or fps.
    """
    if name not in NAMES:
        raise ValueError(f"unknown metric {name!r}{close_match(name, NAMES)}")
    more: dict[str, Any] = {"schedule": schedule} if name in ("sap", "distance") else {}
    if name in ("confusion", "flicker"):
        more["min_score"] = min_score
    if name == "sap":
        if latencies is None or fps is None:
            raise ValueError("the metric sap needs latencies (milliseconds by network) and fps")
        more |= {"latencies": latencies, "fps": fps}
    return functools.partial(NAMES[name], **more)


def metrics_by_schedule(
    metrics: Metrics | None, schedules: Sequence[str], labels: Sequence[str], **given: Any
) -> dict[str, list[Any]]:
    """Returns metric objects for each schedule, from metrics as `lstd.evaluate` takes them.

    Raises:
        ValueError: a name in place of a list, or an unknown one; a dict for other schedules, or an
            object that would count several together.
    """
    if isinstance(metrics, str):
        raise ValueError(f"metrics must be a list, such as [{metrics!r}]")
    lists = metrics
    if not isinstance(lists, Mapping):
        lists = dict.fromkeys(schedules, [CocoMetric] if lists is None else lists)
        for metric in objects_in(metrics)[: len(schedules) - 1]:
            raise ValueError(
                f"one {type(metric).__name__} cannot count {len(schedules)} schedules apart; give "
                "its class, or a dict with a list of metrics for each schedule"
            )
    if set(lists) != set(schedules):
        raise ValueError(
            f"metrics are given for {', '.join(lists)}; the schedules are {', '.join(schedules)}"
        )

    def made(metric: Any) -> Any:
        metric = factory(metric, **given) if isinstance(metric, str) else metric
        return metric(labels) if _is_factory(metric) else metric

    return {name: [made(metric) for metric in lists[name]] for name in schedules}


def objects_in(metrics: Metrics | None) -> list[Any]:
    """Returns those that are objects already, neither names nor factories."""
    lists = metrics.values() if isinstance(metrics, Mapping) else [metrics or []]
    return [metric for each in lists for metric in each if not _is_factory(metric)]


def _is_factory(metric: Any) -> bool:
    return isinstance(metric, type) or not hasattr(metric, "add")
