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
from lstd.cli import app, common, eval_options, eval_run

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
        "Write side_by_side.mp4, a panel for each schedule; with --against a row for each model."
    ),
    "worst_frames": app.whole("Write worst_frames_SCHEDULE.png with so many.", 0, least=0),
    "report": app.switch(
        "Write report.html: tables, curves, and the worst frames and the video where asked for. "
        "Adds coco, distance and confusion to what is measured."
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of `lstd-eval`."""
    return app.run(_evaluate, FLAGS, program="lstd-eval", description=__doc__, argv=argv)


def _evaluate(values: flags.FlagValues) -> None:
    options = eval_options.read(values)
    common.use_threads(values.threads)
    if values.detections:
        eval_run.score_files(values, options)
    else:
        eval_run.score_model(open_model.find(values.model, name="--model"), values, options)


if __name__ == "__main__":
    sys.exit(main())
