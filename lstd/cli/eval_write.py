"""What `lstd-eval` prints, writes and draws when the numbers are there."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli.eval_options import Options

if TYPE_CHECKING:
    from lstd.config.config import Config
    from lstd.data.pipeline import Split
    from lstd.evaluation.bootstrap import Comparison
    from lstd.evaluation.html_page import Table


def write(
    output: Path,
    result: Result,
    split: Split,
    config: Config,
    values: flags.FlagValues,
    options: Options,
) -> None:
    """Prints and writes all that the flags ask for."""
    facts = _facts(result, split, config, values, options)
    paths = save_numbers(output, result.numbers, result.schedules, facts)
    print_numbers(result.numbers, result.schedules, only=values.metrics)
    compared = {}
    if result.against is not None:
        compared = compare(result.metrics, result.theirs, fps=options.fps, draws=values.draws)
        paths.append(save_comparison(output, compared, str(result.against)))
    if values.write_detections:
        paths += _save_detections(output, result.metrics, fps=options.fps)
    if values.video:
        paths.append(save_video(output / VIDEO, result, split, config, fps=options.fps))
    paths += save_worst(output, result.worst)
    if values.report:
        drawn = config.evaluation.min_score_threshold
        paths.append(save_report(output, result, facts, compared, values, min_score=drawn))
    print(f"{result.numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")


def _facts(
    result: Result, split: Split, config: Config, values: flags.FlagValues, options: Options
) -> dict[str, Any]:
    """Returns what a reader of the numbers needs to know."""
    facts: dict[str, Any] = {
        "model": str(result.model),
        "weights": result.weights,
        "input": list(config.data.evaluation.input_path),
        "videos": len({video for video, _ in _first(result.metrics).ground_truth}),
    }
    if values.max_frames:
        facts["max_frames"] = values.max_frames
    if "sap" in options.metrics:
        facts["latencies_ms"], facts["fps"] = options.latencies, options.fps
    if result.against is not None:
        facts["against"] = str(result.against)
    return facts


def _save_detections(
    output: Path, metrics: Mapping[str, list[Any]], *, fps: float | None
) -> list[Path]:
    from lstd.evaluation import coco_files

    first = _first(metrics)
    paths = [output / "annotations.json"]
    image_ids = coco_files.write_annotations(paths[0], first.labels, first.ground_truth, fps=fps)
    for name, (metric, *_) in metrics.items():
        paths.append(output / f"detections_{name}.json")
        category_ids = range(1, len(first.labels) + 1)
        coco_files.write_detections(paths[-1], metric.detections, image_ids, category_ids)
    return paths


def _first(metrics: Mapping[str, list[Any]]) -> Any:
    return next(iter(metrics.values()))[0]


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
        print(f"\n{name}: {_drawn(compared[name])}")
        print(results.format_table(*results.comparison_table(compared[name])))
    return compared


def _drawn(compared: Comparison) -> str:
    """Returns what intervals are drawn from, or why there are none."""
    if compared.missing:
        return f"no intervals from {compared.units}: {compared.missing}"
    return f"intervals from {compared.draws:,} draws of {compared.units}"


def save_comparison(output: Path, compared: Mapping[str, Any], against: str) -> Path:
    """Writes `comparison.json` and returns its path."""
    from lstd.base.whole_file import write_whole

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
    from lstd.base.whole_file import whole_file

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
        compared: see `compare`; may be empty.
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
            f"{_drawn(comparison).capitalize()}."
            + ("" if comparison.missing else " Not told apart: the interval holds 0."),
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
