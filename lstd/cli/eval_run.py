"""`lstd-eval` of a model and its data, or of a file of detections: what runs."""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from lstd.any_model import evaluate_model, open_model, video_detector
from lstd.any_model.open_model import Found
from lstd.base.progress import Progress
from lstd.cli import common, eval_write
from lstd.cli.eval_write import Result
from lstd.config import schedule_names
from lstd.config.config import Config
from lstd.data import pipeline
from lstd.data.pipeline import Split
from lstd.evaluation import baselines, bootstrap, coco_files, evaluate, pictures, results
from lstd.evaluation.metrics import by_name
from lstd.evaluation.occlusion import OccludedDataset
from lstd.runtime import timed_models, timing
from lstd.tf1.load_config import load_config

_TURNS, _TIMED = 3, 10  # of each network for the report, and calls in a turn
_NEED_TRACKS = {"vid": "; vid_ap50 does without", "flicker": ""}


class Options(NamedTuple):
    """What flags say whose text is not yet the value; `metrics` has the report's among them."""

    metrics: tuple[str, ...]
    latencies: dict[str, Any] | None
    occlusion: tuple[float, ...]
    labels: tuple[str, ...]


class _Subject(NamedTuple):
    """A model that is evaluated: where it is, its weights for a reader, and what runs."""

    path: Path
    weights: str
    model: Any  # an LSTMSSD, or the path of an exported file
    detector: Any
    schedules: list[str]  # and their baselines, such as SKIP9-held


def score_model(values: flags.FlagValues, options: Options) -> None:
    """Evaluates a model, and writes and prints what the flags ask for.

    What cannot be done is refused before a network runs.
    """
    found = {
        flag: open_model.find(str(values[flag].value), name=f"--{flag}")
        for flag in ("model", "against")
        if values[flag].value
    }
    configs = {flag: _config_of(each, values, found.values()) for flag, each in found.items()}
    main, config = found["model"], configs["model"]
    known = _is_described(main, values)
    split = pipeline.open_split(
        config.data,
        "evaluation",
        num_classes=config.model.num_classes if known else None,
        labels=config.model.labels if known else (),
    )
    _check_data(split, config, values, options)
    inside = main.config or main.path
    beside = (inside if inside.is_dir() else inside.parent) / "evaluation"
    output = common.writable_directory(values.output_directory or str(beside))
    one, *others = (_subject(each, configs[flag], values, options) for flag, each in found.items())
    for other in others:
        if tuple(other.detector.labels) != tuple(one.detector.labels):
            raise ValueError(
                f"--against: its classes are {_listed(other.detector.labels)}; this model's "
                f"{_listed(one.detector.labels)}"
            )
    result = _run_all(one, next(iter(others), None), split, config, values, options)
    eval_write.write(output, result, split, values)


def _config_of(found: Found, values: flags.FlagValues, models: Collection[Found]) -> Config:
    """Returns the config of the run folder, of --config or the default, with --set and --input.

    Beside a model that needs --config, a run keeps its own.
    """
    if found.is_exported:
        config = load_config(values.config) if values.config else Config()
    else:
        is_for_the_other = found.config is not None and (
            found.name == "--against" or not all(each.describes_itself for each in models)
        )
        config = open_model.config_of(found, None if is_for_the_other else values.config)
    changed = common.overridden(config, values)
    if found.config and (changed.model, changed.train) != (config.model, config.train):
        raise ValueError(
            "--set can change data and evaluation here; the model is built and trained as its run "
            f"says ({found.config})"
        )
    return common.with_input(changed, "evaluation", values.input)


def _is_described(found: Found, values: flags.FlagValues) -> bool:
    """Returns whether the config says what the model is; an exported file brings its own."""
    return bool(values.config) or not found.is_exported


