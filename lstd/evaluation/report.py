"""The report of an evaluation: one HTML page that needs nothing else."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base.progress import speed_text
from lstd.config.schedule_names import is_interleaved
from lstd.evaluation import html_page, plots, results
from lstd.evaluation.baselines import schedule_of
from lstd.evaluation.html_page import Picture, Table
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import ConfusionMetric

Numbers = Mapping[str, Mapping[str, float]]
"""Of each schedule, under the metrics' own names."""

_MEANINGS = {
    "coco/ap50": "AP at IoU 0.50",
    "coco/ap": "AP, mean over IoU 0.50 to 0.95",
    "vid/ap50_fast": "AP50 of fast objects, motion IoU up to 0.7",
    "sap/ap50": "AP50 of what is shown in time",
    "distance/fade_ap50": "AP50 just after a large frame, less that farthest from one",
    "confusion/found": "share of objects that a detection stands on",
    "confusion/false": "share of detections that stand on nothing",
    "flicker/rate": "share of steps in which an object appears or disappears",
}
"""The numbers that the page shows, and what they mean."""
_FOLDED = {
    "coco/ap75": "AP at IoU 0.75",
    "coco/ap_small": "AP of objects below 32 x 32 pixels",
    "coco/ap_medium": "AP of objects in between",
    "coco/ap_large": "AP of objects above 96 x 96 pixels",
    "vid/ap50": "ImageNet VID's AP at IoU 0.5",
    "vid/ap50_slow": "of slow objects, motion IoU from 0.9",
    "vid/ap50_medium": "of objects in between",
    "sap/ap": "streaming AP, mean over IoU 0.50 to 0.95",
    "sap/missed": "share of frames with no output yet",
    "sap/in_time": "share of frames that show their own output",
    "sap/lag_frames": "mean age of what is shown, in frames",
    "confusion/right_class": "of the objects found, share with the right class",
    "flicker/lost": "of objects that were found, share lost in the next frame",
    "flicker/found": "share of objects found, frame by frame",
}
"""Those that it folds away."""


def write(
    path: str | os.PathLike[str],
    *,
    numbers: Mapping[str, float],
    metrics: Mapping[str, Sequence[Any]],
    speeds: Mapping[str, float] | None = None,
    tables: Sequence[Table] = (),
    **page: Any,
) -> Path:
    """Writes the page and returns its path.

    The numbers are those of all columns, schedules and their baselines, as `lstd.evaluate` names
    them; from the metrics of each the curves are drawn, and `speeds` are frames a second. More
    tables come after the numbers. For the rest, and errors as, see `html_page.write_page`;
    ImportError if matplotlib is not installed.
    """
    by_schedule = {name: results.of_schedule(numbers, name, list(metrics)) for name in metrics}
    return html_page.write_page(
        path,
        headline=headline(by_schedule, speeds or {}),
        tables=[
            overall(by_schedule, speeds or {}),
            *per_class(by_schedule, metrics),
            *tables,
            *_confusion(metrics, main_of(by_schedule)),
        ],
        plots=[
            *_precision_recall(metrics),
            *distances(by_schedule),
            *_occlusion(by_schedule),
        ],
        **page,
    )


def main_of(columns: Iterable[str]) -> str:
    """Returns the column that a page speaks of first: a schedule of both networks, if there is."""
    own = [name for name in columns if schedule_of(name) == name]
    return next((name for name in own if is_interleaved(name)), own[0])


