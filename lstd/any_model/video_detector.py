"""The detector for streams, on a file as on a model in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lstd.config.config import ExportConfig
from lstd.runtime import detector
from lstd.runtime.background import Delay

if TYPE_CHECKING:
    from lstd.models.lstm_ssd import LSTMSSD


class VideoDetector(detector.VideoDetector):
    """`lstd.runtime.detector.VideoDetector`, which says what it does, for Keras models as well.

    A model gets the entry points that `lstd-export` would write, post-processing included, so that
    it finds what its `.tflite` finds.

    Args:
        model_or_path: an LSTMSSD, or what the runtime's detector takes.
        schedule: see there, as are the following.
        threads: only for a `.tflite`.
        labels: names of the classes in order; empty: the model's or file's own.
        seed: of the RANDOM schedule.
        pixels: boxes in pixels of the frame, otherwise in [0, 1].
        mode: "sync" or "async".
        delay: for async mode without a thread.
        export: how a model's detections are post-processed; None: the defaults.

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
        export: ExportConfig | None = None,
    ) -> None:
        keras = sys.modules.get("tf_keras")  # Not imported: then nobody has a model.
        is_model = keras is not None and isinstance(model_or_path, keras.Model)
        super().__init__(
            model_or_path,
            schedule,
            threads,
            labels=labels or (model_or_path.labels if is_model else ()),
            seed=seed,
            pixels=pixels,
            mode=mode,
            delay=delay,
            entry_points=(lambda model: entry_points_of(model, export)) if is_model else None,
        )


def entry_points_of(model: LSTMSSD, export: ExportConfig | None = None) -> Any:
    """Returns the module that an export of this model would be made of."""
    from lstd.export import saved_model
    from lstd.export.module import ExportModule

    options = saved_model.options_for(model, export or ExportConfig())
    return ExportModule(model, options=options)