def _check_data(split: Split, config: Config, values: flags.FlagValues, options: Options) -> None:
    if not split.videos[0].has_tracks:  # by which the pipeline decides, too
        for name in [each for each in options.metrics if each in _NEED_TRACKS]:
            raise ValueError(
                f"--metrics: {name} needs track ids, which the data has not{_NEED_TRACKS[name]}"
            )
    lanes = config.data.evaluation.batch_size
    if values.video and lanes > 1 and len(split.videos) > 1:
        raise ValueError(
            f"--video: data.evaluation.batch_size is {lanes}, so the videos would come in turns; "
            "add --set data.evaluation.batch_size=1"
        )
    if values.against and values.fps is None:
        left, frames = values.max_frames, []
        for video in split.videos:
            if left is None or lanes > 1 or left > 0:  # of several lanes they come in turns: all
                frames.append((video.name, 0))
                left = None if left is None else left - (video.known_frames or 1)
        bootstrap.units_of(frames, fps=None)  # says what it needs


def _subject(found: Found, config: Config, values: flags.FlagValues, options: Options) -> _Subject:
    """Returns the model, loaded, the schedules that it follows, and their baselines.

    With a single network, the other model keeps to its own schedule.
    """
    known = _is_described(found, values)
    weights = open_model.weights_of(found, config, values.weights)
    labels = options.labels or (tuple(config.model.labels) if known else ())
    model = found.path if found.is_exported else open_model.load(found, config, weights)
    detector = evaluate_model.detector_of(
        model,
        labels=labels,
        threads=values.threads,
        min_score=config.evaluation.min_score_threshold,
    )
    is_single = len(detector.networks) == 1
    keeps_its_own = is_single and found.name == "--against"
    asked = () if keeps_its_own else values.schedule
    own = [detector.schedule] if is_single or not known else list(config.evaluation.schedules)
    schedules = evaluate.checked_schedules(detector, list(asked) or own)
    for schedule in schedules if "sap" in options.metrics else ():
        ran = detector.networks if is_single else schedule_names.networks_of(schedule)
        for network in set(ran) - set(options.latencies or ran):
            raise ValueError(
                f"--latency: {schedule} runs the {network} network, whose latency is not given; "
                f"there is {', '.join(options.latencies or ())}"
            )
    wanted = () if keeps_its_own else values.baselines
    if values.report and not wanted and any(map(schedule_names.is_interleaved, schedules)):
        wanted = ["held", "velocity"]  # which cost no network
    columns = list(baselines.columns(schedules, wanted, where="--baselines"))
    return _Subject(found.path, weights or found.path.name, model, detector, columns)


def _listed(labels: Sequence[str]) -> str:
    """Returns the first labels, and how many more there are."""
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return ", ".join(labels[:5]) + more


def _run_all(
    one: _Subject,
    other: _Subject | None,
    split: Split,
    config: Config,
    values: flags.FlagValues,
    options: Options,
) -> Result:
    lengths = [video.known_frames for video in split.videos]
    total = None if None in lengths else sum(length or 0 for length in lengths)
    if total is not None and values.max_frames is not None:
        total = min(total, values.max_frames)

    def scored(
        subject: _Subject, label: str, dataset: Iterable[Any], watchers: Sequence[Any] = ()
    ) -> tuple[int, dict[str, list[Any]]]:
        seen, videos = set[object](), len(split.videos)

        def note() -> str:
            return f"video {len(seen)} of {videos}" if videos > 1 else ""

        with Progress(label, total=total, unit="frames") as progress:
            return evaluate.run(
                subject.detector,
                dataset,
                options.metrics,
                subject.schedules,
                latencies=options.latencies,
                fps=values.fps,
                max_frames=values.max_frames,
                watchers=[lambda frame: seen.add(frame.frame_id[0]), *watchers],
                progress=lambda count: progress.advance(count, note=note),
            )

    threads = values.threads or os.cpu_count() or 1
    speeds = _speeds(one, threads=threads) if values.report else {}  # first: it may be refused
    drawn = {"count": values.worst_frames, "min_score": one.detector.min_score}
    worst = {
        name: pictures.WorstFrames(one.detector.labels, name, **drawn)
        for name in (one.schedules if values.worst_frames else ())
    }
    count, metrics = scored(one, "evaluating", split.dataset, [*worst.values()])
    numbers = {"frames": count, **evaluate.results_of(metrics)}
    theirs = scored(other, f"evaluating {other.path}", split.dataset)[1] if other else {}
    for probability in options.occlusion:
        hidden = OccludedDataset(split.dataset, probability=probability)
        _, found = scored(one, f"occluded {probability:g}", hidden)
        numbers.update(evaluate.results_of(found, f"occluded/{probability:g}/"))
    facts: dict[str, Any] = {
        "model": str(one.path),
        "weights": one.weights,
        "min_score": one.detector.min_score,
        "input": list(config.data.evaluation.input_path),
        "videos": len({video for video, _ in metrics[one.schedules[0]][0].ground_truth}),
    }
    if values.max_frames:
        facts["max_frames"] = values.max_frames
    if "sap" in options.metrics:
        facts |= {"latencies_ms": options.latencies, "fps": values.fps}
    if other is not None:
        facts |= {"against": str(other.path), "against_min_score": other.detector.min_score}
    if values.report:
        facts["frames_per_second"] = speeds
    return Result(one.schedules, numbers, metrics, theirs, worst, facts)


