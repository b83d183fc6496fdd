"""The metrics by name, for command lines and configs."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from typing import Any

from lstd.evaluation.breakdown import DistanceMetric, SizeMetric
from lstd.evaluation.coco import CocoMetric
from lstd.evaluation.confusion import ConfusionMetric
from lstd.evaluation.flicker import FlickerMetric
from lstd.evaluation.streaming import Latencies, StreamingMetric
from lstd.evaluation.vid import VidMetric

NAMES: dict[str, tuple[str, Callable[..., Any]]] = {
    "coco": ("COCO's AP and AR", CocoMetric),
    "vid": ("ImageNet VID's AP@0.5, split by motion (needs track ids)", VidMetric),
    "vid_ap50": ("the same without the split", functools.partial(VidMetric, motion=False)),
    "sap": ("streaming AP (needs latencies and fps)", StreamingMetric),
    "size": ("AP by the size of boxes", SizeMetric),
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
