"""The entry points of an export in the operations that TFLite runs fast."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from lstd.export import module as modules
from lstd.export.lite import frame_step
from lstd.export.lite.frame_step import Cell
from lstd.export.module import ExportModule
from lstd.models.lstm_ssd import LSTMSSD


class LiteModule(tf.Module):
    """What a `.tflite` is converted from: the entry points of an `ExportModule`, made otherwise.

    Inputs, outputs and weights are the same, and the numbers up to rounding; clips are those of the
    `ExportModule`. A module of its own, because TensorFlow itself does not run the fused cell: its
    optimiser merges a bias into the convolution before it, and merged convolutions in groups do not
    exist there.

    Args:
        module: the export.
        cell: see `frame_step.step`.
        sliced: likewise.
    """

    def __init__(self, module: ExportModule, *, cell: Cell, sliced: bool) -> None:
        super().__init__(name="lstd_lite")
        if cell not in frame_step.CELLS:
            raise ValueError(
                f"cell must be one of {', '.join(map(repr, frame_step.CELLS))}, got {cell!r}"
            )
        model = module.model
        self.model_variables = module.model_variables
        step = model.step
        if isinstance(model, LSTMSSD):
            step = partial(frame_step.step, model, cell=cell, sliced=sliced)
        heads = modules.heads_of(module.options)
        for name in module.entry_points:
            raw = modules.raw_entry_point(model, module.networks_of(name), module.form, step)
            setattr(self, name, modules.entry_point(raw, heads, model, module.form))
        self._names = tuple(module.entry_points)

    def signatures(self) -> dict[str, Any]:
        """Returns the entry points by name."""
        return {name: getattr(self, name) for name in self._names}
