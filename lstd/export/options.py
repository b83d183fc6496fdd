"""What a user asks of an export, whatever files it becomes."""

from __future__ import annotations

from dataclasses import dataclass

from lstd.export import streams


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is the same in a SavedModel and in a `.tflite`; `export_tflite` says what each means."""

    max_detections: int = 10
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False
    postprocessing: bool = True
    signature: str = "streaming"
    input_type: str = "float32"
    network: str = "both"
    unroll_length: int | None = None
    schedule: str | None = None
    labels: tuple[str, ...] = ()
    check_frames: int = streams.FRAMES
