"""`export_tflite`: a model as one `.tflite`, all that is asked of it in one call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstd.base.whole_file import whole_files
from lstd.export import lite_file, lite_plan, streams
from lstd.export.fidelity import Metric
from lstd.export.lite.frame_step import Cell
from lstd.export.options import ExportOptions
from lstd.export.saved_model import ExportReport, Notify, prepared


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
    of it (`tflite_metadata`) and beside it, under the name of the file with `.json` at its
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
        metric: a factory such as `lstd.evaluation.CocoMetric`. Where the data has ground truth,
            the report has its numbers, of the model and of the file.
        cell: "fused" has the memory in few operations, the fastest with XNNPACK; "separate" has it
            group by group, for runtimes whose grouped convolutions are slow, and in clips. The
            weights are the same. None: fused, in a clip separate.
        schedule: the schedule that the JSON recommends, and that a clip is unrolled by; None: the
            model's for evaluation.
        labels: class names for the JSON; empty: the model's.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Returns:
        What was written, and how far it is from the model.

    Raises:
        ValueError: an option is out of range or contradicts another, or representative data does
            not fit; the message names it and the allowed values.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the model, lacks the post-processing op, or runs
            without XNNPACK. Nothing was written then.
    """
    plan = lite_plan.plan_of(
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
    plan = lite_plan.fitted(plan, ready.module)
    path = Path(path)
    with whole_files(path.parent, lite_file.names_of(path)) as temporary:
        report = lite_file.write_module(ready, temporary / path.name, plan=plan, notify=notify)
    return report._replace(path=path)
