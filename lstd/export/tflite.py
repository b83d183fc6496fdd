"""Writes a model as one `.tflite` with named entry points, a JSON inside and beside it."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from lstd import tflite_metadata
from lstd.export import (
    check,
    comparison,
    fidelity,
    flatbuffer,
    flatbuffer_edit,
    interpreters,
    metadata,
    postprocessing_op,
    representative,
    staging,
    streams,
)
from lstd.export import quantization as quantizations
from lstd.export.fidelity import Fidelity, Metric
from lstd.export.lite_module import LiteModule
from lstd.export.module import ExportModule
from lstd.export.names import CLIP
from lstd.export.options import ExportOptions
from lstd.export.reference import Reference
from lstd.export.representative import Frame
from lstd.export.saved_model import ExportReport, Notify, OperatorCount, Prepared, prepared
from lstd.export.streams import ExportCheckError
from lstd.models import frame_step
from lstd.models.frame_step import Cell


def export_tflite(
    model: Any,
    path: str | os.PathLike[str],
    *,
    quantization: str = "none",
    max_detections: int = 10,
    max_classes_per_detection: int = 1,
    detections_per_class: int = 100,
    use_regular_nms: bool = False,
    postprocessing: bool = True,
    signature: str = "streaming",
    input_type: str = "float32",
    network: str = "both",
    unroll_length: int | None = None,
    representative_data: Any = None,
    representative_frames: int = 100,
    metric: Metric | None = None,
    cell: Cell | None = None,
    schedule: str | None = None,
    labels: tuple[str, ...] = (),
    check_frames: int = streams.FRAMES,
    notify: Notify = lambda line: None,
) -> ExportReport:
    """Writes a model as one `.tflite` with JSON beside it, and checks it against the model.

    The file has the entry points of `lstd.export`; they share the weights. The JSON stands inside
    of it (`lstd.tflite_metadata`) and beside it, under the name of the file with `.json` at its
    end; `lstd.export.metadata` says what it holds.

    Args:
        model: an `LSTMSSD`.
        path: the file; one that stands there is replaced, and its JSON too.
        quantization: "none", "float16", "dynamic" or "int8", see `lstd.export.quantization`.
        max_detections: anchors that are returned at most.
        max_classes_per_detection: classes returned for each, in fast mode.
        detections_per_class: boxes kept for one class, in regular mode.
        use_regular_nms: each class is suppressed by itself, not all together.
        postprocessing: False: raw output and anchors instead of detections.
        signature: "streaming": one frame and the state; "clip": `input_video_tensor`, a clip of
            fixed length, unrolled by the schedule, as the original exports it, and the state.
        input_type: dtype of the frames, "float32" or "uint8", 0 to 255 in both.
        network: "both", or the only one to export, "large" or "small".
        unroll_length: frames of a clip; None: 4.
        representative_data: frames of the user's own, for a quantisation: a dataset as
            `make_dataset` gives it, clips `[T, H, W, C]`, or the frames `[H, W, C]` of one video,
            uint8 or float32 in [0, 255]. They run through the model by the schedule with the state
            carried, in the form of a clip T at a time: int8 takes the ranges of all values from
            them, and needs them; and the report says how far the file is from the model on them.
        representative_frames: how many of them are used at most, from the first on.
        metric: a factory such as `lstd.evaluation.coco.CocoMetric`. Where the data has ground
            truth, the report has its numbers, of the model and of the file.
        cell: "fused" has the memory in few operations, the fastest with XNNPACK; "separate" has it
            group by group, for runtimes whose grouped convolutions are slow, and in clips. The
            weights are the same. None: fused, in a clip separate.
        schedule: the schedule that the JSON recommends, and that a clip is unrolled by; None: the
            model's for evaluation.
        labels: class names for the JSON; empty: the model's.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Raises:
        ValueError: an option is out of range or contradicts another, or representative data does
            not fit; the message names it and the allowed values.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the model, lacks the post-processing op, or runs
            without XNNPACK. Nothing was written then.
    """
    plan = plan_of(
        quantization=quantization,
        representative_data=representative_data,
        representative_frames=representative_frames,
        metric=metric,
        cell=cell,
        signature=signature,
    )
    options = ExportOptions(
        max_detections=max_detections,
        max_classes_per_detection=max_classes_per_detection,
        detections_per_class=detections_per_class,
        use_regular_nms=use_regular_nms,
        postprocessing=postprocessing,
        signature=signature,
        input_type=input_type,
        network=network,
        unroll_length=unroll_length,
        schedule=schedule,
        labels=labels,
        check_frames=check_frames,
    )
    ready = prepared(model, options)
    plan = fitted(plan, ready.module)
    path = Path(path)
    with staging.staged(path.parent, names_of(path)) as temporary:
        report = write_module(ready, temporary / path.name, plan=plan, notify=notify)
    return report._replace(path=path)


def names_of(path: Path) -> tuple[str, str]:
    """Returns the names of a `.tflite` and of the JSON beside it.

    Raises:
        ValueError: the file has the name that the JSON needs.
    """
    if path.suffix == ".json":
        raise ValueError(f"{path}: the name ends in .json, which is for the metadata beside it")
    return path.name, path.with_suffix(".json").name


class Plan(NamedTuple):
    """How a file is made; see `export_tflite`.

    Attributes:
        quantization: one of `quantization.QUANTIZATIONS`.
        frames: representative ones; None: none were given.
        metric: for frames with ground truth.
        cell: the form of the memory.
    """

    quantization: str = "none"
    frames: list[Frame] | None = None
    metric: Metric | None = None
    cell: Cell = "fused"

    @property
    def tolerance(self) -> float:
        """How far the file may be off."""
        return fidelity.LIMITS.get(self.quantization, comparison.TOLERANCE)


FROM_SAVED_MODEL = Plan(cell="separate")
"""How a SavedModel of ours is converted: as it is."""


def plan_of(
    *,
    quantization: str = "none",
    representative_data: Any = None,
    representative_frames: int = 100,
    metric: Metric | None = None,
    cell: Cell | None = None,
    signature: str = "streaming",
) -> Plan:
    """Returns how a file is made, with the frames read.

    Raises:
        ValueError: see `export_tflite`.
    """
    quantizations.check(quantization, representative_data)
    if cell is not None and cell not in frame_step.CELLS:
        allowed = ", ".join(map(repr, frame_step.CELLS))
        raise ValueError(f"cell {cell!r} is not known; allowed: {allowed}")
    form_of_cell: Cell = cell or ("separate" if signature == CLIP else "fused")
    if signature == CLIP:
        check_clip(form_of_cell)
    frames = None
    if representative_data is not None:
        frames = representative.read(representative_data, limit=representative_frames)
    return Plan(quantization, frames, metric, form_of_cell)


def check_clip(cell: Cell) -> None:
    """Raises for the form of the memory that a clip does not have."""
    if cell == "fused":
        raise ValueError(
            "cell 'fused' and signature 'clip' contradict each other: a clip has the memory as the "
            "layers are, cell 'separate'; leave one of them out"
        )


def fitted(plan: Plan, module: ExportModule) -> Plan:
    """Returns the plan for a module: in the form of a clip, its frames are whole clips.

    Raises:
        ValueError: the frames make no clip.
    """
    if module.form.signature != CLIP or plan.frames is None:
        return plan
    clips = representative.whole_clips(plan.frames, module.form.unroll_length)
    return plan._replace(frames=clips)


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
    differences = {}
    if found is None:
        notify("checking the .tflite against the model, with XNNPACK and without")
        differences = check.check_tflite(content, module, frames=frames)
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
    final = tflite_metadata.embed(content, metadata.as_text(facts))
    hidden = _check_final(final, module, facts)
    path.write_bytes(final)
    metadata.write(metadata.with_checksum(facts, final), path.with_suffix(".json"))
    operators = {
        name: OperatorCount(len(entry_point.operators), hidden[name])
        for name, entry_point in flatbuffer.entry_points(final).items()
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


def _check_final(final: bytes, module: Reference, facts: dict[str, Any]) -> dict[str, int]:
    """Raises unless the file with metadata is, but for these, the one that was checked.

    Returns what `check.require_delegate` does.
    """
    text = tflite_metadata.read_from(final)
    if text != metadata.as_text(facts) or not metadata.payload_matches(facts, final):
        raise ExportCheckError("the metadata cannot be read back out of the .tflite")
    check.require_postprocessing(final, module)
    return check.require_delegate(final)


def convert(saved_model: str, module: Reference, *, plan: Plan = FROM_SAVED_MODEL) -> bytes:
    """Returns the `.tflite` of the module's entry points, from a SavedModel of them.

    Args:
        saved_model: the folder.
        module: what is exported; for int8 it runs the representative frames, an `ExportModule`.
        plan: says how.
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
    return flatbuffer_edit.with_options(content, postprocessing_op.NAME, attributes)
