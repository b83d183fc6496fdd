"""`lstd-eval` of a model and its data, or of a file of detections: what runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.any_model import open_model
from lstd.any_model.open_model import Found
from lstd.base.progress import Progress
from lstd.cli import common, eval_options, eval_write
from lstd.cli.eval_options import Options
from lstd.cli.eval_write import Result
from lstd.config.config import Config
from lstd.tf1.load_config import load_config

if TYPE_CHECKING:
    from lstd.data.pipeline import Split
    from lstd.evaluation.clip_frames import Frame


class Subject(NamedTuple):
    """A model that is evaluated.

    Attributes:
        path: where it is.
        weights: which of its weights, for a reader.
        detector: a ClipDetector.
        schedules: names.
    """

    path: Path
    weights: str
    detector: Any
    schedules: list[str]


def score_model(found: Found, values: flags.FlagValues, options: Options) -> None:
    """Evaluates a model, and writes and prints what the flags ask for.

    Args:
        found: the model.
        values: the command's flags.
        options: what they say.
    """
    config = config_for(found, values)
    against = open_model.find(values.against, name="--against") if values.against else None
    split = _open(found, config, values)
    eval_options.check_data(split, config, values, options)
    output = common.writable_directory(values.output_directory or str(_beside(found)))
    one = _subject(found, config, values, options)
    other = _other(against, values, options, labels=one.detector.labels) if against else None
    result = _run_all(one, other, split, config, values, options)
    eval_write.write(output, result, split, config, values, options)


def _run_all(
    one: Subject,
    other: Subject | None,
    split: Split,
    config: Config,
    values: flags.FlagValues,
    options: Options,
) -> Result:
    """Returns what came out of all passes."""
    from lstd.evaluation import evaluate
    from lstd.evaluation.occlusion import OccludedDataset

    def scored(
        subject: Subject,
        label: str,
        dataset: Iterable[Any] = split.dataset,
        watchers: Sequence[Any] = (),
    ) -> tuple[dict[str, float], dict[str, list[Any]]]:
        return _run(subject, label, dataset, split, values, options, watchers=watchers)

    worst = eval_write.worst_watchers(
        values, one.detector.labels, one.schedules, config.evaluation.min_score_threshold
    )
    numbers, metrics = scored(one, "evaluating", watchers=[*worst.values()])
    theirs = scored(other, f"evaluating {other.path}")[1] if other else {}
    for probability in options.occlusion:
        hidden = OccludedDataset(split.dataset, probability=probability)
        found, _ = scored(one, f"occluded {probability:g}", hidden)
        numbers.update(evaluate.under_schedule(found, one.schedules, f"occluded/{probability:g}/"))
    return Result(
        model=one.path,
        weights=one.weights,
        schedules=one.schedules,
        numbers=numbers,
        metrics=metrics,
        against=other.path if other else None,
        theirs=theirs,
        worst=worst,
    )


def _run(
    subject: Subject,
    label: str,
    dataset: Iterable[Any],
    split: Split,
    values: flags.FlagValues,
    options: Options,
    *,
    watchers: Sequence[Any],
) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Returns the numbers, and the metrics of each schedule."""
    from lstd.evaluation import evaluate
    from lstd.evaluation.metrics import by_name

    videos = len(split.videos)
    metrics = by_name.metrics_by_schedule(
        options.factories(), subject.schedules, subject.detector.labels
    )
    seen: set[object] = set()

    def note(frame: Frame) -> None:
        seen.add(frame.frame_id[0])

    with Progress(label, total=_num_frames(split, values.max_frames), unit="frames") as progress:
        numbers = evaluate.evaluate(
            subject.detector,
            dataset,
            metrics,
            subject.schedules,
            max_frames=values.max_frames,
            watchers=[note, *watchers],
            progress=lambda count: progress.advance(
                count, note=f"video {len(seen)} of {videos}" if videos > 1 else ""
            ),
        )
    return numbers, metrics


def _open(found: Found, config: Config, values: flags.FlagValues) -> Split:
    from lstd.data import pipeline

    known = _knows_model(found, values)
    return pipeline.open_split(
        config.data,
        "evaluation",
        num_classes=config.model.num_classes if known else None,
        labels=config.model.labels if known else (),
    )


