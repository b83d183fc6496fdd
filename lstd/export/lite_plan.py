"""How a `.tflite` is made: quantisation, the frames for it, and the form of the memory."""

from __future__ import annotations

from typing import Any, NamedTuple

from lstd.export import comparison, fidelity, representative
from lstd.export import quantization as quantizations
from lstd.export.fidelity import Metric
from lstd.export.lite import frame_step
from lstd.export.lite.frame_step import Cell
from lstd.export.module import ExportModule
from lstd.export.names import CLIP
from lstd.export.representative import Frame


class Plan(NamedTuple):
    """How a file is made; see `export_tflite`.

    Attributes:
        quantization: one of `quantization.QUANTIZATIONS`.
        frames: representative ones; None: none were given.
        metric: for frames with ground truth.
        cell: the form of the memory.
    """

    quantization: str = "none"
    frames: list[Frame] | None = None
    metric: Metric | None = None
    cell: Cell = "fused"

    @property
    def tolerance(self) -> float:
        """How far the file may be off."""
        return fidelity.LIMITS.get(self.quantization, comparison.TOLERANCE)


FROM_SAVED_MODEL = Plan(cell="separate")
"""How a SavedModel of ours is converted: as it is."""


def plan_of(
    *,
    quantization: str = "none",
    representative_data: Any = None,
    representative_frames: int = 100,
    metric: Metric | None = None,
    cell: Cell | None = None,
    signature: str = "streaming",
) -> Plan:
    """Returns how a file is made, with the frames read.

    Raises:
        ValueError: see `export_tflite`.
    """
    quantizations.check(quantization, representative_data)
    if cell is not None and cell not in frame_step.CELLS:
        allowed = ", ".join(map(repr, frame_step.CELLS))
        raise ValueError(f"cell {cell!r} is not known; allowed: {allowed}")
    form_of_cell: Cell = cell or ("separate" if signature == CLIP else "fused")
    if signature == CLIP:
        check_clip(form_of_cell)
    frames = None
    if representative_data is not None:
        frames = representative.read(representative_data, limit=representative_frames)
    return Plan(quantization, frames, metric, form_of_cell)


def check_clip(cell: Cell) -> None:
    """Refuses the form of the memory that a clip does not have.

    Raises:
        ValueError: the fused cell.
    """
    if cell == "fused":
        raise ValueError(
            "cell 'fused' and signature 'clip' contradict each other: a clip has the memory as the "
            "layers are, cell 'separate'; leave one of them out"
        )


def fitted(plan: Plan, module: ExportModule) -> Plan:
    """Returns the plan for a module: in the form of a clip, its frames are whole clips.

    Raises:
        ValueError: the frames make no clip.
    """
    if module.form.signature != CLIP or plan.frames is None:
        return plan
    clips = representative.whole_clips(plan.frames, module.form.unroll_length)
    return plan._replace(frames=clips)
