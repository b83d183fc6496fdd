"""The second of two steps: a SavedModel of ours becomes a `.tflite`."""

from __future__ import annotations

import os
from pathlib import Path

from lstd.base.whole_file import whole_files
from lstd.export import class_names, form, lite_file, loaded, metadata, streams
from lstd.export.loaded import LoadedExport
from lstd.export.saved_model import ExportReport, Notify


def convert_saved_model(
    saved_model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    labels: tuple[str, ...] = (),
    schedule: str | None = None,
    check_frames: int = streams.FRAMES,
    notify: Notify = lambda line: None,
) -> ExportReport:
    """Writes a SavedModel of ours as a `.tflite` with JSON, checked against the SavedModel.

    Args:
        saved_model: a folder that `export_saved_model` or `lstd-export` wrote.
        path: the file; one that stands there is replaced, and its JSON too.
        labels: class names for the JSON; empty: those of the SavedModel.
        schedule: the schedule that the JSON recommends; None: that of the SavedModel.
        check_frames: frames that the self-check runs at least.
        notify: is told each step.

    Raises:
        ValueError: it is no SavedModel of ours, or a value that does not fit it.
        OSError: the place cannot be written.
        ExportCheckError: the file is not equal to the SavedModel. Nothing was written then.
    """
    streams.check_frames(check_frames)
    path = Path(path)
    names = lite_file.names_of(path)
    reference = LoadedExport(saved_model)
    facts = reference.facts
    if labels:
        labels = class_names.checked(labels, num_classes=len(reference.labels))
        facts = {**facts, "labels": list(labels)}
    if schedule is not None:
        form.check_schedule(schedule, backbones=1 if "step" in reference.entry_points else 2)
        rule = metadata.schedule_facts(schedule, entry_points=tuple(reference.entry_points))
        facts = loaded.with_schedule(facts, rule)
    with whole_files(path.parent, names) as temporary:
        report = lite_file.write(
            reference,
            os.fspath(saved_model),
            temporary / path.name,
            facts=facts,
            notify=notify,
            frames=check_frames,
        )
    return report._replace(path=path)
