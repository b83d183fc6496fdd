"""Measures a detector on annotated video, the state carried through each video.

Examples:
  lstd-eval --model runs/one --schedule LARGE,SKIP3,SKIP9 --metrics coco,vid
  lstd-eval --model model.tflite --input 'val*.tfrecord' --against runs/two
  lstd-eval --detections theirs.json --annotations truth.json

A table goes to stdout; results.json, results.csv, TensorBoard's curves and the detections in COCO's
form go to --output_directory. The frames have the size that the data pipeline gives them, which is
what small, medium and large refer to. docs/metrics.md defines every number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lstd import schedule_names
from lstd.cli import common, eval_files, eval_model, eval_watch


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-eval`."""
    values = flags.FlagValues()
    common.define(values, "model", "config", "output_directory", "threads", "resume", "set")
    _define_data(values)
    _define_metrics(values)
    _define_output(values)
    return common.run(
        _evaluate, values, program="lstd-eval", description=__doc__, required=[], argv=argv
    )


def _define_data(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "weights",
        None,
        ["best", "last", "average"],
        "Which weights of a run; default: best, or average if the config's "
        "evaluation.use_moving_averages says so.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "input",
        [],
        "TFRecord files, * and ? allowed, with commas between them; default: the config's "
        "data.evaluation.input_path.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "schedule",
        [],
        "Schedules such as LARGE,SKIP3, with commas between them; default: the config's "
        "evaluation.schedules, or the file's own.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_frames", None, "Score only the first so many.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_string(
        "labels", "", "Names of the classes: a label map, or one a line.", flag_values=values
    )
    flags.DEFINE_string(
        "detections",
        "",
        "Score these instead of a model: a COCO results file, of anybody's detector.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "annotations",
        "",
        "Ground truth of --detections: a COCO or CocoVID file.",
        flag_values=values,
    )


def _define_metrics(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "metrics",
        ["coco"],
        "Of coco, vid, vid_ap50, sap, size, distance, confusion, flicker.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "latency",
        [],
        "For sap: milliseconds by network, large=52.1,small=6.9; or a JSON file with a number or a "
        "list of measured ones for each.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "fps", None, "Frames a second, for sap, --against and --video.", flag_values=values
    )
    flags.DEFINE_list(
        "occlusion",
        [],
        "Also with true objects hidden with these probabilities, such as 0.25,0.5,0.75.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "against",
        "",
        "Another model (with --detections: another results file): differences with bootstrap "
        "intervals.",
        flag_values=values,
    )
    flags.DEFINE_integer("draws", 1000, "Of the bootstrap.", lower_bound=1, flag_values=values)


def _define_output(values: flags.FlagValues) -> None:
    flags.DEFINE_bool(
        "write_detections",
        False,
        "Write annotations.json and detections_SCHEDULE.json in COCO's form.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "video", False, "Write side_by_side.mp4, a panel a schedule.", flag_values=values
    )
    flags.DEFINE_integer(
        "worst_frames",
        0,
        "Write worst_frames_SCHEDULE.png with so many.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "report", False, "Write report.html: tables, curves, worst frames.", flag_values=values
    )
    flags.DEFINE_bool(
        "watch",
        False,
        "Evaluate a run folder's weights again whenever they change; Ctrl-C ends it.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "watch_seconds",
        30.0,
        "How often --watch looks.",
        lower_bound=0.01,
        flag_values=values,
    )
    flags.DEFINE_float(
        "watch_stop_minutes",
        None,
        "End --watch when nothing changed for so long; default: never.",
        lower_bound=0.0,
        flag_values=values,
    )


def _evaluate(values: flags.FlagValues) -> None:
    _check_flags(values)
    common.use_threads(values.threads)
    options = _options(values)
    if values.detections:
        eval_files.score_files(values, options)
        return
    path = eval_model.existing(values.model, flag="--model", config=values.config)
    if values.watch:
        eval_watch.watch(path, values, options)
    else:
        eval_files.score_model(path, values, options)


def _check_flags(values: flags.FlagValues) -> None:
    """Raises where flags do not go together."""
    if bool(values.model) == bool(values.detections):
        given = "both are" if values.model else "none is"
        raise ValueError(
            f"--model must be given, or --detections with --annotations: {given} here "
            "(lstd-eval --help says more)"
        )
    if bool(values.detections) != bool(values.annotations):
        raise ValueError("--detections and --annotations go together")
    pictures = ("video", "worst_frames", "report", "occlusion", "write_detections", "watch")
    for name in (*pictures, "input", "resume", "max_frames"):
        if values.detections and values[name].value:
            raise ValueError(f"--{name} needs a model and its data, which --detections has not")
    if values.watch and values.against:
        raise ValueError("--watch and --against do not go together")
    if values.watch and values.resume:
        raise ValueError("--watch evaluates from the beginning; leave out --resume")


def _options(values: flags.FlagValues) -> eval_files.Options:
    for name in values.schedule:
        schedule_names.check(name, where="--schedule")
    labels: tuple[str, ...] = ()
    if values.labels:
        from lstd import label_map

        labels = label_map.load(common.existing_file(values.labels, flag="--labels"))
    if values.fps is not None and not values.fps > 0:
        raise ValueError(f"--fps must be above 0, got {values.fps}")
    options = eval_files.Options(
        metrics=tuple(values.metrics),
        schedules=tuple(values.schedule),
        latencies=_latencies(values.latency),
        fps=values.fps,
        occlusion=_probabilities(values.occlusion),
        labels=labels,
    )
    from lstd.evaluation import catalogue

    for name in options.metrics:
        fps = options.fps or (1.0 if values.annotations else None)  # the annotations may say it
        catalogue.factory(name, latencies=options.latencies, fps=fps)
    if not options.metrics:
        raise ValueError("--metrics: give at least one")
    return options


def _latencies(texts: Sequence[str]) -> dict[str, Any] | None:
    """Returns milliseconds by network, from the flag or the file that it names."""
    import json

    from lstd.evaluation import streaming

    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        path = common.existing_file(texts[0], flag="--latency")
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"--latency: {path} is not readable as JSON: {error}") from None
    else:
        content = {}
        for text in texts:
            network, _, value = text.partition("=")
            try:
                content[network] = float(value)
            except ValueError:
                raise ValueError(
                    f"--latency: expected network=milliseconds such as large=52.1, got {text!r}"
                ) from None
    try:
        return dict(streaming.latency_table(content))
    except ValueError as error:
        raise ValueError(f"--latency: {error}") from None


def _probabilities(texts: Sequence[str]) -> tuple[float, ...]:
    try:
        values = tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"--occlusion: expected numbers in [0, 1], got {list(texts)}") from None
    if not all(0 <= value <= 1 for value in values) or len(set(values)) < len(values):
        raise ValueError(f"--occlusion: expected different numbers in [0, 1], got {list(texts)}")
    return values


if __name__ == "__main__":
    sys.exit(main())