def headline(by_schedule: Numbers, speeds: Mapping[str, float]) -> list[tuple[str, str]]:
    """Returns a few numbers as text, each with what it is."""
    main = main_of(by_schedule)
    ap50 = {name: mine.get("coco/ap50", -1.0) for name, mine in by_schedule.items()}
    beside = "LARGE" if "LARGE" in by_schedule and main != "LARGE" else ""
    told = [
        (results.text_of(ap50[main]), f"AP50 under {main}", results.text_of(ap50.get(beside))),
        (_speed(speeds.get(main)), f"frames/s under {main}", _speed(speeds.get(beside))),
    ]
    facts = [
        (number, what + (f" (LARGE: {large})" if beside else ""))
        for number, what, large in told
        if number != results.text_of(None)
    ]
    rivals = [name for name in by_schedule if schedule_of(name) == main and name != main]
    if rivals and ap50[main] != -1:
        best = max(rivals, key=ap50.__getitem__)
        facts.append((f"{ap50[main] - ap50[best]:+.3f}", f"AP50 against {best}, the best baseline"))
    return facts


def overall(by_schedule: Numbers, speeds: Mapping[str, float]) -> Table:
    """Returns the numbers over all classes that could be measured, with what they mean."""

    def rows(meanings: Mapping[str, str]) -> list[list[str]]:
        return [
            [f"{name}\n{text}", *(results.text_of(mine.get(name)) for mine in by_schedule.values())]
            for name, text in meanings.items()
            if any(mine.get(name, -1) != -1 for mine in by_schedule.values())
        ]

    shown, caption = rows(_MEANINGS), "results.csv has all numbers."
    if speeds:
        shown.append(["frames/s\nof the networks", *(_speed(speeds.get(n)) for n in by_schedule)])
        caption += (
            " Frames per second: what was evaluated, a frame at a time, with noise as frames; the "
            "fastest call of each network, in the shares of the schedule, a baseline with those of "
            "the large one alone. lstd-benchmark measures with more care."
        )
    return Table("Results", ["", *by_schedule], shown, caption, more=rows(_FOLDED))


def _speed(speed: float | None) -> str:
    return results.text_of(None) if speed is None else speed_text(speed)


def per_class(by_schedule: Numbers, metrics: Mapping[str, Sequence[Any]]) -> list[Table]:
    """Returns the AP50 of each class in each column, and how many objects it has, if measured."""
    first = next(iter(metrics.values()))[0]
    counts = np.bincount(first.flat().true_classes, minlength=len(first.labels))
    known = {name for mine in by_schedule.values() for name in mine}
    for metric in ("coco/ap50", "vid/ap50"):
        of_class = [f"{metric}/{label}" for label in first.labels]
        if known & {*of_class}:
            rows = [
                [label, f"{count:,}", *(results.text_of(m.get(name)) for m in by_schedule.values())]
                for label, count, name in zip(first.labels, counts, of_class, strict=True)
            ]
            caption = f"{metric}. Objects are counted frame by frame; a dash: none of them."
            return [Table("Classes", ["class", "objects", *by_schedule], rows, caption)]
    return []


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


def _confusion(metrics: Mapping[str, Sequence[Any]], main: str) -> list[Table]:
    tables = []
    found = _each(metrics, ConfusionMetric)
    own = [name for name in found if schedule_of(name) == name]
    for name in sorted(own, key=lambda name: name != main):
        metric = found[name]
        matrix = metric.matrix()
        shades = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        shades[-1] = 0  # of what is not there nothing can be a share
        caption = (
            "True classes down, detected ones across, by detections from a score of "
            f"{metric.min_score:g} at IoU {metric.iou:g}; the darker, the larger the share of the "
            "class. (missed): objects on which none stands; (nothing): detections that stand on "
            "no object."
        )
        rows = [
            [label, *(f"{count:,}" if count else "" for count in row)]
            for label, row in zip([*metric.labels, "(nothing)"], matrix, strict=True)
        ]
        tables.append(
            Table(
                f"What is taken for what: {name}",
                ["", *metric.labels, "(missed)"],
                rows,
                caption,
                shades=shades.tolist(),
                folded=name != main,
            )
        )
    return tables


def _each(metrics: Mapping[str, Sequence[Any]], kind: type) -> dict[str, Any]:
    """Returns the metric of a kind of each schedule that has one."""
    return {name: each for name, mine in metrics.items() for each in mine if type(each) is kind}
