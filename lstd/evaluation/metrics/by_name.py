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

Metrics = Sequence[Any] | Mapping[str, Sequence[Any]]


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


def metrics_by_schedule(
    metrics: Metrics | None,
    schedules: Sequence[str],
    labels: Sequence[str],
    *,
    latencies: Latencies | None = None,
    fps: float | None = None,
) -> dict[str, list[Any]]:
    """Returns metric objects for each schedule; arguments as in `lstd.evaluate`.

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
        if isinstance(metric, str):
            metric = factory(metric, latencies=latencies, fps=fps)
        return metric(labels) if _is_factory(metric) else metric

    return {name: [made(metric) for metric in lists[name]] for name in schedules}


def objects_in(metrics: Metrics | None) -> list[Any]:
    """Returns those that are objects already, neither names nor factories."""
    lists = metrics.values() if isinstance(metrics, Mapping) else [metrics or []]
    return [metric for each in lists for metric in each if not _is_factory(metric)]


def _is_factory(metric: Any) -> bool:
    return isinstance(metric, type) or not hasattr(metric, "add")
