"""The numbers of `lstd-eval` and their comparison, printed and written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Result(NamedTuple):
    """What came out of an evaluation.

    Attributes:
        model: where it is.
        weights: which of its weights.
        schedules: names.
        numbers: as `lstd.evaluate` names them.
        metrics: of each schedule.
        against: where the other model is; None: there is none.
        theirs: the other's metrics, of each of its schedules.
        worst: a `WorstFrames` for each schedule, where asked for.
    """

    model: Path
    weights: str
    schedules: list[str]
    numbers: dict[str, float]
    metrics: dict[str, list[Any]]
    against: Path | None
    theirs: dict[str, list[Any]]
    worst: dict[str, Any]


def print_numbers(
    numbers: Mapping[str, float], schedules: Sequence[str], *, only: Sequence[str] = ()
) -> None:
    """Prints a table.

    Args:
        numbers: of all schedules.
        schedules: names.
        only: the metrics whose numbers are shown; empty: all.
    """
    from lstd.evaluation import results
    from lstd.evaluation.metrics import by_name

    header, rows = results.table(numbers, schedules)
    families = {by_name.family(name) for name in only}
    if only:
        rows = [row for row in rows if _family(row[0]) in families]
    print(results.format_table(header, rows))


def save_numbers(
    output: Path,
    numbers: Mapping[str, float],
    schedules: Sequence[str],
    facts: Mapping[str, Any],
) -> list[Path]:
    """Writes the numbers as JSON and CSV; returns the paths."""
    from lstd.evaluation import results

    return [*results.save_results(output, numbers, schedules, facts)]


def compare(
    metrics: Mapping[str, list[Any]],
    theirs: Mapping[str, list[Any]],
    *,
    fps: float | None,
    draws: int,
) -> dict[str, Any]:
    """Returns the differences under each schedule, and prints them.

    A model that knows one schedule only is compared with the other under each of its schedules.
    """
    from lstd.evaluation import bootstrap, results

    compared = {}
    for name, mine in metrics.items():
        other = name if name in theirs else next(iter(theirs))
        compared[name] = bootstrap.compare(mine, theirs[other], fps=fps, draws=draws)
        found = compared[name]
        how = f"intervals from {found.draws} draws of {found.units}"
        if found.missing:
            how = f"no intervals from {found.units}: {found.missing}"
        print(f"\n{name}: {how}")
        print(results.format_table(*results.comparison_table(compared[name])))
    return compared


def save_comparison(output: Path, compared: Mapping[str, Any], against: str) -> Path:
    """Writes `comparison.json` and returns its path."""
    from lstd.whole_file import write_whole

    content = {
        "against": against,
        "schedules": {
            schedule: {
                "units": comparison.units,
                "confidence": comparison.confidence,
                "draws": comparison.draws,
                "missing": comparison.missing,
                "differences": {
                    name: {
                        key: None if math.isnan(value) else value
                        for key, value in each._asdict().items()
                    }
                    for name, each in comparison.differences.items()
                },
            }
            for schedule, comparison in compared.items()
        },
    }
    write_whole(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    return output / "comparison.json"


def _family(name: str) -> str:
    """Returns what stands before the slash, of an occluded number behind its probability."""
    parts = name.split("/")
    return parts[2] if parts[0] == "occluded" else parts[0]
