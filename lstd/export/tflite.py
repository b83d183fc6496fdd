"""Writes a model, or a SavedModel of one, as a checked `.tflite` with JSON inside and beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from lstd.base import documents, label_map, tflite_metadata
from lstd.base.export_names import NETWORKS, SINGLE
from lstd.base.whole_file import whole_files
from lstd.config import schedule_names
from lstd.export import (
    compare,
    conversion,
    fidelity,
    file_format,
    interpreters,
    metadata,
    saved_model,
    self_check,
)
from lstd.export.compare import ExportCheckError
from lstd.export.fidelity import Fidelity
from lstd.export.form import Reference
from lstd.export.module import ExportModule
from lstd.export.options import ExportOptions
from lstd.export.representative import Frame
from lstd.export.saved_model import ExportReport, LoadedExport, Notify, OperatorCount

NAMES = ("saved_model", "model.tflite", "model.json")
"""What `export_all` writes."""


def export_tflite(
    model: Any,
    path: str | os.PathLike[str],
    *,
    notify: Notify = lambda line: None,
    **asked: Any,
) -> ExportReport:
    """Writes a model as one `.tflite` with JSON beside it, and checks it against the model.

    The file has the entry points of `lstd.export`; they share the weights. The JSON stands inside
    of it (`tflite_metadata`) and beside it, under the name of the file with `.json` at its
    end; `lstd.export.metadata` says what it holds.

    Args:
        model: an `LSTMSSD`.
        path: the file; one that stands there is replaced, and its JSON too.
        notify: is told each step.
        **asked: the attributes of `lstd.export.options.ExportOptions`: max_detections,
            max_classes_per_detection, detections_per_class, use_regular_nms, postprocessing,
            signature, input_type, network, unroll_length, schedule, labels, check_frames,
            quantization, representative_data, representative_frames, metric, cell, state_type.

    Returns:
        What was written, and how far it is from the model.

    Raises:
        ValueError: an option is out of range or contradicts another, or representative data does
            not fit; the message names it and the allowed values.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the model, lacks the post-processing op, or runs
            without XNNPACK. Nothing was written then.
    """
    options_asked, path = ExportOptions(**asked).for_model(model), Path(path)
    ready = saved_model.prepared(model, options_asked)
    with whole_files(path.parent, _names_of(path)) as temporary:
        report = _write_module(*ready, options_asked, temporary / path.name, notify=notify)
    return report._replace(path=path)


def export_all(
    model: Any,
    output_directory: str | os.PathLike[str],
    *,
    notify: Notify = lambda line: None,
    **asked: Any,
) -> tuple[ExportReport, ExportReport]:
    """Writes SavedModel, `.tflite` and JSON of a model in one folder, and returns both reports.

    Files of an earlier export are replaced, or nothing is. The SavedModel is always in float32.
    Arguments and errors are those of `export_tflite`.
    """
    options_asked = ExportOptions(**asked).for_model(model)
    folder = Path(output_directory)
    module, labels, frames = saved_model.prepared(model, options_asked)
    with whole_files(folder, NAMES) as temporary:
        places = [temporary / name for name in NAMES[:2]]
        saved = saved_model.write(module, labels, options_asked, places[0], notify=notify)
        lite = _write_module(module, labels, frames, options_asked, places[1], notify=notify)
    return saved._replace(path=folder / NAMES[0]), lite._replace(path=folder / NAMES[1])


def convert_saved_model(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    labels: tuple[str, ...] = (),
    schedule: str | None = None,
    check_frames: int = compare.FRAMES,
    notify: Notify = lambda line: None,
) -> ExportReport:
    """Writes a SavedModel of ours as a `.tflite` with JSON, as it is and checked against it.

    Args:
        folder: that `export_saved_model` or `lstd-export` wrote.
        path: the file; one that stands there is replaced, and its JSON too.
        labels: class names for the JSON; empty: those of the SavedModel.
        schedule: that the JSON recommends; None: that of the SavedModel.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Raises:
        ValueError: it is no SavedModel of ours, or a value that does not fit it.
        OSError, ExportCheckError: as of `export_tflite`.
    """
    asked = ExportOptions(
        labels=labels, schedule=schedule, check_frames=check_frames, cell="separate"
    )
    path = Path(path)
    names = _names_of(path)
    loaded = LoadedExport(folder)
    checked = label_map.or_numbers(labels or loaded.labels, num_classes=len(loaded.labels))
    facts = {**loaded.facts, "labels": list(checked)}
    if schedule is not None:
        networks = ("large",) if SINGLE in loaded.entry_points else NETWORKS
        schedule_names.check_follows(schedule, networks)
        if loaded.form.is_clip:
            raise ValueError(
                f"schedule: this SavedModel is a clip, unrolled by {loaded.schedule}; export it "
                "again for another schedule"
            )
        rule = metadata.schedule_facts(schedule, entry_points=tuple(loaded.entry_points))
        facts = {**facts, "schedule": rule}
    with whole_files(path.parent, names) as temporary:
        notify("converting to TFLite")
        content = conversion.convert(os.fspath(folder), loaded)
        report = _write(content, loaded, temporary / path.name, facts, asked, notify=notify)
    return report._replace(path=path)


def _names_of(path: Path) -> tuple[str, str]:
    if path.suffix == ".json":
        raise ValueError(f"{path}: the name ends in .json, which is for the metadata beside it")
    return path.name, path.with_suffix(".json").name


def _write_module(
    module: ExportModule,
    labels: tuple[str, ...],
    frames: list[Frame] | None,
    asked: ExportOptions,
    path: Path,
    *,
    notify: Notify,
) -> ExportReport:
    """Converts a model, checks the result and writes it; the caller minds the place."""
    quantization, number = asked.quantization, len(frames or ())
    measured = f", ranges from {number} frames" if quantization == "int8" and frames else ""
    how = "" if quantization == "none" else f" in {quantization}{measured}"
    notify(f"tracing the entry points and converting to TFLite{how}")
    content = conversion.content_of(
        module,
        quantization=quantization,
        frames=frames,
        cell=asked.cell_form,
        state_type=asked.state_type or "float32",
    )
    found = None
    if quantization != "none":
        notify(f"checking the .tflite against the model on {number or 'pattern'} frames")
        found = self_check.check_quantized(content, module, asked, frames, labels)
    facts = metadata.facts_of(module, labels=labels)
    if found is not None:
        facts["fidelity"] = {
            **found._asdict(),
            "frames_are": "representative data" if frames else "a test pattern",
            "metrics": {
                name: {"float32": ours, "file": theirs}
                for name, (ours, theirs) in found.metrics.items()
            },
        }
    return _write(content, module, path, facts, asked, found, notify=notify)


def _write(
    content: bytes,
    reference: Reference,
    path: Path,
    facts: dict[str, Any],
    asked: ExportOptions,
    found: Fidelity | None = None,
    *,
    notify: Notify,
) -> ExportReport:
    """Checks a converted file, unless that is `found` already, and writes it with its JSON."""
    frames, differences = asked.check_frames, {}
    self_check.require_own_outputs(content)
    if asked.quantization == "float16":
        self_check.require_float16(content)
    if found is None:
        notify("checking the .tflite against the model, with XNNPACK and without")
        differences = self_check.check_tflite(content, reference, frames=frames)
    try:
        worst = self_check.compare_compiled(content, reference, frames=frames)
        compiled = f"within {worst:.1e}"
    except interpreters.NotInstalled as reason:
        compiled = f"not checked: {reason}"
    notify(f"CompiledModel against the interpreter: {compiled}")
    outside = interpreters.outside_delegate(content)
    notify("writing the metadata with a golden frame")
    facts = {
        **facts,
        "quantization": asked.quantization,
        "cell": asked.cell_form,
        "outside_delegate": {name: list(operators) for name, operators in outside.items()},
    }
    facts = metadata.completed(
        facts,
        reference,
        name=path.name,
        content=content,
        # As the file is meant to be run: int8 is not the same to the last bit without the delegate.
        step=interpreters.step(content, xnnpack=found is not None),
        differences=differences,
        tolerance=fidelity.LIMITS.get(asked.quantization, compare.TOLERANCE),
    )
    facts["self_check"]["compiled_model"] = compiled
    final = tflite_metadata.embed(content, metadata.as_text(facts))
    told = documents.from_json(tflite_metadata.read_from(final) or "", source=path.name, kind=dict)
    if not tflite_metadata.is_whole(final):
        raise ExportCheckError("the metadata cannot be read back out of the .tflite")
    self_check.require_postprocessing(final, reference)
    hidden = self_check.require_delegate(final)
    path.write_bytes(final)
    digest = hashlib.sha256(final).hexdigest()
    told["file"] |= {"bytes": len(final), "sha256": digest}
    path.with_suffix(".json").write_text(metadata.as_text(told), encoding="utf-8")
    operators = {
        name: OperatorCount(len(point.operators), hidden[name])
        for name, point in file_format.entry_points(final).items()
    }
    return ExportReport(
        path, len(final), tuple(reference.entry_points), differences, operators, found, outside
    )
