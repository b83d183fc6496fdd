"""From a model or a SavedModel to a checked `.tflite`, with JSON inside and beside it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from lstd.base import documents, tflite_metadata
from lstd.export import (
    check,
    fidelity,
    file_format,
    interpreters,
    metadata,
    postprocessing_op,
    representative,
    streams,
)
from lstd.export import quantization as quantizations
from lstd.export.fidelity import Fidelity
from lstd.export.lite_module import LiteModule
from lstd.export.lite_plan import FROM_SAVED_MODEL, Plan
from lstd.export.module import ExportModule
from lstd.export.reference import Reference
from lstd.export.saved_model import ExportReport, Notify, OperatorCount, Prepared
from lstd.export.streams import ExportCheckError


def names_of(path: Path) -> tuple[str, str]:
    """Returns the names of a `.tflite` and of the JSON beside it.

    Raises:
        ValueError: the file has the name that the JSON needs.
    """
    if path.suffix == ".json":
        raise ValueError(f"{path}: the name ends in .json, which is for the metadata beside it")
    return path.name, path.with_suffix(".json").name


def write_module(ready: Prepared, path: Path, *, plan: Plan, notify: Notify) -> ExportReport:
    """Converts a model, checks the result and writes it with its JSON; see `write`."""
    module, labels, frames = ready
    notify("tracing the entry points")
    with tempfile.TemporaryDirectory(prefix="lstd-export-") as folder:
        lite = LiteModule(module, cell=plan.cell, sliced=quantizations.slices(plan.quantization))
        tf.saved_model.save(lite, folder, signatures=lite.signatures())
        notify(_converting(plan))
        content = convert(folder, module, plan=plan)
    found = None
    if plan.quantization != "none":
        number = len(plan.frames) if plan.frames else 0
        notify(f"checking the .tflite against the model on {number or 'pattern'} frames")
        found = check.check_quantized(
            content,
            module,
            fidelity.raw_step(module),
            quantization=plan.quantization,
            frames=plan.frames,
            metric=plan.metric,
            labels=labels,
        )
    facts = metadata.facts_of(module, labels=labels)
    return _write(content, module, path, facts, plan, found, notify=notify, frames=frames)


def write(
    module: Reference,
    saved_model: str,
    path: Path,
    *,
    facts: dict[str, Any],
    notify: Notify,
    frames: int = streams.FRAMES,
) -> ExportReport:
    """Converts a SavedModel as it is, checks the result and writes it with its JSON.

    Args:
        module: what the SavedModel was made from, or is.
        saved_model: the folder.
        path: the file; the caller takes care of the place.
        facts: see `metadata.facts_of`.
        notify: is told each step.
        frames: that the self-check runs at least.
    """
    notify(_converting(FROM_SAVED_MODEL))
    content = convert(saved_model, module, plan=FROM_SAVED_MODEL)
    return _write(
        content, module, path, facts, FROM_SAVED_MODEL, None, notify=notify, frames=frames
    )


def _write(
    content: bytes,
    module: Reference,
    path: Path,
    facts: dict[str, Any],
    plan: Plan,
    found: Fidelity | None,
    *,
    notify: Notify,
    frames: int,
) -> ExportReport:
    """Checks a converted file, unless that is `found` already, and writes it with its JSON."""
    check.require_own_outputs(content)
    if plan.quantization == "float16":
        check.require_float16(content)
    differences = {}
    if found is None:
        notify("checking the .tflite against the model, with XNNPACK and without")
        differences = check.check_tflite(content, module, frames=frames)
    try:
        compiled = f"within {check.compare_compiled(content, module, frames=frames):.1e}"
    except interpreters.NotInstalled as reason:
        compiled = f"not checked: {reason}"
    notify(f"CompiledModel against the interpreter: {compiled}")
    outside = interpreters.outside_delegate(content)
    notify("writing the metadata with a golden frame")
    # As the file is meant to be run: int8 is not the same to the last bit without the delegate.
    interpreter = interpreters.make(content, xnnpack=found is not None)
    facts = metadata.completed(
        {**facts, **_facts_of(plan, found), "outside_delegate": _listed(outside)},
        module,
        name=path.name,
        content=content,
        step=interpreters.step_of(interpreter),
        differences=differences,
        tolerance=plan.tolerance,
    )
    facts["self_check"]["compiled_model"] = compiled
    final = tflite_metadata.embed(content, metadata.as_text(facts))
    if not tflite_metadata.is_whole(final):
        raise ExportCheckError("the metadata cannot be read back out of the .tflite")
    facts = documents.from_json(tflite_metadata.read_from(final) or "", source=path.name, kind=dict)
    check.require_postprocessing(final, module)
    hidden = check.require_delegate(final)
    path.write_bytes(final)
    metadata.write(metadata.with_checksum(facts, final), path.with_suffix(".json"))
    operators = {
        name: OperatorCount(len(entry_point.operators), hidden[name])
        for name, entry_point in file_format.entry_points(final).items()
    }
    return ExportReport(
        path, len(final), tuple(module.entry_points), differences, operators, found, outside
    )


def _facts_of(plan: Plan, found: Fidelity | None) -> dict[str, Any]:
    """Returns what the metadata say of how a file was made, and how good it is."""
    facts: dict[str, Any] = {"quantization": plan.quantization, "cell": plan.cell}
    if found is not None:
        facts["fidelity"] = {
            **found._asdict(),
            "frames_are": "representative data" if plan.frames else "a test pattern",
            "metrics": {
                name: {"float32": ours, "file": theirs}
                for name, (ours, theirs) in found.metrics.items()
            },
        }
    return facts


def _listed(outside: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(operators) for name, operators in outside.items()}


def _converting(plan: Plan) -> str:
    if plan.quantization == "none":
        return "converting to TFLite"
    measured = f", ranges from {len(plan.frames or ())} frames"
    return f"converting to TFLite in {plan.quantization}" + (
        measured if plan.quantization == "int8" else ""
    )


def convert(saved_model: str, module: Reference, *, plan: Plan = FROM_SAVED_MODEL) -> bytes:
    """Returns the `.tflite` of the module's entry points, from a SavedModel of them.

    Args:
        saved_model: the folder.
        module: what is exported; for int8 it runs the representative frames, an `ExportModule`.
        plan: says how.

    Raises:
        ValueError: int8 of a SavedModel.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=list(module.entry_points)
    )
    converter.allow_custom_ops = True
    samples = None
    if plan.quantization == "int8":
        if not isinstance(module, ExportModule):
            raise ValueError("int8 needs the model itself, not a SavedModel of it")
        truth = fidelity.raw_step(module)
        samples = partial(representative.samples, module, plan.frames or [], truth)
    content = quantizations.converted(converter, plan.quantization, samples)
    if module.options is None:
        return content
    # The converter forgets `detections_per_class`; the op would then take 100, whatever was asked.
    attributes = postprocessing_op.attributes(module.options)
    return file_format.with_options(content, postprocessing_op.NAME, attributes)
