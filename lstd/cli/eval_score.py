"""`lstd-eval --model`: from a model and its data to numbers and files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from lstd.cli import (
    common,
    eval_checks,
    eval_fingerprint,
    eval_model,
    eval_output,
    eval_pictures,
    model_kind,
)
from lstd.cli.eval_numbers import Result
from lstd.cli.eval_options import Options

if TYPE_CHECKING:
    from lstd.config import Config
    from lstd.data.pipeline import Split
    from lstd.evaluation.store import Frame, FrameStore

_UNFINISHED = "unfinished"


class Subject(NamedTuple):
    """A model that is evaluated.

    Attributes:
        path: where it is.
        weights: which of its weights, for a reader.
        detector: a ClipDetector.
        schedules: names.
        facts: what its detections depend on, see `eval_fingerprint`.
    """

    path: Path
    weights: str
    detector: Any
    schedules: list[str]
    facts: dict[str, Any]


class _Pass(NamedTuple):
    """Once over the data.

    Attributes:
        subject: the model.
        label: for the line of progress.
        dataset: its frames, hidden or not.
        store: keeps what is done.
    """

    subject: Subject
    label: str
    dataset: Any
    store: FrameStore


def score_model(
    path: Path,
    values: flags.FlagValues,
    options: Options,
    *,
    weights: str | None = None,
    step: int = 0,
) -> dict[str, float]:
    """Evaluates a model, and writes and prints what the flags ask for; returns the numbers.

    Args:
        path: of the model.
        values: the command's flags.
        options: what they say.
        weights: of a run folder, instead of what the flags say.
        step: where the points of TensorBoard stand.
    """
    from lstd.evaluation.occlusion import OccludedDataset
    from lstd.evaluation.store import FrameStore

    config = eval_model.config_for(path, values)
    against = (
        model_kind.existing(values.against, flag="--against", config=values.config)
        if values.against
        else None
    )
    split = _open(path, config, values)
    eval_checks.check_data(split, config, values, options)
    output = common.writable_directory(values.output_directory or str(_beside(path)))
    one = _subject(path, config, values, options, weights=weights)
    other = _other(against, values, options, labels=one.detector.labels) if against else None
    unfinished = output / _UNFINISHED
    _tell_of_unfinished(unfinished, resume=values.resume)

    def planned(subject: Subject, name: str, label: str, dataset: Any, **more: float) -> _Pass:
        return _Pass(
            subject,
            label,
            dataset,
            FrameStore(unfinished / name, {**subject.facts, **more}, resume=values.resume),
        )

    # All of them at once: what cannot be resumed is refused before anything runs.
    main = planned(one, "model", "evaluating", split.dataset)
    theirs = planned(other, "against", f"evaluating {other.path}", split.dataset) if other else None
    hidden = {
        each: planned(
            one,
            f"occluded_{each:g}",
            f"occluded {each:g}",
            OccludedDataset(split.dataset, probability=each),
            occluded=each,
        )
        for each in options.occlusion
    }
    result = _run_all(main, theirs, hidden, split, config, values, options)
    eval_output.write(output, result, split, config, values, options, step=step)
    _clear(unfinished)
    return result.numbers


def _run_all(
    main: _Pass,
    against: _Pass | None,
    hidden: dict[float, _Pass],
    split: Split,
    config: Config,
    values: flags.FlagValues,
    options: Options,
) -> Result:
    """Returns what came out of all passes."""
    from lstd.evaluation import run

    one = main.subject
    worst = eval_pictures.worst_watchers(
        values, one.detector.labels, one.schedules, config.evaluation.min_score_threshold
    )
    numbers, metrics = _run(main, split, values, options, watchers=[*worst.values()])
    theirs = _run(against, split, values, options)[1] if against else {}
    for probability, each in hidden.items():
        found, _ = _run(each, split, values, options)
        numbers.update(run.under_schedule(found, one.schedules, f"occluded/{probability:g}/"))
    return Result(
        model=one.path,
        weights=one.weights,
        schedules=one.schedules,
        numbers=numbers,
        metrics=metrics,
        against=against.subject.path if against else None,
        theirs=theirs,
        worst=worst,
    )


def _run(
    planned: _Pass,
    split: Split,
    values: flags.FlagValues,
    options: Options,
    *,
    watchers: Sequence[Any] = (),
) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Returns the numbers, and the metrics of each schedule."""
    from lstd.evaluation import metric_lists, run

    subject, videos = planned.subject, len(split.videos)
    if planned.store.videos:
        print(f"{planned.label}: {len(planned.store.videos)} of {videos} videos are done already")
    metrics = metric_lists.metrics_by_schedule(
        options.factories(), subject.schedules, subject.detector.labels
    )
    seen: set[object] = set()

    def note(frame: Frame) -> None:
        seen.add(frame.frame_id[0])

    with common.Progress(
        planned.label, total=_num_frames(split, values.max_frames), unit="frames"
    ) as progress:
        numbers = run.evaluate(
            subject.detector,
            planned.dataset,
            metrics,
            subject.schedules,
            max_frames=values.max_frames,
            watchers=[note, *watchers],
            store=planned.store,
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
    weights: str | None = None,
    keeps_to_its_own: bool = False,
) -> Subject:
    """Returns the model, loaded.

    Args:
        path: of the model.
        config: that comes with it.
        values: the command's flags.
        options: what they say.
        weights: instead of what the flags say.
        keeps_to_its_own: a model with one network is not asked to follow other schedules.
    """
    from lstd.evaluation import run

    known = _knows_model(path, values)
    weights = weights or eval_model.weights_of(path, values, config)
    labels = options.labels or (tuple(config.model.labels) if known else ())
    detector = eval_model.load(path, values, config, weights=weights, labels=labels)
    asked_for = () if keeps_to_its_own and len(detector.networks) == 1 else options.schedules
    names = list(asked_for) or _schedules(detector, config, known)
    schedules = list(run.checked_schedules(detector, names))
    asked = options.latencies if "sap" in options.metrics else None
    eval_checks.check_latencies(schedules, detector.networks, asked)
    facts = eval_fingerprint.facts(
        eval_model.files_of(path, weights),
        config,
        model_is_known=known,
        labels=detector.labels,
        schedules=schedules,
    )
    return Subject(path, weights or path.name, detector, schedules, facts)


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


def _tell_of_unfinished(folder: Path, *, resume: bool) -> None:
    done = len(list(folder.glob("*/[!.]*.npz")))
    if done and not resume:
        print(
            f"{folder}: what an evaluation that did not end had done (videos: {done}) is removed; "
            "--resume would have gone on with it",
            file=sys.stderr,
        )
    if resume and not folder.is_dir():
        print(f"--resume: there is no {folder}; starting from the beginning", file=sys.stderr)


def _clear(unfinished: Path) -> None:
    """Removes what was kept for resuming."""
    from lstd.evaluation import store

    for folder in unfinished.iterdir():
        store.clear(folder)
    unfinished.rmdir()
