"""Writes a model as a SavedModel with named entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.export import check, class_names, form, metadata, postprocessing_op, staging, streams
from lstd.export.fidelity import Fidelity
from lstd.export.module import ExportModule
from lstd.export.postprocessing_op import PostprocessingOptions

METADATA = "model.json"
"""The JSON in the folder."""

Notify = Callable[[str], None]
"""Told each step of an export, one line."""


class OperatorCount(NamedTuple):
    """How many operators an entry point has, and how many of them XNNPACK runs at least.

    The last one of each piece that it runs is not counted: from outside it looks like any other.
    """

    total: int
    delegated: int


class ExportReport(NamedTuple):
    """What an export wrote.

    Attributes:
        path: the file or folder.
        num_bytes: its size.
        entry_points: what it offers.
        differences: the largest differences from the model that the self-check found, by what ran
            and by output; in parts of the largest value where that is over 1.
        operators: of each entry point of a `.tflite`.
        fidelity: how far a quantised `.tflite` is from the model; None: it is not quantised.
        outside_delegate: the operators of each entry point that XNNPACK leaves to slower code.
    """

    path: Path
    num_bytes: int
    entry_points: tuple[str, ...]
    differences: dict[str, dict[str, float]]
    operators: dict[str, OperatorCount] = {}  # noqa: RUF012 - never written to
    fidelity: Fidelity | None = None
    outside_delegate: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never written to


def export_saved_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    max_detections: int = 10,
    max_classes_per_detection: int = 1,
    detections_per_class: int = 100,
    use_regular_nms: bool = False,
    postprocessing: bool = True,
    signature: str = "streaming",
    input_type: str = "float32",
    network: str = "both",
    unroll_length: int | None = None,
    schedule: str | None = None,
    labels: tuple[str, ...] = (),
    check_frames: int = streams.FRAMES,
    notify: Notify = lambda line: None,
) -> ExportReport:
    """Writes a model as a SavedModel and checks it against the model.

    Its signatures are the entry points of `lstd.export`, and `serving_default` for clips
    (`frames` `[B, T, H, W, C]`, B and T free; see `ExportModule`). In the folder stands
    `model.json`, see `lstd.export.metadata`.

    Args:
        model: an `LSTMSSD`.
        path: the folder; a SavedModel that stands there is replaced.
        max_detections: anchors that are returned at most.
        max_classes_per_detection: classes returned for each, in fast mode.
        detections_per_class: boxes kept for one class, in regular mode.
        use_regular_nms: each class is suppressed by itself, not all together.
        postprocessing: False: raw output and anchors instead of detections.
        signature: "streaming": one frame and the state; "clip": `input_video_tensor`, a clip of
            fixed length, unrolled by the schedule.
        input_type: dtype of the frames, "float32" or "uint8", 0 to 255 in both.
        network: "both", or the only one to export, "large" or "small".
        unroll_length: frames of a clip; None: 4.
        schedule: which network runs on which frame of a clip; None: the model's for evaluation.
        labels: class names for the JSON; empty: the model's.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Raises:
        ValueError: an option is out of range; the message names it.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the model. Nothing was written then.
    """
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
    labels = class_names.checked(labels or tuple(model.labels), num_classes=model.num_classes)
    streams.check_frames(check_frames)
    path = Path(path)
    with staging.staged(path.parent, [path.name]) as temporary:
        module = ExportModule(model, options=options, schedule=schedule, form=shape)
        report = write(
            module, temporary / path.name, labels=labels, notify=notify, frames=check_frames
        )
    return report._replace(path=path)


def options_for(
    model: Any,
    *,
    max_detections: int,
    max_classes_per_detection: int,
    detections_per_class: int,
    use_regular_nms: bool,
    postprocessing: bool,
) -> PostprocessingOptions | None:
    """Returns the options with the model's own values added, None for raw output.

    Raises:
        ValueError: a value is out of range.
    """
    options = PostprocessingOptions(
        num_classes=int(model.num_classes),
        max_detections=max_detections,
        max_classes_per_detection=max_classes_per_detection,
        detections_per_class=detections_per_class,
        use_regular_nms=use_regular_nms,
        score_threshold=float(model.postprocessing.score_threshold),
        iou_threshold=float(model.postprocessing.iou_threshold),
        scale_factors=tuple(model.box_scale_factors),
    )
    postprocessing_op.check_options(options, num_anchors=int(model.anchors.shape[0]))
    return options if postprocessing else None


def write(
    module: ExportModule,
    path: Path,
    *,
    labels: tuple[str, ...],
    notify: Notify,
    frames: int = streams.FRAMES,
) -> ExportReport:
    """Writes and checks the SavedModel of a module with its JSON; the caller minds the place."""
    notify("tracing the entry points and writing the SavedModel")
    tf.saved_model.save(module, str(path), signatures=module.signatures())
    notify("checking the SavedModel against the model")
    differences = {"SavedModel": check.check_saved_model(module, str(path), frames=frames)}
    facts = metadata.describe(
        module,
        name=path.name,
        content=None,
        step=module.run,
        labels=labels,
        differences=differences,
    )
    metadata.write(facts, path / METADATA)
    return ExportReport(
        path=path,
        num_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        entry_points=tuple(module.signatures()),
        differences=differences,
    )
