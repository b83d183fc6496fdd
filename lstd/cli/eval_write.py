"""What `lstd-eval` prints, writes and draws when the numbers are there."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from lstd.base.terminal import painted
from lstd.base.whole_file import whole_file, write_whole
from lstd.data.pipeline import Split
from lstd.evaluation import bootstrap, coco_files, pictures, report, results
from lstd.evaluation.baselines import schedule_of
from lstd.evaluation.bootstrap import Comparison
from lstd.evaluation.html_page import Picture, Table
from lstd.evaluation.metrics.confusion import best_score

_VIDEO = "side_by_side.mp4"
_MOST_IN_A_ROW = 3  # panels of the video
_FPS = 30.0  # of the video, where nobody says it


class Result(NamedTuple):
    """What came out of an evaluation."""

    schedules: list[str]
    numbers: dict[str, float]  # as `lstd.evaluate` names them
    metrics: dict[str, list[Any]]  # of each schedule
    theirs: dict[str, list[Any]]  # of the other model, of each of its schedules
    worst: dict[str, Any]  # a `WorstFrames` for each schedule, where asked for
    facts: dict[str, Any]  # what a reader of the numbers needs to know: `model`, `input`, ...


def write(output: Path, result: Result, split: Split, values: flags.FlagValues) -> None:
    """Prints and writes all that the flags ask for."""
    facts = result.facts
    paths = [*results.save_results(output, result.numbers, result.schedules, facts)]
    print_numbers(result.numbers, result.schedules, only=values.metrics)
    _print_headline(result)
    print_best_score(result.schedules[0], result.metrics)
    compared = {}
    if "against" in facts:
        compared = compare(result.metrics, result.theirs, fps=values.fps, draws=values.draws)
        paths.append(save_comparison(output, compared, facts["against"]))
    if values.write_detections:
        paths += _save_detections(output, result, fps=values.fps)
    video = output / _VIDEO if values.video else None
    if video is not None:
        _save_video(video, result, split, fps=values.fps or _FPS)
        paths.append(video)
    sheets = _save_worst(output, result.worst)
    paths += sheets.values()
    if values.report:
        paths.append(_save_report(output, result, compared, sheets, video))
    print(f"{result.numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")


def print_numbers(
    numbers: Mapping[str, float], schedules: Sequence[str], *, only: Sequence[str] = ()
) -> None:
    """Prints a table of all schedules, of some metrics or (empty) of all."""

    def is_shown(name: str) -> bool:
        parts = name.split("/")  # of an occluded number the metric stands behind its probability
        return not only or parts[2 if parts[0] == "occluded" else 0] in families

    families = {name.partition("_")[0] for name in only}
    header, rows = results.table(numbers, schedules)
    print(results.format_table(header, [row for row in rows if is_shown(row[0])]))


def _print_headline(result: Result) -> None:
    """Prints what the report begins with."""
    columns = {n: results.of_schedule(result.numbers, n, [*result.metrics]) for n in result.metrics}
    facts = report.headline(columns, result.facts.get("frames_per_second", {}))
    if facts:
        print(painted(", ".join(map(" ".join, facts)), "bold", sys.stdout))


def print_best_score(schedule: str, metrics: Mapping[str, Sequence[Any]]) -> None:
    """Prints from which score on detections have the best F1 under a schedule."""
    best = best_score(metrics[schedule][0].flat())
    if best is not None:
        told = f"the best F1, {best.f1:.3f}, is that of detections from {best.score:.3g} on"
        print(f"{schedule}: {told}")


def compare(
    metrics: Mapping[str, list[Any]],
    theirs: Mapping[str, list[Any]],
    *,
    fps: float | None,
    draws: int,
) -> dict[str, Comparison]:
    """Returns the differences under each schedule, and prints them.

    A model that knows one schedule only is compared with the other under each of its schedules.
    """
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


def save_comparison(output: Path, compared: Mapping[str, Comparison], against: str) -> Path:
    """Writes `comparison.json` and returns its path."""
    schedules = {}
    for schedule, comparison in compared.items():
        differences = {
            name: {key: None if math.isnan(x) else x for key, x in each._asdict().items()}
            for name, each in comparison.differences.items()
        }
        schedules[schedule] = {**comparison._asdict(), "differences": differences}
    content = {"against": against, "schedules": schedules}
    write_whole(output / "comparison.json", json.dumps(content, indent=2) + "\n")
    return output / "comparison.json"


def _save_detections(output: Path, result: Result, *, fps: float | None) -> list[Path]:
    first = result.metrics[result.schedules[0]][0]
    paths = [output / "annotations.json"]
    image_ids = coco_files.write_annotations(paths[0], first.labels, first.ground_truth, fps=fps)
    for name, (metric, *_) in result.metrics.items():
        paths.append(output / f"detections_{name}.json")
        category_ids = range(1, len(first.labels) + 1)
        coco_files.write_detections(paths[-1], metric.detections, image_ids, category_ids)
    return paths


def _save_video(path: Path, result: Result, split: Split, *, fps: float) -> None:
    """Writes a panel for each schedule; where there are two models, a row for each of them."""
    facts = result.facts
    found = {schedule: (each[0], facts["min_score"]) for schedule, each in result.metrics.items()}
    columns = 2 if len(found) > _MOST_IN_A_ROW else None  # more are too small to be seen
    if "against" in facts:
        one, other = _told_apart(Path(facts["model"]), Path(facts["against"]))
        columns = len(found) if len(found) == len(result.theirs) > 1 else None
        found = {f"{one} {schedule}": each for schedule, each in found.items()}
        least = facts["against_min_score"]
        found |= {f"{other} {name}": (each[0], least) for name, each in result.theirs.items()}
    pictures.side_by_side(path, split.dataset, found, columns=columns, fps=fps)


def _told_apart(one: Path, other: Path) -> tuple[str, str]:
    """Returns short names of two models that differ."""
    for parts in range(1, 4):
        names = "/".join(one.parts[-parts:]), "/".join(other.parts[-parts:])
        if names[0] != names[1]:
            return names
    return one.name, f"{other.name} (other)"


def _save_worst(output: Path, worst: Mapping[str, Any]) -> dict[str, Path]:
    """Writes a sheet of the worst frames of each schedule; returns the paths of those there are."""
    paths = {}
    for name, each in worst.items():
        path = output / f"worst_frames_{name}.png"
        path.unlink(missing_ok=True)
        sheet = each.sheet()
        if sheet is not None:
            from PIL import Image

            with whole_file(path) as temporary:
                Image.fromarray(sheet).save(temporary)
            paths[name] = path
    return paths


def _save_report(
    output: Path,
    result: Result,
    compared: Mapping[str, Comparison],
    sheets: Mapping[str, Path],
    video: Path | None,
) -> Path:
    """Writes `report.html`, with the video and the worst frames; returns its path."""
    facts = result.facts
    scores = f"{facts['min_score']:g}"
    drawn = "Drawn are detections from a score of {}, and true boxes in white"
    both = f"{scores} (of the other model {facts['against_min_score']:g})" if compared else scores
    videos = "1 video" if facts["videos"] == 1 else f"{facts['videos']:,} videos"
    main = report.main_of(result.metrics)
    mistakes = (
        "the frames with the most mistakes, which are objects missed and detections of nothing. "
        f"{drawn.format(scores)}; the badge says which network ran in the frame."
    )
    return report.write(
        output / "report.html",
        title=f"Evaluation of {Path(facts['model']).name}",
        summary=f"{result.numbers['frames']:,.0f} frames of {videos}, under "
        f"{', '.join(result.schedules)}.",
        numbers=result.numbers,
        metrics=result.metrics,
        speeds=facts["frames_per_second"],
        tables=[_comparison_table(name, each, facts) for name, each in compared.items()],
        pictures=[
            Picture(sheet, f"{name}: {mistakes}", True, "" if name == main else name)
            for name, sheet in sorted(sheets.items(), key=lambda each: each[0] != main)
            if schedule_of(name) == name
        ],
        video=video,
        video_caption=f"{drawn.format(both)}. The badge in each panel says which network saw the "
        "frame.",
        notes=[
            f"Model: {facts['model']} ({facts['weights']}). Data: {', '.join(facts['input'])}.",
            "docs/metrics.md defines every number, and names the test that proves it.",
        ],
    )


def _comparison_table(name: str, comparison: Comparison, facts: Mapping[str, Any]) -> Table:
    told = f"{_drawn(comparison).capitalize()}."
    told += "" if comparison.missing else " Not told apart: the interval holds 0."
    return Table(f"Against {facts['against']}, {name}", *results.comparison_table(comparison), told)
