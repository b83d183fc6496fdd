"""From what a caller asks for to metric objects: names, classes and objects, for each schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lstd.evaluation import catalogue
from lstd.evaluation.coco import CocoMetric
from lstd.evaluation.streaming import Latencies

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
            catalogue.factory(metric, latencies=latencies, fps=fps)
            if isinstance(metric, str)
            else metric
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
