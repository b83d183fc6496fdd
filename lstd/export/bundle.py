"""All of an export in one folder: `saved_model/`, `model.tflite` and `model.json`, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstd.base.whole_file import whole_files
from lstd.export import lite_file, lite_plan, saved_model
from lstd.export.names import CLIP
from lstd.export.options import ExportOptions
from lstd.export.saved_model import ExportReport, Notify

NAMES = ("saved_model", "model.tflite", "model.json")


def export_all(
    model: Any,
    output_directory: str | os.PathLike[str],
    *,
    plan: lite_plan.Plan | None = None,
    notify: Notify = lambda line: None,
    **options: Any,
) -> tuple[ExportReport, ExportReport]:
    """Writes SavedModel, `.tflite` and JSON of a model and returns both reports.

    Files of an earlier export are replaced.

    Args:
        model: an `LSTMSSD`.
        output_directory: where they go.
        plan: how the `.tflite` is made, see `lite_plan.plan_of`; None: its defaults. The SavedModel
            is always in float32.
        notify: is told each step.
        **options: those of `ExportOptions`.

    Raises:
        ValueError, OSError, ExportCheckError: as `export_tflite` does.
    """
    asked = ExportOptions(**options)
    if plan is None:
        plan = lite_plan.plan_of(signature=asked.signature)
    if asked.signature == CLIP:
        lite_plan.check_clip(plan.cell)
    ready = saved_model.prepared(model, asked)
    plan = lite_plan.fitted(plan, ready.module)
    folder = Path(output_directory)
    with whole_files(folder, NAMES) as temporary:
        saved = saved_model.write(ready, temporary / NAMES[0], notify=notify)
        lite = lite_file.write_module(ready, temporary / NAMES[1], plan=plan, notify=notify)
    return saved._replace(path=folder / NAMES[0]), lite._replace(path=folder / NAMES[1])
