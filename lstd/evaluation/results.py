"""Named numbers as a table, as JSON and as CSV."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lstd.base.whole_file import write_whole
from lstd.evaluation.bootstrap import Comparison

Rows = tuple[list[str], list[list[str]]]
"""The header and the rows of a table."""


def table(results: Mapping[str, float], schedules: Sequence[str]) -> Rows:
    """Returns a table: metrics down, schedules across."""
    columns = [of_schedule(results, name, schedules) for name in schedules]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(text_of(column.get(name)) for column in columns)] for name in names]
    return ["metric", *schedules], rows


def of_schedule(
    results: Mapping[str, float], schedule: str, schedules: Sequence[str]
) -> dict[str, float]:
    """Returns the numbers of one schedule under the metrics' own names, such as `coco/ap`."""
    prefix = f"{schedule}/" if len(schedules) > 1 else ""
    return {
        name.removeprefix(prefix): value
        for name, value in results.items()
        if name.startswith(prefix) and name != "frames"
    }


def text_of(value: float | None) -> str:
    """Returns a number for a table; a dash for None and for -1, where nothing could be measured."""
    if value is None or value == -1:
        return "–"  # noqa: RUF001 - a dash, on purpose
    return f"{value:.3f}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns the table as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for first, *others in [header, ["-" * width for width in widths], *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def save_results(
    directory: str | os.PathLike[str],
    results: Mapping[str, float],
    schedules: Sequence[str],
    facts: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Writes `results.json` and `results.csv` into a folder and returns their paths.

    The JSON holds the facts (the model, its weights, the data), the schedules, and under `results`
    the numbers as `lstd.evaluate` named them. The CSV has a line for each number.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    content = {**facts, "schedules": list(schedules), "results": dict(results)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["schedule", "metric", "value"])
    for schedule in schedules:
        for name, value in of_schedule(results, schedule, schedules).items():
            writer.writerow([schedule, name, repr(float(value))])
    paths = directory / "results.json", directory / "results.csv"
    write_whole(paths[0], json.dumps(content, indent=2) + "\n")
    write_whole(paths[1], text.getvalue())
    return paths


def comparison_table(comparison: Comparison) -> Rows:
    """Returns a table of differences with their intervals."""
    rows = []
    for name, (one, other, low, high) in comparison.differences.items():
        difference = text_of(None) if -1 in (one, other) else f"{other - one:+.3f}"
        interval, verdict = text_of(None), "no verdict"
        if -1 not in (one, other) and not math.isnan(low):
            interval = f"{low:+.3f} to {high:+.3f}"
            verdict = "differs" if low > 0 or high < 0 else "not told apart"
        rows.append([name, text_of(one), text_of(other), difference, interval, verdict])
    interval = f"{comparison.confidence:.0%} interval"
    return ["metric", "this", "other", "other - this", interval, ""], rows
