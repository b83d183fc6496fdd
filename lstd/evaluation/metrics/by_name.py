"""The metrics by name, and metric objects for each schedule."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import ConfusionMetric
from lstd.evaluation.metrics.distance import DistanceMetric
from lstd.evaluation.metrics.flicker import FlickerMetric
from lstd.evaluation.metrics.streaming import Latencies, StreamingMetric
from lstd.evaluation.metrics.vid import VidMetric

NAMES: dict[str, tuple[str, Callable[..., Any]]] = {
    "coco": ("COCO's AP and AR", CocoMetric),
    "vid": ("ImageNet VID's AP@0.5, split by motion (needs track ids)", VidMetric),
    "vid_ap50": ("the same without the split", functools.partial(VidMetric, motion=False)),
    "sap": ("streaming AP (needs latencies and fps)", StreamingMetric),
    "distance": ("AP by distance to the last large frame", DistanceMetric),
    "confusion": ("which class is taken for which", ConfusionMetric),
    "flicker": ("how often detections come and go (needs track ids)", FlickerMetric),
}
"""Name -> what it is, and what makes it from the labels."""


def family(name: str) -> str:
    """Returns what stands before the slash in the numbers of a metric.

    >>> family("vid_ap50")
    'vid'
    """
    return name.partition("_")[0]


def factory(
    name: str,
    *,
    latencies: Latencies | None = None,
    fps: float | None = None,
    schedule: str | None = None,
) -> Callable[..., Any]:
    """Returns what makes the metric from the labels.

    Args:
        name: of `NAMES`.
        latencies: milliseconds by network, for "sap".
        fps: frames a second, for "sap".
        schedule: which network saw which frame, where detections do not say it.

    Raises:
        ValueError: no such metric (with the close match), or "sap" without latencies or fps.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"unknown metric {name!r}; expected one of {', '.join(NAMES)}{hint}")
    made = NAMES[name][1]
    if name == "sap":
        if latencies is None or fps is None:
            raise ValueError("the metric sap needs latencies (milliseconds by network) and fps")
        made = functools.partial(made, latencies=latencies, fps=fps)
    if name in ("sap", "distance") and schedule is not None:
        made = functools.partial(made, schedule=schedule)
    return made


Metrics = Sequence[Any] | Mapping[str, Sequence[Any]]


def metrics_by_schedule(
    metrics: Metrics | None, schedules: Sequence[str], labels: Sequence[str]
) -> dict[str, list[Any]]:
    """Returns metric objects for each schedule; arguments as in `lstd.evaluate`.

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


def named(
    metrics: Metrics | None, *, latencies: Latencies | None, fps: float | None
) -> Metrics | None:
    """Returns the metrics with factories in place of names.

    Raises:
        ValueError: a name in place of a list, or an unknown one.
    """
    if metrics is None:
        return None
    if isinstance(metrics, str):
        raise ValueError(f"metrics must be a list, such as [{metrics!r}]")

    def made(each: Sequence[Any]) -> list[Any]:
        return [
            factory(metric, latencies=latencies, fps=fps) if isinstance(metric, str) else metric
            for metric in each
        ]

    if isinstance(metrics, Mapping):
        return {name: made(each) for name, each in metrics.items()}
    return made(metrics)


def is_factory(metric: Any) -> bool:
    """Returns whether `metric` has yet to be called with the labels."""
    return isinstance(metric, type) or not hasattr(metric, "add")


def _made(metric: Any, labels: Sequence[str]) -> Any:
    return metric(labels) if is_factory(metric) else metric
