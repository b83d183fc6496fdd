"""Writes a model as one `.tflite` with named entry points, a JSON inside and beside it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from lstd import tflite_metadata
from lstd.export import (
    check,
    class_names,
    flatbuffer,
    form,
    interpreters,
    metadata,
    postprocessing_op,
    staging,
    streams,
)
from lstd.export.module import ExportModule
from lstd.export.reference import Reference
from lstd.export.saved_model import ExportReport, Notify, OperatorCount, options_for
from lstd.export.streams import ExportCheckError

QUANTIZATIONS = ("none",)


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
    schedule: str | None = None,
    labels: tuple[str, ...] = (),
    check_frames: int = streams.FRAMES,
    notify: Notify = lambda line: None,
) -> ExportReport:
    """Writes a model as one float32 `.tflite` with JSON beside it, and checks it against the model.

    The file has the entry points of `lstd.export`; they share the weights. The JSON stands inside
    of it (`lstd.tflite_metadata`) and beside it, under the name of the file with `.json` at its
    end; `lstd.export.metadata` says what it holds.

    Args:
        model: an `LSTMSSD`.
        path: the file; one that stands there is replaced, and its JSON too.
        quantization: "none", the only one in this version.
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
        representative_data: belongs to quantization, so not in this version.
        schedule: the schedule that the JSON recommends, and that a clip is unrolled by; None: the
            model's for evaluation.
        labels: class names for the JSON; empty: the model's.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Raises:
        ValueError: an option is out of range, not available in this version, or contradicts
            another; the message names it and the allowed values.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the model, lacks the post-processing op, or runs
            without XNNPACK. Nothing was written then.
    """
    check_available(quantization, representative_data)
    options = options_for(
        model,
        max_detections=max_detections,
        max_classes_per_detection=max_classes_per_detection,
        detections_per_class=detections_per_class,
        use_regular_nms=use_regular_nms,
        postprocessing=postprocessing,
    )
    shape = form.checked(
        model,
        signature=signature,
        input_type=input_type,
        network=network,
        unroll_length=unroll_length,
        schedule=schedule,
    )
    streams.check_frames(check_frames)
    labels = class_names.checked(labels or tuple(model.labels), num_classes=model.num_classes)
    path = Path(path)
    with staging.staged(path.parent, names_of(path)) as temporary:
        module = ExportModule(model, options=options, schedule=schedule, form=shape)
        notify("tracing the entry points")
        with tempfile.TemporaryDirectory(prefix="lstd-export-") as folder:
            signatures = module.signatures()
            del signatures["serving_default"]
            tf.saved_model.save(module, folder, signatures=signatures)
            report = write(
                module,
                folder,
                temporary / path.name,
                facts=metadata.facts_of(module, labels=labels),
                notify=notify,
                frames=check_frames,
            )
    return report._replace(path=path)


def names_of(path: Path) -> tuple[str, str]:
    """Returns the names of a `.tflite` and of the JSON beside it.

    Raises:
        ValueError: the file has the name that the JSON needs.
    """
    if path.suffix == ".json":
        raise ValueError(f"{path}: the name ends in .json, which is for the metadata beside it")
    return path.name, path.with_suffix(".json").name


def check_available(quantization: str, representative_data: Any) -> None:
    """Raises for what this version cannot do yet."""
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"quantization {quantization!r} is not available in this version; allowed: "
            + ", ".join(repr(choice) for choice in QUANTIZATIONS)
        )
    if representative_data is not None:
        raise ValueError(
            "representative_data is not available in this version: it belongs to a quantization, "
            "and only quantization 'none' is allowed"
        )


def write(
    module: Reference,
    saved_model: str,
    path: Path,
    *,
    facts: dict[str, Any],
    notify: Notify,
    frames: int = streams.FRAMES,
) -> ExportReport:
    """Converts a SavedModel, checks the result and writes it with its JSON.

    Args:
        module: what the SavedModel was made from, or is.
        saved_model: the folder.
        path: the file; the caller takes care of the place.
        facts: see `metadata.facts_of`.
        notify: is told each step.
        frames: that the self-check runs at least.
    """
    notify("converting to TFLite")
    content = convert(saved_model, module)
    notify("checking the .tflite against the model, with XNNPACK and without")
    differences = check.check_tflite(content, module, frames=frames)
    notify("writing the metadata with a golden frame")
    facts = metadata.completed(
        facts,
        module,
        name=path.name,
        content=content,
        step=interpreters.step_of(interpreters.make(content, xnnpack=False)),
        differences=differences,
    )
    final = tflite_metadata.embed(content, metadata.as_text(facts))
    hidden = _check_final(final, module, facts)
    path.write_bytes(final)
    metadata.write(metadata.with_checksum(facts, final), path.with_suffix(".json"))
    operators = {
        name: OperatorCount(len(entry_point.operators), hidden[name])
        for name, entry_point in flatbuffer.entry_points(final).items()
    }
    return ExportReport(path, len(final), tuple(module.entry_points), differences, operators)


def _check_final(final: bytes, module: Reference, facts: dict[str, Any]) -> dict[str, int]:
    """Raises unless the file with metadata is, but for these, the one that was checked.

    Returns what `check.require_delegate` does.
    """
    text = tflite_metadata.read_from(final)
    if text != metadata.as_text(facts) or not metadata.payload_matches(facts, final):
        raise ExportCheckError("the metadata cannot be read back out of the .tflite")
    check.require_postprocessing(final, module)
    return check.require_delegate(final)


def convert(saved_model: str, module: Reference) -> bytes:
    """Returns the `.tflite` of the module's entry points, from its SavedModel."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=list(module.entry_points)
    )
    converter.allow_custom_ops = True
    content = converter.convert()
    if module.options is None:
        return content
    # The converter forgets `detections_per_class`; the op would then take 100, whatever was asked.
    attributes = postprocessing_op.attributes(module.options)
    return flatbuffer.with_options(content, postprocessing_op.NAME, attributes)