def _speeds(subject: _Subject, *, threads: int) -> dict[str, float]:
    """Returns how many frames a second the networks take in each column, one frame at a time."""
    model = video_detector.runnable(subject.model)
    timed = timed_models.of_model(model, name="", schedule=None, threads=threads)
    alone = [timed._replace(calls={name: call}, schedule="") for name, call in timed.calls.items()]
    with Progress("timing", total=_TURNS * len(alone), unit="turns") as progress:
        measured = timing.measure(
            alone, turns=_TURNS, frames=_TIMED, warm_up=_TIMED, progress=progress.advance
        )
    # The fastest, which other work on the machine disturbs least.
    ms = {
        network: min(call[1] for turn in times.turns for call in turn)
        for network, times in zip(timed.calls, measured, strict=True)
    }
    speeds = {}
    for column in subject.schedules:
        schedule = baselines.schedule_of(column)
        skipped = schedule_names.skip_of(schedule)
        if schedule == "SMALL":
            speeds[column] = 1e3 / ms["small"]
        elif skipped is not None:  # which chance decides otherwise
            small = skipped * ms.get("small", 0.0) if column == schedule else 0.0
            speeds[column] = 1e3 * (skipped + 1) / (ms["large"] + small)
    return speeds


def score_files(values: flags.FlagValues, options: Options) -> None:
    """Scores somebody's detections; writes and prints the numbers."""
    truth = common.existing_file(values.annotations, flag="--annotations")
    annotations = coco_files.read_annotations(truth)
    fps = values.fps or annotations.fps
    schedule = values.schedule[0] if values.schedule else None
    if values.against:
        bootstrap.units_of(list(annotations.ground_truth), fps=fps)  # refuses too little data
    output = values.output_directory and common.writable_directory(values.output_directory)
    name = schedule or "detections"

    def scored(flag: str) -> list[Any]:
        path = common.existing_file(str(values[flag].value), flag=f"--{flag}")
        found = coco_files.read_detections(path, annotations)
        given = {"latencies": options.latencies, "fps": fps, "schedule": schedule}
        labels = annotations.labels
        metrics = by_name.metrics_by_schedule(options.metrics, [name], labels, **given)[name]
        for frame, true in annotations.ground_truth.items():
            for metric in metrics:
                metric.add(frame, true, found.get(frame))
        return metrics

    ours, theirs = scored("detections"), scored("against") if values.against else []
    numbers: dict[str, float] = {"frames": len(annotations.ground_truth)}
    for metric in ours:
        numbers.update(metric.result())
    eval_write.print_numbers(numbers, [name])
    eval_write.print_best_score(name, {name: ours})
    if values.against:
        compared = eval_write.compare({name: ours}, {name: theirs}, fps=fps, draws=values.draws)
        if output:
            eval_write.save_comparison(output, compared, values.against)
    if output:
        facts = {"detections": values.detections, "annotations": values.annotations}
        paths = results.save_results(output, numbers, [name], facts)
        print(f"{numbers['frames']:.0f} frames; written: {', '.join(map(str, paths))}")
