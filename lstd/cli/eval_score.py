"""`lstd-eval --model`: from a model and its data to numbers and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli import common, eval_checks, eval_model, eval_output, eval_pictures, model_kind
from lstd.cli.eval_numbers import Result
from lstd.cli.eval_options import Options

if TYPE_CHECKING:
    from lstd.config import Config
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
    config = eval_model.config_for(path, values)
    against = (
        model_kind.existing(values.against, flag="--against", config=values.config)
        if values.against
        else None
    )
    split = _open(path, config, values)
    eval_checks.check_data(split, config, values, options)
    output = common.writable_directory(values.output_directory or str(_beside(path)))
    one = _subject(path, config, values, options)
    other = _other(against, values, options, labels=one.detector.labels) if against else None
    result = _run_all(one, other, split, config, values, options)
    eval_output.write(output, result, split, config, values, options)


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

    worst = eval_pictures.worst_watchers(
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
    weights = eval_model.weights_of(path, values, config)
    labels = options.labels or (tuple(config.model.labels) if known else ())
    detector = eval_model.load(path, values, config, weights=weights, labels=labels)
    asked_for = () if keeps_to_its_own and len(detector.networks) == 1 else options.schedules
    names = list(asked_for) or _schedules(detector, config, known)
    schedules = list(evaluate.checked_schedules(detector, names))
    asked = options.latencies if "sap" in options.metrics else None
    eval_checks.check_latencies(schedules, detector.networks, asked)
    return Subject(path, weights or path.name, detector, schedules)


def _other(
    path: Path, values: flags.FlagValues, options: Options, *, labels: tuple[str, ...]
) -> Subject:
    """Returns the model of `--against`, loaded; with a single network it follows its own schedule.

    Raises:
        ValueError: it has other classes.
    """
    config = eval_model.config_for(path, values)
    found = _subject(path, config, values, options, keeps_to_its_own=True)
    eval_checks.check_classes(labels, found.detector.labels)
    return found


def _schedules(detector: Any, config: Config, known: bool) -> list[str]:
    """Returns the schedules where none is asked for; a single network follows only its own."""
    if len(detector.networks) == 1 or not known:
        return [detector.schedule]
    return list(config.evaluation.schedules)


def _knows_model(path: Path, values: flags.FlagValues) -> bool:
    """Returns whether the config says what the model is; an exported file brings its own."""
    return bool(values.config) or eval_model.is_run(path)


def _num_frames(split: Split, most: int | None) -> int | None:
    """Returns how many frames will be scored; None: not known before they are read."""
    lengths = [video.known_frames for video in split.videos]
    if any(length is None for length in lengths):
        return None
    total = sum(length or 0 for length in lengths)
    return total if most is None else min(total, most)


def _beside(path: Path) -> Path:
    """Returns where results go if nobody says."""
    if eval_model.is_run(path):
        return model_kind.run_of(path) / "evaluation"
    return (path if path.is_dir() else path.parent) / "evaluation"
