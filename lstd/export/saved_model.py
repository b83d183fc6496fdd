"""Writes a model as a SavedModel with named entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.base.whole_file import whole_files
from lstd.config.config import ExportConfig
from lstd.export import check, class_names, form, metadata, postprocessing_op, streams
from lstd.export.fidelity import Fidelity
from lstd.export.module import ExportModule
from lstd.export.options import ExportOptions
from lstd.export.postprocessing_op import PostprocessingOptions

METADATA = "model.json"
"""The JSON in the folder."""
_DEFAULTS = ExportConfig()

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
    `model.json`, see `lstd.export.metadata`. `path` is the folder; a SavedModel that stands there
    is replaced. The other arguments, what is returned and the errors are those of `export_tflite`.
    """
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
    path = Path(path)
    with whole_files(path.parent, [path.name]) as temporary:
        report = write(ready, temporary / path.name, notify=notify)
    return report._replace(path=path)


class Prepared(NamedTuple):
    """A model ready to be written.

    Attributes:
        module: its entry points, in the form that was asked for.
        labels: one for each class.
        check_frames: frames that the self-check runs at least.
    """

    module: ExportModule
    labels: tuple[str, ...]
    check_frames: int


def prepared(model: Any, options: ExportOptions) -> Prepared:
    """Returns the module of an `LSTMSSD` that the options ask for, and the names of its classes.

    Raises:
        ValueError: an option is out of range or contradicts another; the message names it.
    """
    suppression = options_for(model, options)
    shape = form.checked(
        model,
        signature=options.signature,
        input_type=options.input_type,
        network=options.network,
        unroll_length=options.unroll_length,
        schedule=options.schedule,
    )
    streams.check_frames(options.check_frames)
    given = options.labels or tuple(model.labels)
    labels = class_names.checked(given, num_classes=model.num_classes)
    module = ExportModule(
        model,
        options=suppression if options.postprocessing else None,
        schedule=options.schedule,
        form=shape,
    )
    return Prepared(module, labels, options.check_frames)


def options_for(
    model: Any, asked: ExportConfig | ExportOptions | PostprocessingOptions = _DEFAULTS
) -> PostprocessingOptions:
    """Returns what is asked of the suppression, with the model's own values added.

    Raises:
        ValueError: a value is out of range.
    """
    options = PostprocessingOptions(
        num_classes=int(model.num_classes),
        max_detections=asked.max_detections,
        max_classes_per_detection=asked.max_classes_per_detection,
        detections_per_class=asked.detections_per_class,
        use_regular_nms=asked.use_regular_nms,
        score_threshold=float(model.postprocessing.score_threshold),
        iou_threshold=float(model.postprocessing.iou_threshold),
        scale_factors=tuple(model.box_scale_factors),
    )
    postprocessing_op.check_options(options, num_anchors=int(model.anchors.shape[0]))
    return options


def write(ready: Prepared, path: Path, *, notify: Notify) -> ExportReport:
    """Writes and checks the SavedModel of a model with its JSON; the caller minds the place."""
    module = ready.module
    notify("tracing the entry points and writing the SavedModel")
    tf.saved_model.save(module, str(path), signatures=module.signatures())
    notify("checking the SavedModel against the model")
    differences = {
        "SavedModel": check.check_saved_model(module, str(path), frames=ready.check_frames)
    }
    facts = metadata.describe(
        module,
        name=path.name,
        content=None,
        step=module.run,
        labels=ready.labels,
        differences=differences,
    )
    metadata.write(facts, path / METADATA)
    return ExportReport(
        path=path,
        num_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        entry_points=tuple(module.signatures()),
        differences=differences,
    )
