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

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.base.close_names import close_neighbour
from lstd.cli import app, common, export_model
from lstd.config import schedule_names

if TYPE_CHECKING:
    from lstd.config.config import Config
    from lstd.export.check_file import Expected
    from lstd.export.saved_model import ExportReport

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
# Flags that are options of the same name.
_OPTIONS = (
    *("max_detections", "max_classes_per_detection", "detections_per_class", "use_regular_nms"),
    *("signature", "unroll_length", "input_type", "network", "schedule", "check_frames"),
    *_OF_LITE,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    common.end_quietly()  # LiteRT's CompiledModel, of the self-check
    return app.run(_run, FLAGS, program="lstd-export", description=__doc__, argv=argv)


def _run(values: flags.FlagValues) -> None:
    start = time.monotonic()

    def notify(line: str) -> None:
        print(f"{time.monotonic() - start:5.1f} s  {line}", flush=True)

    if values["check"].present:
        _refuse_others(values, "check")
        _check(values, notify)
    elif values["saved_model_path"].present or values["export_path"].present:
        for name in ("saved_model_path", "export_path"):
            if not values[name].value:
                raise ValueError(
                    f"--saved_model_path and --export_path belong together; --{name} is missing"
                )
        _refuse_others(values, "saved_model_path")
        _convert(values, notify)
    else:
        _export(values, notify)


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


def _export(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    from lstd.export import tflite
    from lstd.export.options import ExportOptions

    source = export_model.path_of(values)
    missing = [] if source else ["--model"]
    missing += [] if values.output_directory else ["--output_directory"]
    if source is None or missing:
        raise ValueError(f"{' and '.join(missing)} must be given (lstd-export --help says more)")
    asked = _asked(values)
    known = {name: value for name, value in asked.items() if name != "detections_per_class"}
    ExportOptions(**known)  # What cannot be is said before anything is loaded.
    notify(f"loading {source}")
    model, config = export_model.load(source, values)
    asked = {**_defaults(config, asked), **asked, **_data(values, model, config)}
    reports = tflite.export_all(model, values.output_directory, notify=notify, **asked)
    notify("done")
    _summarize(reports)


def _asked(values: flags.FlagValues) -> dict[str, Any]:
    from lstd.export import options

    given = {name: values[name].value for name in _OPTIONS}
    given["postprocessing"] = values.add_postprocessing_op
    given["labels"] = options.read_labels(values.labels)
    return {name: value for name, value in given.items() if value is not None and value != ""}


def _defaults(config: Config, asked: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that a config gives where flags do not, those that have an effect."""
    found: dict[str, Any] = {}
    if asked["postprocessing"]:
        found = dataclasses.asdict(config.export)
        if not asked.get("use_regular_nms", config.export.use_regular_nms):
            del found["detections_per_class"]
    if asked["signature"] == "clip":
        found["unroll_length"] = config.data.evaluation.unroll_length
    return {name: value for name, value in found.items() if name not in asked}


def _data(values: flags.FlagValues, model: Any, config: Config) -> dict[str, Any]:
    """Returns the representative data that a flag names, with the metric for them."""
    if not values.representative_data:
        return {}
    from lstd.evaluation.metrics.coco import CocoMetric

    data = export_model.representative_data(values.representative_data, model, config.data)
    return {"representative_data": data, "metric": CocoMetric}


def _convert(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    from lstd.export import options, tflite

    folder = Path(values.saved_model_path)
    if not folder.is_dir():
        close = "; it is a file" if folder.exists() else close_neighbour(folder)
        raise ValueError(f"--saved_model_path: no folder {folder}{close}")
    if Path(values.export_path).is_dir():
        raise ValueError(
            f"--export_path: {values.export_path} is a folder, expected the name of a .tflite"
        )
    notify(f"loading {folder}")
    report = tflite.convert_saved_model(
        values.saved_model_path,
        values.export_path,
        labels=options.read_labels(values.labels),
        schedule=values.schedule or None,
        check_frames=values.check_frames,
        notify=notify,
    )
    notify("done")
    _summarize([report])


def _summarize(reports: Sequence[ExportReport]) -> None:
    for report in reports:
        print(
            f"{report.path}: {report.num_bytes:,} bytes ({report.num_bytes / 1e6:.1f} MB), "
            f"entry points {', '.join(report.entry_points)}"
        )
        for name, count in report.operators.items():
            print(f"  {name}: {count.total} operators, XNNPACK runs at least {count.delegated}")
        for ran, differences in report.differences.items():
            worst = max(differences, key=lambda name: differences[name])
            print(f"  {ran}: within {differences[worst]:.1e} of the model ({worst})")
            print("    " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
        if report.fidelity is not None:
            print(f"  {report.fidelity.sentence()}")
        for name, operators in report.outside_delegate.items():
            if operators:
                print(f"  {name}: outside XNNPACK, slower: {', '.join(operators)}")


def _check(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    """Prints what a `.tflite` offers and how it does in each check.

    Raises:
        ValueError: it cannot be looked at, a check failed, or it was not compared with the model.
    """
    if not values.check:
        raise ValueError("--check must name a .tflite")
    path = common.existing_file(values.check, flag="--check")
    expected = _expected(values, notify)

    from lstd.export import check_file

    found = check_file.inspect(path, expected=expected, frames=values.check_frames)
    print(f"{path}: {found.num_bytes:,} bytes", *found.entry_points, sep="\n")
    width = max(len(finding.check) for finding in found.findings)
    for check, verdict, detail in found.findings:
        print(f"{verdict:<12}  {check:<{width}}  {detail}")
    failed = [check for check, verdict, _ in found.findings if verdict == check_file.FAILED]
    if failed:
        raise ValueError(f"{path} does not pass: {', '.join(failed)}")
    for check, verdict, detail in found.findings:
        if check == "Keras" and expected is not None and verdict != check_file.OK:
            raise ValueError(f"{path} was not compared with the model: {detail}")
    passed = sum(finding.verdict == check_file.OK for finding in found.findings)
    print(f"{passed} checks passed, {len(found.findings) - passed} not possible")


def _expected(values: flags.FlagValues, notify: Callable[[str], None]) -> Expected | None:
    """Returns what a file is compared with, None where no model is given."""
    source = export_model.path_of(values)
    if source is None:
        useless = [name for name in (*_OF_A_MODEL, *_OF_A_FILE) if values[name].present]
        if useless:
            raise ValueError(
                f"--{useless[0]} says what the file is compared with, so that --model must be "
                "given too"
            )
        return None
    from lstd.export import options, representative
    from lstd.export.check_file import Expected

    asked = _asked(values)
    quantization = "dynamic" if values.representative_data else "none"  # which the file tells
    options.ExportOptions(**{**asked, "quantization": quantization})
    notify(f"loading {source}")
    model, config = export_model.load(source, values)
    schedule = values.schedule or None
    if schedule is not None:
        schedule_names.check_follows(schedule, model.networks)
    found = None
    if data := _data(values, model, config).get("representative_data"):
        found = representative.read(data, limit=values.representative_frames or 100)
    return Expected(model, asked["labels"], schedule, found)


if __name__ == "__main__":
    sys.exit(main())
