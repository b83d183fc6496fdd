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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lstd.base.close_names import close_neighbour
from lstd.cli import app, common, export_check, export_flags, export_model, representative_data
from lstd.cli.export_flags import LIMITS

if TYPE_CHECKING:
    from lstd.config.config import Config
    from lstd.export import lite_plan
    from lstd.export.saved_model import ExportReport

# Flags of one way to use the command, beside those that all of them take.
_OF_A_MODEL = (
    "model",
    "trained_checkpoint_prefix",
    "config",
    "pipeline_config_path",
    "config_override",
    "set",
    "weights",
    "moving_averages",
)
_OF_ALL = ("check_frames", "help", "version", "version_report")
_OF_LITE = ("cell", "quantization", "representative_data", "representative_frames")
_OF_A_FILE = ("labels", "schedule", "representative_data", "representative_frames")
_WAYS = {
    "check": ("check", *_OF_A_MODEL, *_OF_A_FILE),
    "saved_model_path": ("saved_model_path", "export_path", "labels", "schedule"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    common.end_quietly()  # LiteRT's CompiledModel, of the self-check
    return app.run(_run, export_flags.FLAGS, program="lstd-export", description=__doc__, argv=argv)


def _run(values: flags.FlagValues) -> None:
    start = time.monotonic()

    def notify(line: str) -> None:
        print(f"{time.monotonic() - start:5.1f} s  {line}", flush=True)

    if values["check"].present:
        _refuse_others(values, "check")
        _check(values, notify)
    elif values["saved_model_path"].present or values["export_path"].present:
        missing = [name for name in ("saved_model_path", "export_path") if not values[name].value]
        if missing:
            raise ValueError(
                f"--saved_model_path and --export_path belong together; --{missing[0]} is missing"
            )
        _refuse_others(values, "saved_model_path")
        _convert(values, notify)
    else:
        _export(values, notify)


def _refuse_others(values: flags.FlagValues, way: str) -> None:
    """Raises where flags were given that this way of using the command does not look at."""
    allowed = {*_WAYS[way], *_OF_ALL}
    names = {values[name].name for name in values}
    others = sorted(name for name in names if values[name].present and name not in allowed)
    of_lite = [name for name in _OF_LITE if name in others]
    if way == "saved_model_path" and others == of_lite and of_lite:
        raise ValueError(
            f"--saved_model_path and {', '.join(f'--{name}' for name in of_lite)} contradict each "
            "other: a SavedModel is converted as it is, in float32 with a separate cell; give "
            "--model and --output_directory"
        )
    if others:
        raise ValueError(
            f"--{way} and {', '.join(f'--{name}' for name in others)} contradict each other: "
            + _WHY[way]
        )


_WHY = {
    "check": "it looks at a file that is there, and exports nothing",
    "saved_model_path": "the SavedModel decides that already; set it where it is exported",
}


def _check(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    if not values.check:
        raise ValueError("--check must name a .tflite")
    path = common.existing_file(values.check, flag="--check")
    source = export_model.path_of(values)
    if source is None:
        useless = [name for name in (*_OF_A_MODEL, *_OF_A_FILE) if values[name].present]
        if useless:
            raise ValueError(
                f"--{useless[0]} says what the file is compared with, so that --model must be "
                "given too"
            )
        export_check.run(path, expected=None, frames=values.check_frames)
        return
    from lstd.export import class_names, form, representative
    from lstd.export.own_file import Expected

    labels = class_names.read(values.labels)
    _refuse_without_effect(values)
    notify(f"loading {source}")
    model, config = export_model.load(source, values)
    schedule = values.schedule or None
    form.check_schedule(schedule, backbones=len(model.networks))
    found = None
    if values.representative_data:
        data = representative_data.open_data(values.representative_data, model, config.data)
        found = representative.read(data, limit=values.representative_frames)
    expected = Expected(model, labels, schedule, found)
    export_check.run(path, expected=expected, frames=values.check_frames)


def _convert(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    from lstd.export import class_names, conversion

    folder = Path(values.saved_model_path)
    if not folder.is_dir():
        close = "; it is a file" if folder.exists() else close_neighbour(folder)
        raise ValueError(f"--saved_model_path: no folder {folder}{close}")
    if Path(values.export_path).is_dir():
        raise ValueError(
            f"--export_path: {values.export_path} is a folder, expected the name of a .tflite"
        )
    notify(f"loading {folder}")
    report = conversion.convert_saved_model(
        values.saved_model_path,
        values.export_path,
        labels=class_names.read(values.labels),
        schedule=values.schedule or None,
        check_frames=values.check_frames,
        notify=notify,
    )
    notify("done")
    _summarize([report])


def _export(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    from lstd.config import schedule_names
    from lstd.export import bundle, class_names, quantization

    source = export_model.path_of(values)
    missing = [] if source else ["--model"]
    missing += [] if values.output_directory else ["--output_directory"]
    if source is None or missing:
        raise ValueError(f"{' and '.join(missing)} must be given (lstd-export --help says more)")
    labels = class_names.read(values.labels)
    if values.schedule:
        schedule_names.check(values.schedule, where="--schedule")
    _refuse_without_effect(values)
    quantization.check(values.quantization, values.representative_data or None)
    notify(f"loading {source}")
    model, config = export_model.load(source, values)
    reports = bundle.export_all(
        model,
        values.output_directory,
        **_postprocessing(values, config),
        **_form(values, config),
        plan=_plan(values, model, config),
        schedule=values.schedule or None,
        labels=labels,
        check_frames=values.check_frames,
        notify=notify,
    )
    notify("done")
    _summarize(reports)


def _refuse_without_effect(values: flags.FlagValues) -> None:
    """Raises where a flag would change nothing because of another one."""
    if not values.add_postprocessing_op:
        given = [name for name in (*LIMITS, "use_regular_nms") if values[name].value]
        if given:
            raise ValueError(
                f"--noadd_postprocessing_op and {', '.join(f'--{name}' for name in given)} "
                "contradict each other: raw output is not post-processed"
            )
    if values["unroll_length"].present and values.signature == "streaming":
        raise ValueError(
            "--unroll_length is the length of a clip, but --signature=streaming takes one frame; "
            "leave it out, or say --signature=clip"
        )
    if values.quantization == "int8" and not values.representative_data:
        raise ValueError(
            "--quantization=int8 needs --representative_data: TFRecords, a video or a folder of "
            "images of your own, from which the ranges of all values are measured"
        )
    if values["representative_frames"].present and not values.representative_data:
        raise ValueError(
            "--representative_frames counts those of --representative_data, which is missing; give "
            "both, or neither"
        )
    if values.signature == "clip" and values.cell == "fused":
        raise ValueError(
            "--cell=fused and --signature=clip contradict each other: a clip has the memory as the "
            "layers are; leave one of them out"
        )


def _plan(values: flags.FlagValues, model: Any, config: Config) -> lite_plan.Plan:
    """Returns how the `.tflite` is made, with the representative frames read."""
    from lstd.evaluation.metrics.coco import CocoMetric
    from lstd.export import lite_plan

    data = None
    if values.representative_data:
        data = representative_data.open_data(values.representative_data, model, config.data)
    return lite_plan.plan_of(
        quantization=values.quantization,
        representative_data=data,
        representative_frames=values.representative_frames,
        metric=CocoMetric,
        cell=values.cell,
        signature=values.signature,
    )


def _postprocessing(values: flags.FlagValues, config: Config) -> dict[str, Any]:
    """Returns the options of the post-processing, from flags or the config.

    Raises:
        ValueError: `--detections_per_class` in the mode that does not look at it.
    """
    given = {name: values[name].value for name in (*LIMITS, "use_regular_nms")}
    options = {
        name: getattr(config.export, name) if value is None else value
        for name, value in given.items()
    }
    per_class = given["detections_per_class"]
    if per_class not in (None, config.export.detections_per_class) and (
        not options["use_regular_nms"]
    ):
        raise ValueError(
            f"--detections_per_class={per_class} has an effect only with --use_regular_nms; give "
            "both, or neither"
        )
    return {**options, "postprocessing": values.add_postprocessing_op}


def _form(values: flags.FlagValues, config: Config) -> dict[str, Any]:
    length = None
    if values.signature == "clip":
        length = values.unroll_length or config.data.evaluation.unroll_length
    return {
        "signature": values.signature,
        "unroll_length": length,
        "input_type": values.input_type,
        "network": values.network,
    }


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


if __name__ == "__main__":
    sys.exit(main())
