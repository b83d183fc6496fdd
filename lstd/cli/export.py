"""Writes a trained model as a SavedModel and as one .tflite with named entry points.

    lstd-export --model runs/bicycle --output_directory exported/bicycle
    lstd-export --config old.config --model old/model.ckpt-9 --output_directory exported/old

In the output directory: `saved_model/`, `model.tflite`, and `model.json` with all that an app
needs to know, which the .tflite carries inside as well. The entry points `large` and `small`
(`step` where there is one backbone) take one frame and the LSTM state, and return detections and
the new state; with --signature clip there is one, `clip`, for a clip of fixed length. Before
anything appears there, the files are run over a few frames and compared with the model.

In two steps: the first as above, the second makes a .tflite of the SavedModel again.

    lstd-export --saved_model_path exported/bicycle/saved_model --export_path bicycle.tflite

A .tflite that is already there, of ours or of others:

    lstd-export --check exported/bicycle/model.tflite --model runs/bicycle
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from absl import flags

from lstd.cli import app, common

_LIMITS = {
    "max_detections": "Objects returned for a frame at most.",
    "max_classes_per_detection": "Classes returned for each object, best first.",
    "detections_per_class": "Boxes kept for one class; only with --use_regular_nms.",
}
FLAGS: app.Flags = {
    **common.flags("config"),
    "model": app.text(
        "Run folder, weights file or checkpoint of one, or prefix or .npz of a checkpoint of the "
        "original, which needs --config."
    ),
    "trained_checkpoint_prefix": app.text("The same as --model, by the original's name."),
    "weights": app.choice(
        "Which weights of the run folder. Not given: average or best, as --moving_averages says.",
        ("best", "last", "average"),
    ),
    "moving_averages": app.choice(
        "Export the moving averages of the weights; auto: where evaluation.use_moving_averages of "
        "the config says so.",
        ("auto", "true", "false"),
        "auto",
    ),
    **common.flags("output_directory", "schedule", "config_override", "set"),
    **{
        name: app.whole(f"{text} Not given: export.{name} of the config.", least=1)
        for name, text in _LIMITS.items()
    },
    "use_regular_nms": app.switch(
        "Suppress overlapping boxes class by class, not all classes together, which is faster.",
        default=None,
    ),
    "add_postprocessing_op": app.switch(
        "Return detections; without it the raw output and the anchors.", default=True
    ),
    "labels": app.text("Class names: a text file, one in a line, a label map (.pbtxt), or a,b,c."),
    "signature": app.choice(
        "streaming: one frame and the state; clip: a clip of fixed length, unrolled.",
        ("streaming", "clip"),
        "streaming",
    ),
    "unroll_length": app.whole(
        "Frames of a clip. Not given: data.evaluation.unroll_length of the config.", least=1
    ),
    "input_type": app.choice(
        "Type of the frames, 0 to 255 in both.", ("float32", "uint8"), "float32"
    ),
    "network": app.choice(
        "Export both networks, or one alone.", ("both", "large", "small"), "both"
    ),
    "quantization": app.choice(
        "How the .tflite stores and computes numbers; the SavedModel stays in float32.",
        ("none", "dynamic", "float16", "int8"),
        "none",
    ),
    "representative_data": app.text(
        "Your own frames for --quantization, or for --check of such a file: TFRecords (* and ? are "
        "allowed), a video file, or a folder of images. int8 of a model trained in float32 needs "
        "them; with ground truth in them AP is reported."
    ),
    "representative_frames": app.whole(
        "How many of these frames are used at most, from the first on. Not given: 100.", least=1
    ),
    "cell": app.choice(
        "Form of the memory in the .tflite: fused is the fastest with XNNPACK, separate is for "
        "runtimes whose grouped convolutions are slow. Not given: fused, in a clip separate.",
        ("fused", "separate"),
    ),
    "state_type": app.choice(
        "In which the state goes in and out of the .tflite of a model trained in 8 bits "
        "(train.quantization). Not given: int8; that of any other model is float32.",
        ("float32", "int8"),
    ),
    "check_frames": app.whole(
        "Frames that the self-check runs with the state carried.", 4, least=3
    ),
    "saved_model_path": app.text("A SavedModel of lstd to convert."),
    "export_path": app.text("The .tflite that --saved_model_path becomes."),
    "check": app.text("A .tflite to look at; nothing is written."),
}
_OF_A_MODEL = (
    *("model", "trained_checkpoint_prefix", "config", "pipeline_config_path", "config_override"),
    *("set", "weights", "moving_averages"),
)
_OF_LITE = ("cell", "quantization", "state_type", "representative_data", "representative_frames")
_OF_A_FILE = ("labels", "schedule", "representative_data", "representative_frames")
_OF_ALL = ("check_frames", "help", "version", "version_report")
# The flags that go with one of these, and why no others do.
_WAYS = {
    "check": (
        ("check", *_OF_A_MODEL, *_OF_A_FILE),
        "it looks at a file that is there, and exports nothing",
    ),
    "saved_model_path": (
        ("saved_model_path", "export_path", "labels", "schedule"),
        "the SavedModel decides that already; set it where it is exported",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    common.end_quietly()  # LiteRT's CompiledModel, of the self-check
    return app.run(_run, FLAGS, program="lstd-export", description=__doc__, argv=argv)


def _run(values: flags.FlagValues) -> None:
    from lstd.cli import export_run

    start = time.monotonic()

    def notify(line: str) -> None:
        print(f"{time.monotonic() - start:5.1f} s  {line}", flush=True)

    if values["check"].present:
        _refuse_others(values, "check")
        for name in (*_OF_A_MODEL, *_OF_A_FILE):
            if values[name].present and not (values.model or values.trained_checkpoint_prefix):
                raise ValueError(
                    f"--{name} says what the file is compared with, so that --model must be given "
                    "too"
                )
        export_run.check(values, notify)
    elif values["saved_model_path"].present or values["export_path"].present:
        for name in ("saved_model_path", "export_path"):
            if not values[name].value:
                raise ValueError(
                    f"--saved_model_path and --export_path belong together; --{name} is missing"
                )
        _refuse_others(values, "saved_model_path")
        export_run.convert(values, notify)
    else:
        export_run.export(values, notify)


def _refuse_others(values: flags.FlagValues, way: str) -> None:
    """Raises where flags were given that this way of using the command does not look at."""
    allowed, why = _WAYS[way]
    names = {values[name].name for name in values} - {*allowed, *_OF_ALL}
    others = sorted(name for name in names if values[name].present)
    if way == "saved_model_path" and set(others) <= set(_OF_LITE):
        why = (
            "a SavedModel is converted as it is, in float32 with a separate cell; give --model and "
            "--output_directory"
        )
    if others:
        raise ValueError(
            f"--{way} and {', '.join(f'--{name}' for name in others)} contradict each other: {why}"
        )


if __name__ == "__main__":
    sys.exit(main())
