"""Measures a detector on annotated video, the state carried through each video.

Examples:
  lstd-eval --model runs/one --schedule LARGE,SKIP3,SKIP9 --metrics coco,vid
  lstd-eval --model runs/one --schedule SKIP9 --baselines held,velocity,bytetrack
  lstd-eval --model model.tflite --input 'val*.tfrecord' --against runs/two
  lstd-eval --detections theirs.json --annotations truth.json

A table goes to stdout; results.json, results.csv and the detections in COCO's form go to
--output_directory. The frames have the size that the data pipeline gives them, which is
what small, medium and large refer to. docs/metrics.md defines every number.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.base import documents
from lstd.cli import app, common
from lstd.config import schedule_names

if TYPE_CHECKING:
    from lstd.cli.eval_run import Options

FLAGS: app.Flags = {
    **common.flags("model", "config", "output_directory", "threads", "set"),
    "weights": app.choice(
        "Which weights of a run; default: best, or average if the config's "
        "evaluation.use_moving_averages says so and there are any.",
        ["best", "last", "average"],
    ),
    "input": common.data_flag("data.evaluation.input_path"),
    "schedule": app.several(
        "Schedules such as LARGE,SKIP3, with commas between them; default: the config's "
        "evaluation.schedules, or the file's own."
    ),
    "baselines": app.several(
        "Of held, velocity, bytetrack: what these make of the large frames under each schedule, "
        "without a network in between; docs/metrics.md. bytetrack needs lstd[tracking]."
    ),
    "max_frames": app.whole("Score only the first so many.", least=1),
    "labels": app.text("Names of the classes: a label map, or one a line."),
    "detections": app.text(
        "Score these instead of a model: a COCO results file, of anybody's detector."
    ),
    "annotations": app.text("Ground truth of --detections: a COCO or CocoVID file."),
    "metrics": app.several("Of coco, vid, vid_ap50, sap, distance, confusion, flicker.", ["coco"]),
    "latency": app.several(
        "For sap: milliseconds by network, large=52.1,small=6.9; or a JSON file with a number or a "
        "list of measured ones for each."
    ),
    "fps": app.number("Frames a second, for sap, --against and --video."),
    "occlusion": app.several(
        "Also with true objects hidden with these probabilities, such as 0.25,0.5,0.75."
    ),
    "against": app.text(
        "Another model (with --detections: another results file): differences with bootstrap "
        "intervals."
    ),
    "draws": app.whole("Of the bootstrap.", 1000, least=1),
    "write_detections": app.switch(
        "Write annotations.json and detections_SCHEDULE.json in COCO's form."
    ),
    "video": app.switch(
        "Write side_by_side.mp4, a panel for each schedule and baseline; with --against a row for "
        "each model."
    ),
    "worst_frames": app.whole("Write worst_frames_SCHEDULE.png with so many.", 0, least=0),
    "report": app.switch(
        "Write report.html: tables, curves, and the worst frames and the video where asked for. "
        "Adds coco, distance and confusion to what is measured, frames per second, and the "
        "baselines held and velocity where none are given."
    ),
}
_REPORT_METRICS = ("coco", "distance", "confusion")  # which it draws in any case
_COMPARABLE = {"coco", "vid", "vid_ap50", "sap", "flicker"}
_OF_A_MODEL = (
    *("video", "worst_frames", "report", "occlusion", "write_detections"),
    *("input", "max_frames", "weights", "labels", "config", "set", "baselines"),
)
_PACKAGES = {"video": ("av", "PIL"), "worst_frames": ("PIL",), "report": ("matplotlib", "PIL")}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-eval`."""
    return app.run(_evaluate, FLAGS, program="lstd-eval", description=__doc__, argv=argv)


def _evaluate(values: flags.FlagValues) -> None:
    from lstd.cli import eval_run

    options = _read(values)
    common.use_threads(values.threads)
    if values.detections:
        eval_run.score_files(values, options)
    else:
        eval_run.score_model(values, options)


def _read(values: flags.FlagValues) -> Options:
    """Returns what the flags say, where they can be and go together."""
    from lstd.cli.eval_run import Options
    from lstd.evaluation import baselines
    from lstd.evaluation.metrics import by_name

    _check_together(values)
    for name in values.schedule:
        schedule_names.check(name, where="--schedule")
    baselines.check(values.baselines, where="--baselines")
    if values.fps is not None and not 0 < values.fps < float("inf"):
        raise ValueError(f"--fps must be above 0, got {values.fps}")
    more = _REPORT_METRICS if values.report else ()
    options = Options(
        metrics=tuple(dict.fromkeys((*values.metrics, *more))),
        latencies=_latencies(values.latency),
        occlusion=_probabilities(values.occlusion),
        labels=common.labels_of(values),
    )
    fps = values.fps or (1.0 if values.annotations else None)  # a file may say it
    for name in options.metrics:
        by_name.factory(name, latencies=options.latencies, fps=fps)
    for flag, packages in _PACKAGES.items():  # otherwise it would show after hours
        for name in packages:
            if values[flag].value and importlib.util.find_spec(name) is None:
                raise ImportError(f"--{flag} needs {name}", name=name)
    return options


def _check_together(values: flags.FlagValues) -> None:
    if bool(values.model) == bool(values.detections):
        given = "both are" if values.model else "none is"
        raise ValueError(
            f"--model must be given, or --detections with --annotations: {given} here "
            "(lstd-eval --help says more)"
        )
    if bool(values.detections) != bool(values.annotations):
        raise ValueError("--detections and --annotations go together")
    for name in _OF_A_MODEL:
        if values.detections and values[name].value:
            raise ValueError(f"--{name} needs a model and its data, which --detections has not")
    if values.detections and len(values.schedule) > 1:
        raise ValueError("--schedule: one file of detections is of one schedule")
    if not values.metrics:
        raise ValueError("--metrics: give at least one")
    for name, names in (("metrics", values.metrics), ("schedule", values.schedule)):
        if len(set(names)) < len(names):
            raise ValueError(f"--{name} holds a name twice: {','.join(names)}")
    if values.against and not _COMPARABLE & set(values.metrics):
        from lstd.evaluation import bootstrap

        raise ValueError(f"--against: {bootstrap.NOTHING_TO_COMPARE}")


def _latencies(texts: Sequence[str]) -> dict[str, Any] | None:
    """Returns milliseconds by network, from the flag or the file that it names."""
    from lstd.evaluation.metrics import streaming

    if not texts:
        return None
    content: dict[str, Any] = {}
    if len(texts) == 1 and "=" not in texts[0]:
        content = documents.read_json(common.existing_file(texts[0], flag="--latency"), kind=dict)
        texts = ()
    for text in texts:
        network, _, value = text.partition("=")
        if network in content:
            raise ValueError(f"--latency: {network} is given twice; several go into a file")
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
        values = (-1.0,)
    if not all(0 <= value <= 1 for value in values) or len(set(values)) < len(values):
        raise ValueError(f"--occlusion: expected different numbers in [0, 1], got {list(texts)}")
    return values


if __name__ == "__main__":
    sys.exit(main())
