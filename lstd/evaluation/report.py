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

_IN_PLOTS = ("distance/", "occluded/")
NOT_SHOWN = ("vid/classes", "coco/ar", "sap/ar")
_FADES = (
    "AP50 by distance to the last frame that the large network saw, 0 that frame: a falling line "
    "is a memory that fades."
)
_DASH = "A dash: there was nothing to measure."


def write(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: str,
    numbers: Mapping[str, float],
    metrics: Mapping[str, Sequence[Any]],
    tables: Sequence[Table] = (),
    pictures: Sequence[Picture] = (),
    video: Path | None = None,
    video_caption: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Writes the page and returns its path.

    Args:
        path: of the HTML file.
        title: of the page.
        summary: what was evaluated, on what.
        numbers: of all schedules, as `lstd.evaluate` names them.
        metrics: of each schedule, from which the curves are drawn.
        tables: more of them, after the numbers.
        pictures: such as the worst frames.
        video: a file.
        video_caption: stands below it.
        notes: a paragraph each.

    Raises:
        ValueError, OSError: as `html_page.write_page` does.
        ImportError: matplotlib is not installed.
    """
    schedules = list(metrics)
    by_schedule = {name: results.of_schedule(numbers, name, schedules) for name in schedules}
    labels = metrics[schedules[0]][0].labels
    header, rows = results.table(numbers, schedules)
    return html_page.write_page(
        path,
        title=title,
        summary=summary,
        tables=[overall(by_schedule, labels), per_class(by_schedule, metrics), *tables],
        plots=curves(by_schedule, metrics),
        pictures=pictures,
        video=video,
        video_caption=video_caption,
        notes=notes,
        details=[Table("All numbers", header, rows, _DASH)],
    )


def overall(by_schedule: Mapping[str, Mapping[str, float]], labels: Sequence[str]) -> Table:
    """Returns the numbers over all classes, with what they mean.

    Those that are plotted are left out, and those for which there was nothing to measure.
    """
    single = {f"{name}/{label}" for name in _of_classes() for label in labels}
    names = dict.fromkeys(name for mine in by_schedule.values() for name in mine)
    rows = [
        [name, meaning(name), *(results.text_of(mine.get(name)) for mine in by_schedule.values())]
        for name in names
        if name not in single
        and not name.startswith(NOT_SHOWN)
        and (name == "distance/fade_ap50" or not name.startswith(_IN_PLOTS))
        and any(mine.get(name, -1) != -1 for mine in by_schedule.values())
    ]
    return Table(
        "Results",
        ["metric", "what it is", *by_schedule],
        rows,
        "A column for each schedule. All numbers, also of what could not be measured here, stand "
        "at the end of the page.",
        words=2,
    )


def per_class(
    by_schedule: Mapping[str, Mapping[str, float]], metrics: Mapping[str, Sequence[Any]]
) -> Table:
    """Returns the AP of each class under each schedule, and how many objects it has."""
    first = next(iter(metrics.values()))[0]
    counts = np.zeros(len(first.labels), int)
    for objects in first.ground_truth.values():
        counts += np.bincount(objects.classes, minlength=len(counts))
    present = [
        name
        for name in _of_classes()
        if any(f"{name}/{label}" in mine for mine in by_schedule.values() for label in first.labels)
    ]
    several = len(by_schedule) > 1
    columns = [(name, schedule) for schedule in by_schedule for name in present]
    return Table(
        "Classes",
        ["class", "objects", *(f"{s} {n}" if several else n for n, s in columns)],
        [
            [
                label,
                f"{counts[index]:,}",
                *(results.text_of(by_schedule[s].get(f"{n}/{label}")) for n, s in columns),
            ]
            for index, label in enumerate(first.labels)
        ],
        f"Objects are counted frame by frame. {_DASH}",
    )


def curves(
    by_schedule: Mapping[str, Mapping[str, float]], metrics: Mapping[str, Sequence[Any]]
) -> list[Picture]:
    """Returns all that can be drawn of these metrics, for every schedule; wide ones last."""
    pictures = [
        *_precision_recall(metrics),
        *distances(by_schedule),
        *_occlusion(by_schedule),
        *_confusion(metrics),
    ]
    return sorted(pictures, key=lambda picture: picture.wide)


def distances(by_schedule: Mapping[str, Mapping[str, float]]) -> list[Picture]:
    """Returns AP50 by distance to the last large frame; nothing where there is one distance."""
    far = [
        int(name.split("/")[1])
        for numbers in by_schedule.values()
        for name in numbers
        if name.startswith("distance/") and name.split("/")[1].isdigit()
    ]
    if not far or not max(far):
        return []
    names = [str(distance) for distance in range(max(far) + 1)]
    values = {
        schedule: [numbers.get(f"distance/{name}/ap50", -1.0) for name in names]
        for schedule, numbers in by_schedule.items()
    }
    picture = plots.over_names(values, names, x_label="frames since the last large one")
    return [Picture(picture, _FADES)]


def _precision_recall(metrics: Mapping[str, Sequence[Any]]) -> list[Picture]:
    coco = {name: _one(mine, CocoMetric) for name, mine in metrics.items()}
    coco = {name: metric for name, metric in coco.items() if metric is not None}
    if not coco:
        return []
    overall = plots.precision_recall({s: m.precision_recall(0.5) for s, m in coco.items()})
    text = "Precision over recall at IoU 0.5, mean of all classes; with the area."
    return [Picture(overall, text)]


def _occlusion(by_schedule: Mapping[str, Mapping[str, float]]) -> list[Picture]:
    name = "coco/ap50"
    probabilities = [
        each.split("/")[1]
        for each in next(iter(by_schedule.values()))
        if each.startswith("occluded/") and each.endswith(f"/{name}")
    ]
    if not probabilities:
        return []
    values = {
        schedule: [
            numbers.get(name, -1.0),
            *(numbers[f"occluded/{each}/{name}"] for each in probabilities),
        ]
        for schedule, numbers in by_schedule.items()
    }
    picture = plots.over_names(
        values, ["0", *probabilities], x_label="probability that an object is partly hidden"
    )
    return [Picture(picture, "AP50 when objects are hidden by rectangles, alike for every model.")]


def _confusion(metrics: Mapping[str, Sequence[Any]]) -> list[Picture]:
    found = {name: _one(mine, ConfusionMetric) for name, mine in metrics.items()}
    found = {name: metric for name, metric in found.items() if metric is not None}
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


def _one(metrics: Sequence[Any], kind: type) -> Any:
    """Returns the first metric of a kind; None: there is none."""
    return next((metric for metric in metrics if isinstance(metric, kind)), None)


def _of_classes() -> tuple[str, ...]:
    """Returns the numbers that there are for each class."""
    return ("coco/ap", "coco/ap50", "vid/ap50")


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


def meaning(name: str) -> str:
    """Returns what a number means, "" for one that has no words of its own.

    >>> meaning("sap/ap50")
    'streaming, at IoU 0.50'

    Args:
        name: without a schedule before it.
    """
    if name in _MEANINGS:
        return _MEANINGS[name]
    of_coco = _MEANINGS.get(name.replace("sap/", "coco/", 1))
    return f"streaming, {of_coco}" if of_coco else ""
