"""One evaluation of `lstd-eval`: from the model and the data to the files it writes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli import common, eval_model

if TYPE_CHECKING:
    from lstd.config import Config

_UNFINISHED = "unfinished"


class Options(NamedTuple):
    """What the flags say, read and checked."""

    metrics: tuple[str, ...]
    schedules: tuple[str, ...]
    latencies: dict[str, Any] | None
    fps: float | None
    occlusion: tuple[float, ...]
    labels: tuple[str, ...]


def score_model(
    path: Path,
    values: flags.FlagValues,
    options: Options,
    *,
    weights: str | None = None,
    step: int = 0,
) -> dict[str, float]:
    """Evaluates a model and writes and prints what the flags ask for; returns the numbers."""
    from lstd.data import pipeline
    from lstd.evaluation import results
    from lstd.evaluation.detector import as_detector

    config = eval_model.config_for(path, values)
    averages = config.evaluation.use_moving_averages
    weights = weights or values.weights or ("average" if averages else "best")
    known = bool(values.config) or eval_model.is_run(path)
    dataset = pipeline.make_dataset(
        config.data,
        "evaluation",
        num_classes=config.model.num_classes if known else None,
        labels=config.model.labels if known else (),
    )
    output = common.writable_directory(values.output_directory or str(_beside(path)))
    labels = options.labels or (tuple(config.model.labels) if known else ())
    detector = as_detector(eval_model.load(path, values, config, weights=weights, labels=labels))
    schedules = _schedules(detector, config, options, known=known)
    facts: dict[str, Any] = {
        "model": str(path),
        "weights": path.name if path.is_file() else weights,
        "input": list(config.data.evaluation.input_path),
    }
    if values.max_frames:
        facts["max_frames"] = values.max_frames
    numbers, metrics = _run(detector, dataset, schedules, values, options, output, facts, config)
    paths = [*results.save_results(output, numbers, schedules, facts)]
    results.write_scalars(output / "tensorboard", numbers, step=step)
    header, rows = results.table(numbers, schedules)
    print(results.format_table(header, rows))
    tables = [("Results", header, rows, f"{numbers['frames']:.0f} frames")]
    if values.against:
        tables += _against_model(values, options, dataset, schedules, metrics, output)
    if values.write_detections:
        paths += _write_detections(output, detector.labels, schedules, metrics, options)
    if values.report:
        paths.append(_report(output, tables, schedules, metrics, facts, values))
    unfinished = output / _UNFINISHED
    print(f"{numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")
    if unfinished.is_dir():
        _clear(unfinished)
    return numbers


def score_files(values: flags.FlagValues, options: Options) -> None:
    """Scores somebody's detections; writes and prints the numbers."""
    from lstd.evaluation import bootstrap, catalogue, coco_files, results

    truth = common.existing_file(values.annotations, flag="--annotations")
    annotations = coco_files.read_annotations(truth)
    fps = options.fps or annotations.fps
    if len(options.schedules) > 1:
        raise ValueError("--schedule: one file of detections is of one schedule")
    schedule = options.schedules[0] if options.schedules else None

    def scored(path: str, flag: str) -> list[Any]:
        found = coco_files.read_detections(common.existing_file(path, flag=flag), annotations)
        metrics = [
            catalogue.factory(name, latencies=options.latencies, fps=fps, schedule=schedule)(
                annotations.labels
            )
            for name in options.metrics
        ]
        for frame, true in annotations.ground_truth.items():
            for metric in metrics:
                metric.add(frame, true, found.get(frame))
        return metrics

    metrics = scored(values.detections, "--detections")
    numbers: dict[str, float] = {"frames": len(annotations.ground_truth)}
    for metric in metrics:
        numbers.update(metric.result())
    names = [schedule or "detections"]
    header, rows = results.table(numbers, names)
    print(results.format_table(header, rows))
    output = values.output_directory and common.writable_directory(values.output_directory)
    if values.against:
        other = scored(values.against, "--against")
        found = bootstrap.compare(metrics, other, fps=fps, draws=values.draws)
        _print_comparison(found, names[0])
        if output:
            _save_comparison(output, {names[0]: found}, values.against)
    if output:
        facts = {"detections": values.detections, "annotations": values.annotations}
        paths = results.save_results(output, numbers, names, facts)
        results.write_scalars(output / "tensorboard", numbers)
        print(f"{numbers['frames']:.0f} frames; written: {paths[0]}, {paths[1]}")


