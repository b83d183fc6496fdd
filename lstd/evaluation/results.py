"""Named numbers as a table, as JSON and as CSV."""

from __future__ import annotations

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


def table(
    results: Mapping[str, float], schedules: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Returns the header and the rows of a table: metrics down, schedules across."""
    columns = {name: of_schedule(results, name, schedules) for name in schedules}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [
        [name, *(text_of(columns[schedule].get(name)) for schedule in schedules)] for name in names
    ]
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
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, ["-" * width for width in widths], *rows]
    ]
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


def comparison_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Returns the header and the rows of a table of differences with their intervals."""
    rows = []
    for name, each in comparison.differences.items():
        known = each.one != -1 and each.other != -1
        drawn = known and not math.isnan(each.low)
        verdict = "differs" if each.low > 0 or each.high < 0 else "not told apart"
        rows.append(
            [
                name,
                text_of(each.one),
                text_of(each.other),
                f"{each.other - each.one:+.3f}" if known else text_of(None),
                f"{each.low:+.3f} to {each.high:+.3f}" if drawn else text_of(None),
                verdict if drawn else "no verdict",
            ]
        )
    interval = f"{comparison.confidence:.0%} interval"
    return ["metric", "this", "other", "other - this", interval, ""], rows
