"""What `lstd-eval` shows: the video side by side, the worst frames, and the report."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    from lstd.cli.eval_numbers import Result
    from lstd.config import Config
    from lstd.data.pipeline import Split
    from lstd.evaluation.html_page import Table

VIDEO = "side_by_side.mp4"
_FPS = 30.0  # of the video, where nobody says it


def worst_watchers(
    values: flags.FlagValues, labels: tuple[str, ...], schedules: list[str], min_score: float
) -> dict[str, Any]:
    """Returns what looks for the worst frames of each schedule, where asked for."""
    from lstd.evaluation.pictures import WorstFrames

    if not values.worst_frames:
        return {}
    return {
        name: WorstFrames(labels, name, count=values.worst_frames, min_score=min_score)
        for name in schedules
    }


def save_video(
    path: Path, result: Result, split: Split, config: Config, *, fps: float | None
) -> Path:
    """Writes a panel for each schedule; where there are two models, a row for each of them."""
    from lstd.evaluation import pictures

    found = {schedule: metrics[0] for schedule, metrics in result.metrics.items()}
    columns = None
    if result.against is not None:
        one, other = _told_apart(result.model, result.against)
        theirs = {schedule: metrics[0] for schedule, metrics in result.theirs.items()}
        both = [(one, found), (other, theirs)]
        columns = len(found) if len(found) == len(theirs) > 1 else None
        found = {f"{name} {s}": metric for name, mine in both for s, metric in mine.items()}
    pictures.side_by_side(
        path,
        split.dataset,
        found,
        columns=columns,
        fps=fps or _FPS,
        min_score=config.evaluation.min_score_threshold,
    )
    return path


def save_worst(output: Path, worst: Mapping[str, Any]) -> list[Path]:
    """Writes a sheet of the worst frames of each schedule; returns the paths of those there are."""
    from lstd.whole_file import whole_file

    paths = []
    for name, each in worst.items():
        path = output / f"worst_frames_{name}.png"
        path.unlink(missing_ok=True)
        sheet = each.sheet()
        if sheet is not None:
            from PIL import Image

            with whole_file(path) as temporary:
                Image.fromarray(sheet).save(temporary)
            paths.append(path)
    return paths


def save_report(
    output: Path,
    result: Result,
    facts: Mapping[str, Any],
    compared: Mapping[str, Any],
    values: flags.FlagValues,
    *,
    min_score: float,
) -> Path:
    """Writes `report.html`, with the video and the worst frames that stand beside it.

    Args:
        output: the folder.
        result: of the evaluation.
        facts: `model`, `weights`, `input`, `videos`, and of sap `latencies_ms` and `fps`.
        compared: of `eval_numbers.compare`, may be empty.
        values: the command's flags.
        min_score: detections below it were not drawn.
    """
    from lstd.evaluation import report
    from lstd.evaluation.html_page import Picture

    sheets = {name: output / f"worst_frames_{name}.png" for name in result.worst}
    drawn = f"Drawn are detections from a score of {min_score:g}, and true boxes in white"
    videos = "1 video" if facts["videos"] == 1 else f"{facts['videos']:,} videos"
    return report.write(
        output / "report.html",
        title=f"Evaluation of {result.model}",
        summary=f"{result.numbers['frames']:,.0f} frames of {videos}, under "
        f"{', '.join(result.schedules)}.",
        numbers=result.numbers,
        metrics=result.metrics,
        tables=[
            *_comparison_tables(compared, result),
            *_latency_table(facts),
        ],
        pictures=[
            Picture(
                sheet,
                f"{name}: the frames with the most mistakes, which are objects missed and "
                f"detections of nothing. {drawn}; the badge says which network ran.",
                wide=True,
            )
            for name, sheet in sheets.items()
            if sheet.exists()
        ],
        video=output / VIDEO if values.video else None,
        video_caption=f"{drawn}. The badge in each panel says which network saw the frame.",
        notes=[
            f"Model: {facts['model']} ({facts['weights']}). Data: {', '.join(facts['input'])}.",
            "docs/metrics.md defines every number, and names the test that proves it.",
        ],
    )


def _comparison_tables(compared: Mapping[str, Any], result: Result) -> list[Table]:
    from lstd.evaluation import results
    from lstd.evaluation.html_page import Table

    return [
        Table(
            f"Against {result.against}, {name}",
            *results.comparison_table(comparison),
            f"Intervals from {comparison.draws:,} draws of {comparison.units}. Not told apart: the "
            "interval holds 0.",
        )
        for name, comparison in compared.items()
    ]


def _latency_table(facts: Mapping[str, Any]) -> list[Table]:
    from lstd.evaluation.html_page import Table

    if "latencies_ms" not in facts:
        return []
    rows = [
        [
            network,
            *(f"{part(times):.1f}" for part in (statistics.median, min, max)),
            f"{len(times)}",
        ]
        for network, times in facts["latencies_ms"].items()
    ]
    header = ["network", "median ms", "least", "most", "measured"]
    caption = f"What streaming AP takes the networks to need, at {facts['fps']:g} frames a second."
    return [Table("Latencies", header, rows, caption)]


def _told_apart(one: Path, other: Path) -> tuple[str, str]:
    """Returns short names of two models that differ."""
    for parts in range(1, 4):
        names = "/".join(one.parts[-parts:]), "/".join(other.parts[-parts:])
        if names[0] != names[1]:
            return names
    return one.name, f"{other.name} (other)"
