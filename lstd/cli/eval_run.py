"""`lstd-eval` of a model and its data, or of a file of detections: what runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli import common, eval_options, eval_write, model_kind, trained_model
from lstd.cli.eval_options import Options
from lstd.cli.eval_write import Result
from lstd.tf1.load_config import load_config

if TYPE_CHECKING:
    from lstd.config.config import Config
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


def score_model(path: Path, values: flags.FlagValues, options: Options) -> None:
    """Evaluates a model, and writes and prints what the flags ask for.

    Args:
        path: of the model.
        values: the command's flags.
        options: what they say.
    """
    config = config_for(path, values)
    against = (
        model_kind.existing(values.against, flag="--against", config=values.config)
        if values.against
        else None
    )
    split = _open(path, config, values)
    eval_options.check_data(split, config, values, options)
    output = common.writable_directory(values.output_directory or str(_beside(path)))
    one = _subject(path, config, values, options)
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

    with common.Progress(
        label, total=_num_frames(split, values.max_frames), unit="frames"
    ) as progress:
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


def _open(path: Path, config: Config, values: flags.FlagValues) -> Split:
    from lstd.data import pipeline

    known = _knows_model(path, values)
    return pipeline.open_split(
        config.data,
        "evaluation",
        num_classes=config.model.num_classes if known else None,
        labels=config.model.labels if known else (),
    )


def _subject(
    path: Path,
    config: Config,
    values: flags.FlagValues,
    options: Options,
    *,
    keeps_to_its_own: bool = False,
) -> Subject:
    """Returns the model, loaded; one that keeps to its own is not asked to follow other schedules.

    That holds for a model with one network.
    """
    from lstd.evaluation import evaluate

    known = _knows_model(path, values)
    weights = weights_of(path, values, config)
    labels = options.labels or (tuple(config.model.labels) if known else ())
    detector = load(path, values, config, weights=weights, labels=labels)
    asked_for = () if keeps_to_its_own and len(detector.networks) == 1 else options.schedules
    names = list(asked_for) or _schedules(detector, config, known)
    schedules = list(evaluate.checked_schedules(detector, names))
    asked = options.latencies if "sap" in options.metrics else None
    eval_options.check_latencies(schedules, detector.networks, asked)
    return Subject(path, weights or path.name, detector, schedules)


def _other(
    path: Path, values: flags.FlagValues, options: Options, *, labels: tuple[str, ...]
) -> Subject:
    """Returns the model of `--against`, loaded; with a single network it follows its own schedule.

    Raises:
        ValueError: it has other classes.
    """
    config = config_for(path, values)
    found = _subject(path, config, values, options, keeps_to_its_own=True)
    eval_options.check_classes(labels, found.detector.labels)
    return found


def _schedules(detector: Any, config: Config, known: bool) -> list[str]:
    """Returns the schedules where none is asked for; a single network follows only its own."""
    if len(detector.networks) == 1 or not known:
        return [detector.schedule]
    return list(config.evaluation.schedules)


def _knows_model(path: Path, values: flags.FlagValues) -> bool:
    """Returns whether the config says what the model is; an exported file brings its own."""
    return bool(values.config) or is_run(path)


def _num_frames(split: Split, most: int | None) -> int | None:
    """Returns how many frames will be scored; None: not known before they are read."""
    lengths = [video.known_frames for video in split.videos]
    if any(length is None for length in lengths):
        return None
    total = sum(length or 0 for length in lengths)
    return total if most is None else min(total, most)


def _beside(path: Path) -> Path:
    """Returns where results go if nobody says."""
    if is_run(path):
        return model_kind.run_of(path) / "evaluation"
    return (path if path.is_dir() else path.parent) / "evaluation"


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


def is_run(path: Path) -> bool:
    """Returns whether it is meant as a run folder, or as weights or a checkpoint in one."""
    return model_kind.kind_of(path) in (*model_kind.OF_A_RUN, "folder")


def config_for(path: Path | None, values: flags.FlagValues) -> Config:
    """Returns the config of the run folder, of --config or the default, with --set and --input.

    Raises:
        ValueError: a model that needs a config has none; or a setting of the model, which a run's
            weights decide.
    """
    import dataclasses

    from lstd.config.config import Config

    if path is not None and is_run(path):
        file = model_kind.config_of(path)
        if not file.is_file():
            raise ValueError(f"--model: {path} is no run folder: there is no {file}")
        if values.config:
            raise ValueError(
                f"--config: {path} brings its own, {file}; --set overrides what it says of data "
                "and evaluation"
            )
        config = load_config(file)
    elif values.config:
        file, config = Path(values.config), load_config(values.config)
    else:
        file, config = Path("the default"), Config()
    changed = common.overridden(config, values)
    if path is not None and is_run(path) and _built_as(changed) != _built_as(config):
        raise ValueError(
            "--set can change data and evaluation here; the model is built and trained as its run "
            f"says ({file})"
        )
    if values.input:
        split = dataclasses.replace(changed.data.evaluation, input_path=tuple(values.input))
        data = dataclasses.replace(changed.data, evaluation=split)
        changed = dataclasses.replace(changed, data=data)
    return changed


def weights_of(path: Path, values: flags.FlagValues, config: Config) -> str:
    """Returns which weights are meant: best, last or average; "" for a file that has only one.

    Raises:
        ValueError: `--weights` where there is nothing to choose.
    """
    asked: str = values.weights or ""
    if path.is_dir() and is_run(path):
        return asked or trained_model.preferred(path, config)
    if model_kind.kind_of(path) == "original":
        if asked in ("best", "last"):
            raise ValueError(
                f"--weights={asked} chooses among the files of a run folder; of a checkpoint of "
                "the original there is --weights=average"
            )
        return asked or trained_model.preferred(path, config)
    if asked:
        raise ValueError(
            f"--weights={asked} chooses among the files of a run folder; {path} has only its own"
        )
    return ""


def load(
    path: Path, values: flags.FlagValues, config: Config, *, weights: str, labels: tuple[str, ...]
) -> Any:
    """Returns a ClipDetector.

    Args:
        path: a run folder, or weights or a checkpoint in one, a SavedModel, a `.tflite`, the folder
            that `lstd-export` wrote them into, or with --config a checkpoint of the original.
        values: the command's flags.
        config: see `config_for`.
        weights: see `weights_of`.
        labels: names of the classes; empty: the model's own.

    Raises:
        ValueError, OSError, ImportError: it cannot be loaded, or has another number of classes.
    """
    from lstd.cli import detect_model
    from lstd.evaluation import detectors
    from lstd.evaluation.detectors import ModelDetector
    from lstd.runtime.detector import VideoDetector

    if is_run(path) or model_kind.kind_of(path) == "original":
        model = trained_model.load(path, config, weights=weights)
        _check_labels(labels, model.num_classes, values)
        return ModelDetector(model, labels=labels)
    _check_labels(labels, len(detect_model.labels_of(path, ())), values)
    detector = VideoDetector(path, threads=values.threads or os.cpu_count() or 1, labels=labels)
    return detectors.StreamDetector(detector.stream, labels=labels)


def _check_labels(labels: tuple[str, ...], num_classes: int, values: flags.FlagValues) -> None:
    """Raises where names are given and their number is known to be wrong."""
    if labels and num_classes and len(labels) != num_classes:
        where = "--labels" if values.labels else "model.labels of the config"
        raise ValueError(f"{where}: {len(labels)} names; the model has {num_classes} classes")


def _built_as(config: Config) -> tuple[Any, Any]:
    return config.model, config.train
