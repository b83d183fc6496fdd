"""What `lstd-eval` writes when the numbers of a model are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.cli import eval_numbers, eval_pictures
from lstd.cli.eval_numbers import Result
from lstd.cli.eval_options import Options

if TYPE_CHECKING:
    from lstd.config import Config
    from lstd.data.pipeline import Split


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
    paths = eval_numbers.save_numbers(output, result.numbers, result.schedules, facts)
    eval_numbers.print_numbers(result.numbers, result.schedules, only=values.metrics)
    compared = {}
    if result.against is not None:
        compared = eval_numbers.compare(
            result.metrics, result.theirs, fps=options.fps, draws=values.draws
        )
        paths.append(eval_numbers.save_comparison(output, compared, str(result.against)))
    if values.write_detections:
        paths += _save_detections(output, result.metrics, fps=options.fps)
    if values.video:
        paths.append(
            eval_pictures.save_video(
                output / eval_pictures.VIDEO, result, split, config, fps=options.fps
            )
        )
    paths += eval_pictures.save_worst(output, result.worst)
    if values.report:
        drawn = config.evaluation.min_score_threshold
        paths.append(
            eval_pictures.save_report(output, result, facts, compared, values, min_score=drawn)
        )
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
