"""Measures a detector on annotated video, the state carried through each video.

Examples:
  lstd-eval --model runs/one --schedule LARGE,SKIP3,SKIP9 --metrics coco,vid
  lstd-eval --model model.tflite --input 'val*.tfrecord' --against runs/two
  lstd-eval --detections theirs.json --annotations truth.json

A table goes to stdout; results.json, results.csv and the detections in COCO's form go to
--output_directory. The frames have the size that the data pipeline gives them, which is
what small, medium and large refer to. docs/metrics.md defines every number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from lstd.any_model import open_model
from lstd.cli import common, eval_options, eval_run


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-eval`."""
    values = flags.FlagValues()
    common.define(values, "model", "config", "output_directory", "threads", "set")
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
        "evaluation.use_moving_averages says so and there are any.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "input",
        [],
        "TFRecord files, or data sets as they are (docs/data.md), * and ? allowed, with commas "
        "between them; default: the config's data.evaluation.input_path.",
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
        "Of coco, vid, vid_ap50, sap, distance, confusion, flicker.",
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
        "video",
        False,
        "Write side_by_side.mp4, a panel for each schedule; with --against a row for each model.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "worst_frames",
        0,
        "Write worst_frames_SCHEDULE.png with so many.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "report",
        False,
        "Write report.html: tables, curves, and the worst frames and the video where asked for. "
        "Adds coco, distance and confusion to what is measured.",
        flag_values=values,
    )


def _evaluate(values: flags.FlagValues) -> None:
    options = eval_options.read(values)
    common.use_threads(values.threads)
    if values.detections:
        eval_run.score_files(values, options)
    else:
        eval_run.score_model(open_model.find(values.model, name="--model"), values, options)


if __name__ == "__main__":
    sys.exit(main())