def _subject(
    found: Found,
    config: Config,
    values: flags.FlagValues,
    options: Options,
    *,
    keeps_to_its_own: bool = False,
) -> Subject:
    """Returns the model, loaded; one that keeps to its own is not asked to follow other schedules.

    That holds for a model with one network.
    """
    from lstd.any_model import evaluate_model
    from lstd.evaluation import evaluate

    known = _knows_model(found, values)
    weights = open_model.weights_of(found, config, values.weights)
    labels = options.labels or (tuple(config.model.labels) if known else ())
    model = found.path if found.is_exported else open_model.load(found, config, weights)
    detector = evaluate_model.detector_of(model, labels=labels, threads=values.threads)
    asked_for = () if keeps_to_its_own and len(detector.networks) == 1 else options.schedules
    names = list(asked_for) or _schedules(detector, config, known)
    schedules = list(evaluate.checked_schedules(detector, names))
    asked = options.latencies if "sap" in options.metrics else None
    eval_options.check_latencies(schedules, detector.networks, asked)
    return Subject(found.path, weights or found.path.name, detector, schedules)


def _other(
    place: Found, values: flags.FlagValues, options: Options, *, labels: tuple[str, ...]
) -> Subject:
    """Returns the model of `--against`, loaded; with a single network it follows its own schedule.

    Raises:
        ValueError: it has other classes.
    """
    config = config_for(place, values)
    found = _subject(place, config, values, options, keeps_to_its_own=True)
    eval_options.check_classes(labels, found.detector.labels)
    return found


def _schedules(detector: Any, config: Config, known: bool) -> list[str]:
    """Returns the schedules where none is asked for; a single network follows only its own."""
    if len(detector.networks) == 1 or not known:
        return [detector.schedule]
    return list(config.evaluation.schedules)


def _knows_model(found: Found, values: flags.FlagValues) -> bool:
    """Returns whether the config says what the model is; an exported file brings its own."""
    return bool(values.config) or not found.is_exported


def _num_frames(split: Split, most: int | None) -> int | None:
    """Returns how many frames will be scored; None: not known before they are read."""
    lengths = [video.known_frames for video in split.videos]
    if any(length is None for length in lengths):
        return None
    total = sum(length or 0 for length in lengths)
    return total if most is None else min(total, most)


def _beside(found: Found) -> Path:
    """Returns where results go if nobody says."""
    inside = found.config or found.path
    return (inside if inside.is_dir() else inside.parent) / "evaluation"


def score_files(values: flags.FlagValues, options: Options) -> None:
    """Scores somebody's detections; writes and prints the numbers."""
    from lstd.evaluation import bootstrap, coco_files

    truth = common.existing_file(values.annotations, flag="--annotations")
    annotations = coco_files.read_annotations(truth)
    fps = options.fps or annotations.fps
    schedule = options.schedules[0] if options.schedules else None
    if values.against:
        bootstrap.units_of(list(annotations.ground_truth), fps=fps)  # refuses too little data
    output = values.output_directory and common.writable_directory(values.output_directory)
    found = _read(values.detections, "--detections", annotations)
    other = _read(values.against, "--against", annotations) if values.against else None
    factories = options.factories(fps=fps, schedule=schedule)
    metrics = _scored(found, annotations, factories)
    numbers: dict[str, float] = {"frames": len(annotations.ground_truth)}
    for metric in metrics:
        numbers.update(metric.result())
    names = [schedule or "detections"]
    eval_write.print_numbers(numbers, names)
    if other is not None:
        theirs = _scored(other, annotations, factories)
        compared = eval_write.compare(
            {names[0]: metrics}, {names[0]: theirs}, fps=fps, draws=values.draws
        )
        if output:
            eval_write.save_comparison(output, compared, values.against)
    if output:
        facts = {"detections": values.detections, "annotations": values.annotations}
        paths = eval_write.save_numbers(output, numbers, names, facts)
        print(f"{numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")


def _read(path: str, flag: str, annotations: Any) -> Any:
    from lstd.evaluation import coco_files

    return coco_files.read_detections(common.existing_file(path, flag=flag), annotations)


def _scored(found: Any, annotations: Any, factories: list[Any]) -> list[Any]:
    metrics = [make(annotations.labels) for make in factories]
    for frame, true in annotations.ground_truth.items():
        for metric in metrics:
            metric.add(frame, true, found.get(frame))
    return metrics


def config_for(found: Found, values: flags.FlagValues) -> Config:
    """Returns the config of the run folder, of --config or the default, with --set and --input.

    Raises:
        ValueError: a model that needs a config has none; or a setting of the model, which a run's
            weights decide.
    """
    if found.is_exported:
        config = load_config(values.config) if values.config else Config()
    else:
        config = open_model.config_of(found, values.config)
    changed = common.overridden(config, values)
    if found.config and (changed.model, changed.train) != (config.model, config.train):
        raise ValueError(
            "--set can change data and evaluation here; the model is built and trained as its run "
            f"says ({found.config})"
        )
    if values.input:
        split = dataclasses.replace(changed.data.evaluation, input_path=tuple(values.input))
        data = dataclasses.replace(changed.data, evaluation=split)
        changed = dataclasses.replace(changed, data=data)
    return changed
