"""What `lstd-export` does: a model, a SavedModel or a finished file, and what flags say of it."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lstd.any_model import open_model
from lstd.any_model.open_model import Found
from lstd.base.close_names import close_neighbour
from lstd.cli import common
from lstd.config import schedule_names
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import pipeline, record_files
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.export import check_file, options, representative, tflite
from lstd.export.check_file import Expected
from lstd.export.saved_model import ExportReport
from lstd.media import video

_FRAMES = "--representative_data"
_OPTIONS = (  # flags that are options of the same name
    *("max_detections", "max_classes_per_detection", "detections_per_class", "use_regular_nms"),
    *("signature", "unroll_length", "input_type", "network", "schedule", "check_frames"),
    *("cell", "quantization", "state_type", "representative_data", "representative_frames"),
)


def export(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    """Writes a model into --output_directory."""
    source = _path_of(values)
    missing = [] if source else ["--model"]
    missing += [] if values.output_directory else ["--output_directory"]
    if source is None or missing:
        raise ValueError(f"{' and '.join(missing)} must be given (lstd-export --help says more)")
    asked = _asked(values)
    known = {name: value for name, value in asked.items() if name != "detections_per_class"}
    options.ExportOptions(**known)  # What cannot be is said before anything is loaded.
    notify(f"loading {source}")
    model, config = _load(source, values)
    asked = {**_defaults(config, asked), **asked}
    if values.representative_data:
        data = representative_data(values.representative_data, model, config.data)
        asked |= {"representative_data": data, "metric": CocoMetric}
    reports = tflite.export_all(model, values.output_directory, notify=notify, **asked)
    notify("done")
    _summarize(reports)


def convert(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    """Writes the `.tflite` of a SavedModel."""
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


def check(values: flags.FlagValues, notify: Callable[[str], None]) -> None:
    """Prints what a `.tflite` offers and how it does in each check."""
    if not values.check:
        raise ValueError("--check must name a .tflite")
    path = common.existing_file(values.check, flag="--check")
    expected = _expected(values, notify)
    found = check_file.inspect(path, expected=expected, frames=values.check_frames)
    print(f"{path}: {found.num_bytes:,} bytes", *found.entry_points, sep="\n")
    width = max(len(finding.check) for finding in found.findings)
    for name, verdict, detail in found.findings:
        print(f"{verdict:<12}  {name:<{width}}  {detail}")
    failed = [name for name, verdict, _ in found.findings if verdict == check_file.FAILED]
    if failed:
        raise ValueError(f"{path} does not pass: {', '.join(failed)}")
    for name, verdict, detail in found.findings:
        if name == "Keras" and expected is not None and verdict != check_file.OK:
            raise ValueError(f"{path} was not compared with the model: {detail}")
    passed = sum(finding.verdict == check_file.OK for finding in found.findings)
    print(f"{passed} checks passed, {len(found.findings) - passed} not possible")


def _asked(values: flags.FlagValues) -> dict[str, Any]:
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


def _expected(values: flags.FlagValues, notify: Callable[[str], None]) -> Expected | None:
    """Returns what a file is compared with, None where no model is given."""
    source = _path_of(values)
    if source is None:
        return None
    asked = _asked(values)
    quantization = "dynamic" if values.representative_data else "none"  # which the file tells
    options.ExportOptions(**{**asked, "quantization": quantization})
    notify(f"loading {source}")
    model, config = _load(source, values)
    schedule = values.schedule or None
    if schedule is not None:
        schedule_names.check_follows(schedule, model.networks)
    found = None
    if values.representative_data:
        data = representative_data(values.representative_data, model, config.data)
        found = representative.read(data, limit=values.representative_frames or 100)
    return Expected(model, asked["labels"], schedule, found)


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


def _path_of(values: flags.FlagValues) -> Path | None:
    """Returns what --model or --trained_checkpoint_prefix names; None: neither is given."""
    given = {values.model, values.trained_checkpoint_prefix} - {""}
    if len(given) > 1:
        raise ValueError(
            f"--model={values.model} and --trained_checkpoint_prefix="
            f"{values.trained_checkpoint_prefix} contradict each other; give one of them"
        )
    return Path(given.pop()) if given else None


def _load(path: Path, values: flags.FlagValues) -> tuple[Any, Config]:
    """Returns the model of a run folder, of weights or a checkpoint in one, or of the original."""
    flag = "--model" if values.model else "--trained_checkpoint_prefix"
    found = open_model.find(path, name=flag)
    if found.is_exported:
        raise ValueError(
            f"{flag}: {path} is no run folder, weights file or checkpoint (of the original: prefix "
            "or .npz): --saved_model_path converts a SavedModel of lstd, --check looks at a .tflite"
        )
    if found.config is None:
        config = open_model.config_of(found, values.config)
        stored = config = common.overridden(config, values)
    else:
        stored = open_model.config_of(found)
        config = common.config_of(values) if values.config else common.overridden(stored, values)
    weights = _weights(found, config, values)
    try:
        return open_model.load(found, config, weights), config
    except ValueError as error:
        if config.model == stored.model:
            raise
        flags_given = {
            f"--config={values.config}": values.config,
            f"--config_override={values.config_override!r}": values.config_override,
            f"--set {' '.join(values.set)}": values.set,
        }
        named = ", ".join(text for text, given in flags_given.items() if given)
        raise ValueError(
            f"{named}: the weights of {path} do not fit the model that this describes: {error}"
        ) from None


def _weights(found: Found, config: Config, values: flags.FlagValues) -> str:
    """Returns which weights to take; "" of what has only its own."""
    asked, named, path = values.moving_averages, values.weights, found.path
    wanted = config.evaluation.use_moving_averages if asked == "auto" else asked == "true"
    is_run, is_original, flag = found.kind == "run", found.kind == "original", f"--weights={named}"
    if is_original and named:
        raise ValueError(
            f"{flag} chooses among the files of a run folder, but {path} is a checkpoint of the "
            "original; --moving_averages chooses there"
        )
    if not is_run and not is_original:
        if named and path.name != f"{named}.weights.h5":
            raise ValueError(
                f"{flag} and {found.name}={path} contradict each other; leave --weights out, or "
                "give the folder"
            )
        flag, named = f"{found.name}={path}", path.name.removesuffix(".weights.h5")
    if named and asked != "auto" and (named == "average") != wanted:
        raise ValueError(
            f"--moving_averages={asked} and {flag} contradict each other; leave one of them out"
        )
    if named or not wanted:
        return named or "best" if is_run else ""
    file = path / "average.weights.h5"
    if not (file.is_file() if is_run else open_model.holds_averages(found)):
        follows = " follows evaluation.use_moving_averages of the config, which"
        raise ValueError(
            f"--moving_averages={asked}{follows if asked == 'auto' else ''} asks for the moving "
            f"averages, but {path} holds none; --moving_averages=false exports without"
        )
    return "average"


def representative_data(text: str, model: Any, data: DataConfig) -> Iterable[Any]:
    """Returns the clips of TFRecords, or the frames of a video or a folder of images.

    The text is what `--representative_data` names. The model says which size its frames have and
    how many classes there are, and the `data` section of its config how records are read.
    """
    path = Path(text)
    if path.is_dir() or path.suffix.lower() in video.SUFFIXES:
        return video.read_frames(
            path if path.is_dir() else common.existing_file(text, flag=_FRAMES)
        )
    record_files.find([text], where=_FRAMES)
    height, width, _ = model.input_shape_hwc
    # What `data.evaluation` says of its own files, and not of these.
    others = ("format", "subset", "images", "stills", "folders")
    whole = {field: getattr(DatasetConfig(), field) for field in others}
    split = dataclasses.replace(
        data.evaluation, input_path=(text,), batch_size=1, height=height, width=width, **whole
    )
    try:
        return pipeline.make_dataset(
            dataclasses.replace(data, evaluation=split), "evaluation", num_classes=model.num_classes
        )
    except ValueError as error:
        if not getattr(error, "keep_lines", False):
            raise
        raise ValueError(  # instead of a picture of every folder that lstd-data converts
            f"{_FRAMES}: {text} is neither TFRecords, nor a video file, nor a folder of images"
        ) from None
