"""Exports of the tiny model for tests."""

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.config.config import ExportConfig
from lstd.export import conversion
from lstd.export.form import Form, carried
from lstd.export.module import ExportModule
from lstd.export.options import suppression_for
from lstd.export.tflite import export_tflite
from tests.export.tiny_model import TinyModel, images

DATA = images(12).astype(np.uint8)
"""What files are quantised with: the frames of one video."""
_FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def file(quantization: str = "none", **options: Any) -> Path:
    """Returns an exported file of the tiny model, made once, with its JSON beside it."""
    path = Path(tempfile.mkdtemp(dir=_FOLDER.name)) / "tiny.tflite"
    data = {} if quantization == "none" else {"representative_data": [DATA]}
    export_tflite(TinyModel(), path, quantization=quantization, **data, **options)
    return path


def module(
    model: Any = None,
    *,
    schedule: str | None = None,
    form: Form = Form(),  # noqa: B008
    postprocessing: bool = True,
    **options: Any,
) -> ExportModule:
    """Returns the module of a model (None: the tiny one), with these options."""
    model = model or TinyModel()
    asked = ExportConfig(**{"max_detections": 4, **options})
    values = suppression_for(model, asked) if postprocessing else None
    return ExportModule(model, options=values, schedule=schedule, form=form)


def converted(exported: ExportModule) -> bytes:
    """Returns the `.tflite` of a module."""
    signatures = {name: getattr(exported, name) for name in exported.entry_points}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(exported, folder, signatures=signatures)
        return conversion.convert(folder, exported)


def stream(
    module: ExportModule, names: Sequence[str], frames: np.ndarray, *, c: Any = 0.0, h: Any = 0.0
) -> list[dict[str, np.ndarray]]:
    """Returns the outputs of entry points for single frames; the state begins with c and h."""
    zeros, found = np.zeros([1, 1, 2, 4], np.float32), []
    state = {"lstm_c": zeros + c, "lstm_h": zeros + h}
    for name, frame in zip(names, frames, strict=True):
        found.append(module.run(name, image=frame[np.newaxis].astype(np.float32), **state))
        state = carried(found[-1])
    return found
