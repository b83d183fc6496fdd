"""The detector for streams, on any model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lstd.any_model import open_model
from lstd.runtime import detector
from lstd.runtime.background import Delay

if TYPE_CHECKING:
    from lstd.config.config import ExportConfig
    from lstd.models.lstm_ssd import LSTMSSD


class VideoDetector(detector.VideoDetector):
    """`lstd.runtime.detector.VideoDetector`, which says what it does, for Keras models as well.

    A model gets the entry points that `lstd-export` would write, post-processing included, so that
    it finds what its `.tflite` finds.

    Args:
        model_or_path: an LSTMSSD; the path of a run folder, weights or a checkpoint (see
            `lstd.any_model.open_model.open_model`); or what the runtime's detector takes, as are
            the following.
        export: how a model's detections are post-processed; None: as its config says, else the
            defaults.
        config: what a checkpoint of the original, or weights outside of a run folder, are built by.

    Raises:
        ValueError, OSError, ImportError: as the runtime's detector does.
    """

    def __init__(
        self,
        model_or_path: Any,
        schedule: str | None = None,
        threads: int = 1,
        *,
        labels: Sequence[str] = (),
        seed: int = 0,
        pixels: bool = False,
        mode: str = "sync",
        delay: Delay | None = None,
        min_score: float | None = None,
        export: ExportConfig | None = None,
        config: open_model.Given = None,
    ) -> None:
        if isinstance(model_or_path, (str, os.PathLike)):
            model_or_path, settings = open_model.open_model(model_or_path, config=config)
            export = export or settings
        super().__init__(
            runnable(model_or_path, export),
            schedule,
            threads,
            labels=labels,
            seed=seed,
            pixels=pixels,
            mode=mode,
            delay=delay,
            min_score=min_score,
        )


def runnable(model: LSTMSSD | Any, export: ExportConfig | None = None) -> Any:
    """Returns what the runtime runs: of an LSTMSSD the module that an export would be made of."""
    if not hasattr(model, "detect"):  # a path, or an object with entry points
        return model
    from lstd.config.config import ExportConfig
    from lstd.export import options
    from lstd.export.module import ExportModule

    suppression = options.suppression_for(model, export or ExportConfig())
    module = ExportModule(model, options=suppression)
    module.labels, module.min_score = tuple(model.labels), getattr(model, "min_score", None)
    return module