def _run(
    detector: Any,
    dataset: Any,
    schedules: list[str],
    values: flags.FlagValues,
    options: Options,
    output: Path,
    facts: dict[str, Any],
    config: Config,
) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Returns the numbers, and the metrics of each schedule with a Collector at their end."""
    from lstd.evaluation import catalogue, run
    from lstd.evaluation.collector import Collector
    from lstd.evaluation.pictures import SideBySide
    from lstd.evaluation.store import FrameStore

    made = [
        catalogue.factory(name, latencies=options.latencies, fps=options.fps)
        for name in options.metrics
    ]
    metrics = run.metrics_by_schedule([*made, Collector], schedules, detector.labels)
    min_score = config.evaluation.min_score_threshold
    store = FrameStore(
        output / _UNFINISHED, {**facts, "schedules": schedules}, resume=values.resume
    )
    if store.videos:
        print(f"going on: {len(store.videos)} videos are done")
    worst = _worst(values, detector.labels, schedules, min_score)
    with ExitStack() as stack:
        watchers: list[Any] = [*worst.values()]
        if values.video:
            watchers.append(
                stack.enter_context(
                    SideBySide(
                        output / "side_by_side.mp4",
                        detector.labels,
                        schedules,
                        fps=options.fps or 30.0,
                        min_score=min_score,
                    )
                )
            )
        progress = stack.enter_context(common.Progress("evaluating", unit="frames"))
        numbers = run.evaluate(
            detector,
            dataset,
            metrics,
            schedules,
            max_frames=values.max_frames,
            watchers=watchers,
            store=store,
            progress=progress.advance,
        )
    for probability in options.occlusion:
        with common.Progress(f"occluded {probability:g}", unit="frames") as progress:
            hidden = run.evaluate(
                detector,
                run.OccludedDataset(dataset, probability=probability),
                made,
                schedules,
                max_frames=values.max_frames,
                progress=progress.advance,
            )
        numbers.update(run.under_schedule(hidden, schedules, f"occluded/{probability:g}/"))
    _save_worst(output, worst)
    return numbers, metrics


def _against_model(
    values: flags.FlagValues,
    options: Options,
    dataset: Any,
    schedules: list[str],
    metrics: dict[str, list[Any]],
    output: Path,
) -> list[Any]:
    """Evaluates the other model on the same frames; prints and returns tables of differences."""
    from lstd.evaluation import bootstrap, catalogue, run
    from lstd.evaluation.detector import as_detector

    path = eval_model.existing(values.against, flag="--against", config=values.config)
    config = eval_model.config_for(path, values)
    first = metrics[schedules[0]][-1]
    weights = values.weights or ("average" if config.evaluation.use_moving_averages else "best")
    other = as_detector(eval_model.load(path, values, config, weights=weights, labels=first.labels))
    if tuple(other.labels) != first.labels:
        raise ValueError(
            f"--against: its classes are {', '.join(other.labels)}; this model's "
            f"{', '.join(first.labels)}"
        )
    mine = schedules if len(other.networks) == 2 else ["LARGE"]
    made = [
        catalogue.factory(name, latencies=options.latencies, fps=options.fps)
        for name in options.metrics
    ]
    theirs = run.metrics_by_schedule(made, mine, other.labels)
    with common.Progress(f"evaluating {path}", unit="frames") as progress:
        run.evaluate(
            other,
            dataset,
            theirs,
            mine,
            max_frames=values.max_frames,
            progress=progress.advance,
        )
    found = {
        name: bootstrap.compare(
            metrics[name][:-1],
            theirs[name if name in theirs else "LARGE"],
            fps=options.fps,
            draws=values.draws,
        )
        for name in schedules
    }
    tables = []
    for name, comparison in found.items():
        header, rows = _print_comparison(comparison, name)
        caption = f"{values.against}; drawn from {comparison.units}"
        tables.append((f"Against another, {name}", header, rows, caption))
    _save_comparison(output, found, values.against)
    return tables


def _print_comparison(comparison: Any, name: str) -> tuple[list[str], list[list[str]]]:
    from lstd.evaluation import results

    header, rows = results.comparison_table(comparison)
    print(f"\n{name}: intervals from {comparison.draws} draws of {comparison.units}")
    print(results.format_table(header, rows))
    return header, rows


def _save_comparison(output: Path, found: dict[str, Any], against: str) -> None:
    import json
    import math

    from lstd.whole_file import write_whole

    content = {
        "against": against,
        "schedules": {
            schedule: {
                "units": comparison.units,
                "confidence": comparison.confidence,
                "draws": comparison.draws,
                "differences": {
                    name: {
                        key: None if math.isnan(value) else value
                        for key, value in each._asdict().items()
                    }
                    for name, each in comparison.differences.items()
                },
            }
            for schedule, comparison in found.items()
        },
    }
    write_whole(output / "comparison.json", json.dumps(content, indent=2) + "\n")


def _write_detections(
    output: Path,
    labels: tuple[str, ...],
    schedules: list[str],
    metrics: dict[str, list[Any]],
    options: Options,
) -> list[Path]:
    from lstd.evaluation import coco_files

    paths = [output / "annotations.json"]
    truth = metrics[schedules[0]][-1].ground_truth
    image_ids = coco_files.write_annotations(paths[0], labels, truth, fps=options.fps)
    for name in schedules:
        paths.append(output / f"detections_{name}.json")
        coco_files.write_detections(
            paths[-1], metrics[name][-1].detections, image_ids, range(1, len(labels) + 1)
        )
    return paths


def _report(
    output: Path,
    tables: list[Any],
    schedules: list[str],
    metrics: dict[str, list[Any]],
    facts: dict[str, Any],
    values: flags.FlagValues,
) -> Path:
    from lstd.evaluation import plots, report
    from lstd.evaluation.coco import CocoMetric
    from lstd.evaluation.confusion import ConfusionMetric

    curves, pictures = {}, []
    for name in schedules:
        for metric in metrics[name]:
            if isinstance(metric, CocoMetric):
                curves[name] = metric.precision_recall(0.5)
            if isinstance(metric, ConfusionMetric):
                matrix = plots.confusion(metric.matrix(), metric.labels)
                pictures.append(report.Picture(matrix, f"What is taken for what, {name}."))
    shown = (
        [report.Picture(plots.precision_recall(curves), "Precision over recall, IoU 0.5.")]
        if curves
        else []
    )
    sheets = [output / f"worst_frames_{name}.png" for name in schedules]
    worst = [
        report.Picture(sheet, f"The frames with the most mistakes, {name}. White: true boxes.")
        for name, sheet in zip(schedules, sheets, strict=True)
        if values.worst_frames and sheet.exists()
    ]
    video = output / "side_by_side.mp4"
    return report.write_report(
        output / "report.html",
        title=f"Evaluation of {Path(facts['model']).name}",
        summary=f"{facts['model']}, {facts['weights']}, on {', '.join(facts['input'])}",
        tables=[report.Table(*table) for table in tables],
        plots=[*shown, *pictures],
        pictures=worst,
        video=video if values.video else None,
        video_caption="Side by side; the badge says which network saw the frame.",
    )


def _worst(
    values: flags.FlagValues, labels: tuple[str, ...], schedules: list[str], min_score: float
) -> dict[str, Any]:
    from lstd.evaluation.pictures import WorstFrames

    if not values.worst_frames:
        return {}
    return {
        name: WorstFrames(labels, name, count=values.worst_frames, min_score=min_score)
        for name in schedules
    }


def _save_worst(output: Path, worst: dict[str, Any]) -> None:
    from lstd.whole_file import whole_file

    for name, each in worst.items():
        sheet = each.sheet()
        path = output / f"worst_frames_{name}.png"
        path.unlink(missing_ok=True)
        if sheet is not None:
            from PIL import Image

            with whole_file(path) as temporary:
                Image.fromarray(sheet).save(temporary)


def _schedules(detector: Any, config: Config, options: Options, *, known: bool) -> list[str]:
    """Returns the schedules asked for; a single backbone has only one."""
    if options.schedules:
        return list(options.schedules)
    if len(detector.networks) == 1:
        return ["LARGE"]
    return list(config.evaluation.schedules) if known else [detector.schedule]


def _beside(path: Path) -> Path:
    """Returns where results go if nobody says."""
    return (path if path.is_dir() else path.parent) / "evaluation"


def _clear(unfinished: Path) -> None:
    for file in unfinished.iterdir():
        file.unlink()
    unfinished.rmdir()
