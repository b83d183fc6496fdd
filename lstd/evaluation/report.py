"""The report of an evaluation: one HTML page that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstd.evaluation import html_page, plots, results
from lstd.evaluation.html_page import Picture, Table
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import ConfusionMetric

Numbers = Mapping[str, Mapping[str, float]]
"""Of each schedule, under the metrics' own names."""

_OF_CLASSES = ("coco/ap", "coco/ap50", "vid/ap50")
"""The numbers that there are for each class."""
_MEANINGS = {
    "coco/ap": "mean over IoU 0.50 to 0.95",
    "coco/ap50": "at IoU 0.50",
    "coco/ap75": "at IoU 0.75",
    "coco/ap_small": "objects below 32 x 32 pixels",
    "coco/ap_medium": "objects in between",
    "coco/ap_large": "objects above 96 x 96 pixels",
    "vid/ap50": "ImageNet VID's AP at IoU 0.5",
    "vid/ap50_slow": "of slow objects, motion IoU from 0.9",
    "vid/ap50_medium": "of objects in between",
    "vid/ap50_fast": "of fast objects, motion IoU up to 0.7",
    "sap/ap": "streaming, mean over IoU 0.50 to 0.95",
    "sap/ap50": "streaming, at IoU 0.50",
    "sap/missed": "share of frames with no output yet",
    "sap/in_time": "share of frames that show their own output",
    "sap/lag_frames": "mean age of what is shown, in frames",
    "distance/fade_ap50": "AP50 just after a large frame, less that farthest from one",
    "confusion/found": "share of objects that a detection stands on",
    "confusion/right_class": "of those, share with the right class",
    "confusion/false": "share of detections that stand on nothing",
    "flicker/rate": "share of steps in which an object appears or disappears",
    "flicker/lost": "of objects that were found, share lost in the next frame",
    "flicker/found": "share of objects found, frame by frame",
}
"""The numbers that the page shows, and what they mean."""


def write(
    path: str | os.PathLike[str],
    *,
    numbers: Mapping[str, float],
    metrics: Mapping[str, Sequence[Any]],
    tables: Sequence[Table] = (),
    **page: Any,
) -> Path:
    """Writes the page and returns its path.

    The numbers are those of all schedules, as `lstd.evaluate` names them; from the metrics of each
    schedule the curves are drawn. More tables come after the numbers. For the rest, and errors as,
    see `html_page.write_page`; ImportError if matplotlib is not installed.
    """
    by_schedule = {name: results.of_schedule(numbers, name, list(metrics)) for name in metrics}
    return html_page.write_page(
        path,
        tables=[overall(by_schedule), per_class(by_schedule, metrics), *tables],
        plots=[
            *_precision_recall(metrics),
            *distances(by_schedule),
            *_occlusion(by_schedule),
            *_confusion(metrics),
        ],
        **page,
    )


def overall(by_schedule: Numbers) -> Table:
    """Returns the numbers over all classes that could be measured, with what they mean."""
    rows = [
        [name, text, *(results.text_of(mine.get(name)) for mine in by_schedule.values())]
        for name, text in _MEANINGS.items()
        if any(mine.get(name, -1) != -1 for mine in by_schedule.values())
    ]
    caption = "A column for each schedule. results.csv has all numbers."
    return Table("Results", ["metric", "what it is", *by_schedule], rows, caption, words=2)


def per_class(by_schedule: Numbers, metrics: Mapping[str, Sequence[Any]]) -> Table:
    """Returns the AP of each class under each schedule, and how many objects it has."""
    first = next(iter(metrics.values()))[0]
    counts = np.bincount(first.flat().true_classes, minlength=len(first.labels))
    columns = {
        f"{schedule} {name}" if len(by_schedule) > 1 else name: (mine, name)
        for schedule, mine in by_schedule.items()
        for name in _OF_CLASSES
        if any(f"{name}/{label}" in mine for label in first.labels)
    }
    rows = [
        [
            label,
            f"{count:,}",
            *(results.text_of(mine.get(f"{name}/{label}")) for mine, name in columns.values()),
        ]
        for label, count in zip(first.labels, counts, strict=True)
    ]
    caption = "Objects are counted frame by frame. A dash: there was nothing to measure."
    return Table("Classes", ["class", "objects", *columns], rows, caption)


def distances(by_schedule: Numbers) -> list[Picture]:
    """Returns AP50 by distance to the last large frame; nothing where there is one distance."""
    parts = [name.split("/") for numbers in by_schedule.values() for name in numbers]
    far = [int(part[1]) for part in parts if part[0] == "distance" and part[1].isdigit()]
    names = {f"{d}": f"distance/{d}/ap50" for d in range(max(far, default=0) + 1)}
    return _over(
        by_schedule,
        names if len(names) > 1 else {},
        "frames since the last large one",
        "AP50 by distance to the last frame that the large network saw, 0 that frame: a falling "
        "line is a memory that fades.",
    )


def _occlusion(by_schedule: Numbers) -> list[Picture]:
    first = next(iter(by_schedule.values()))
    kept = [n for n in first if n.startswith("occluded/") and n.endswith("/coco/ap50")]
    return _over(
        by_schedule,
        {"0": "coco/ap50", **{name.split("/")[1]: name for name in kept}} if kept else {},
        "probability that an object is partly hidden",
        "AP50 when objects are hidden by rectangles, alike for every model.",
    )


def _over(
    by_schedule: Numbers, names: Mapping[str, str], x_label: str, caption: str
) -> list[Picture]:
    """Returns a plot of numbers, from what stands at the axis to their names; none without."""
    if not names:
        return []
    values = {
        schedule: [numbers.get(name, -1.0) for name in names.values()]
        for schedule, numbers in by_schedule.items()
    }
    return [Picture(plots.over_names(values, list(names), x_label=x_label), caption)]


def _precision_recall(metrics: Mapping[str, Sequence[Any]]) -> list[Picture]:
    curves = {name: m.precision_recall(0.5) for name, m in _each(metrics, CocoMetric).items()}
    if not curves:
        return []
    text = "Precision over recall at IoU 0.5, mean of all classes; with the area."
    return [Picture(plots.precision_recall(curves), text)]


def _confusion(metrics: Mapping[str, Sequence[Any]]) -> list[Picture]:
    found = _each(metrics, ConfusionMetric)
    if not found:
        return []
    first = next(iter(found.values()))
    picture = plots.confusion({n: metric.matrix() for n, metric in found.items()}, first.labels)
    caption = (
        f"What is taken for what, by detections from a score of {first.min_score:g} at IoU "
        f"{first.iou:g}. (missed): objects on which none stands; (nothing): detections that stand "
        "on no object."
    )
    return [Picture(picture, caption, wide=plots.is_wide(len(found), len(first.labels)))]


def _each(metrics: Mapping[str, Sequence[Any]], kind: type) -> dict[str, Any]:
    """Returns the metric of a kind of each schedule that has one."""
    return {name: each for name, mine in metrics.items() for each in mine if type(each) is kind}
