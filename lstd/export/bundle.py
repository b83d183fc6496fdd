"""All of an export in one folder: `saved_model/`, `model.tflite` and `model.json`, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstd.export import class_names, form, saved_model, staging, streams, tflite
from lstd.export.module import ExportModule
from lstd.export.names import CLIP
from lstd.export.saved_model import ExportReport, Notify

NAMES = ("saved_model", "model.tflite", "model.json")


def export_all(
    model: Any,
    output_directory: str | os.PathLike[str],
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
    plan: tflite.Plan | None = None,
    schedule: str | None = None,
    labels: tuple[str, ...] = (),
    check_frames: int = streams.FRAMES,
    notify: Notify = lambda line: None,
) -> tuple[ExportReport, ExportReport]:
    """Writes SavedModel, `.tflite` and JSON of a model and returns both reports.

    Arguments and errors are those of `export_tflite`, with `tflite.plan_of` for how the `.tflite`
    is made (None: its defaults); the SavedModel is always in float32. Files of an earlier export
    are replaced.
    """
    options = saved_model.options_for(
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
    if plan is None:
        plan = tflite.plan_of(signature=signature)
    if signature == CLIP:
        tflite.check_clip(plan.quantization, plan.cell)
    labels = class_names.checked(labels or tuple(model.labels), num_classes=model.num_classes)
    folder = Path(output_directory)
    with staging.staged(folder, NAMES) as temporary:
        module = ExportModule(model, options=options, schedule=schedule, form=shape)
        saved = saved_model.write(
            module, temporary / NAMES[0], labels=labels, notify=notify, frames=check_frames
        )
        lite = tflite.write_module(
            module,
            temporary / NAMES[1],
            plan=plan,
            labels=labels,
            notify=notify,
            frames=check_frames,
        )
    return saved._replace(path=folder / NAMES[0]), lite._replace(path=folder / NAMES[1])
