"""Writes a model as a SavedModel with named entry points, and reads one back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from lstd.base import documents, label_map
from lstd.base.whole_file import whole_files
from lstd.export import metadata, options, representative, self_check
from lstd.export.fidelity import Fidelity
from lstd.export.form import Reference
from lstd.export.metadata import DescribedExport
from lstd.export.module import ExportModule
from lstd.export.options import ExportOptions
from lstd.export.representative import Frame
from lstd.models.lstm_ssd import LSTMSSD

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
    operators: Mapping[str, OperatorCount] = {}
    fidelity: Fidelity | None = None
    outside_delegate: Mapping[str, tuple[str, ...]] = {}


def export_saved_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    notify: Notify = lambda line: None,
    **asked: Any,
) -> ExportReport:
    """Writes a model as a SavedModel and checks it against the model.

    Its signatures are the entry points of `lstd.export`, and `serving_default` for clips
    (`frames` `[B, T, H, W, C]`, B and T free; see `ExportModule`). In the folder stands
    `model.json`, see `lstd.export.metadata`. It is in float32.

    Args:
        model: an `LSTMSSD`.
        path: the folder; a SavedModel that stands there is replaced.
        notify: is told each step.
        **asked: see `ExportOptions`, but for those of a `.tflite`.

    Returns:
        What was written, and how far it is from the model.

    Raises:
        ValueError, OSError, ExportCheckError: as `export_tflite` does.
    """
    of_lite = [name for name in options.OF_LITE if name in asked]
    if of_lite:
        raise ValueError(f"{', '.join(of_lite)}: a SavedModel is in float32; see export_tflite")
    options_asked, path = ExportOptions(**asked), Path(path)
    module, labels, _ = prepared(model, options_asked)
    with whole_files(path.parent, [path.name]) as temporary:
        report = write(module, labels, options_asked, temporary / path.name, notify=notify)
    return report._replace(path=path)


def prepared(
    model: Any, asked: ExportOptions
) -> tuple[ExportModule, tuple[str, ...], list[Frame] | None]:
    """Returns the module that the options ask for, the labels and the representative frames.

    Raises:
        ValueError: an option does not fit the model, or the data no model; the message names it.
    """
    if isinstance(model, LSTMSSD) and model.config.quantized_cell and not model.config.int8:
        raise ValueError(
            "model.quantized_cell: a memory in 8 bits alone can be trained and evaluated, not "
            "exported; train.quantization trains all of the model in 8 bits"
        )
    form = asked.form_for(model)
    suppression = options.suppression_for(model, asked) if asked.postprocessing else None
    given = asked.labels or tuple(model.labels)
    labels = label_map.or_numbers(given, num_classes=model.num_classes)
    frames = None
    if asked.representative_data is not None:
        limit = asked.representative_frames or 100
        frames = representative.read(asked.representative_data, limit=limit)
        if form.is_clip:
            frames = representative.whole_clips(frames, form.unroll_length)
    module = ExportModule(model, options=suppression, schedule=asked.schedule, form=form)
    return module, labels, frames


def write(
    module: ExportModule,
    labels: tuple[str, ...],
    asked: ExportOptions,
    path: Path,
    *,
    notify: Notify,
) -> ExportReport:
    """Writes and checks the SavedModel of a model with its JSON; the caller minds the place."""
    notify("tracing the entry points and writing the SavedModel")
    tf.saved_model.save(module, str(path), signatures=module.signatures())
    notify("checking the SavedModel against the model")
    found = self_check.check_saved_model(module, str(path), frames=asked.check_frames)
    differences = {"SavedModel": found}
    facts = metadata.facts_of(module, labels=labels)
    facts = metadata.completed(
        facts, module, name=path.name, step=module.run, differences=differences
    )
    (path / METADATA).write_text(metadata.as_text(facts), encoding="utf-8")
    return ExportReport(
        path=path,
        num_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        entry_points=tuple(module.signatures()),
        differences=differences,
    )


class LoadedExport(DescribedExport, Reference):
    """The entry points of a folder with a SavedModel of ours, and `model.json` in it.

    Raises:
        ValueError: it is no SavedModel, or none that `lstd-export` of this version wrote.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        folder = Path(folder)
        path = folder / METADATA
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder")
        if not (folder / "saved_model.pb").is_file():
            raise ValueError(f"{folder}: not a SavedModel: it has no saved_model.pb")
        if not path.is_file():
            raise ValueError(
                f"{folder}: no {METADATA} in this SavedModel, so it is not one that lstd-export "
                "wrote"
            )
        super().__init__(documents.read_json(path, kind=dict), where=str(path))
        try:
            self._loaded = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = documents.first_line(error)
            raise ValueError(f"{folder}: TensorFlow cannot load it: {reason}") from None
        missing = [name for name in self.entry_points if name not in self._loaded.signatures]
        missing += [f"raw_{n}" for n in self.entry_points if not hasattr(self._loaded, f"raw_{n}")]
        if missing:
            raise ValueError(
                f"{folder}: it has no {', '.join(missing)}, which its {METADATA} promises"
            )

    def function(self, name: str) -> Any:
        """Returns an entry point by its name."""
        if name in self.entry_points:
            return self._loaded.signatures[name]
        return getattr(self._loaded, name)
