"""What a detector returns for a frame: Detections that know their frame and their names."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstd.base import label_map
from lstd.base.types import MIN_SCORE, Detections


class FrameDetections(Detections):
    """The `Detections` of one frame, in NumPy and without batch axis: four arrays, and this.

    Attributes:
        frame_size: (H, W) of the frame as it was given, pixels.
        labels: names of the classes, empty if not known.
        in_pixels: boxes count pixels of that frame; otherwise they are in [0, 1].
        min_score: from which on they are shown.
    """

    frame_size: tuple[int, int] = (1, 1)
    labels: tuple[str, ...] = ()
    in_pixels: bool = False
    min_score: float = MIN_SCORE

    @property
    def names(self) -> list[str]:
        """The name of each detection's class, `count` of them, `"class 7"` where unknown."""
        classes = self.classes[: int(self.count)]
        return [label_map.name_of(self.labels, int(index)) for index in classes]

    def relative(self) -> FrameDetections:
        """Returns these detections with boxes in [0, 1] of the frame, from pixels if need be."""
        if not self.in_pixels:
            return self
        result = self._replace(boxes=self.boxes / np.array(self.frame_size * 2, np.float32))
        result.frame_size, result.labels = self.frame_size, self.labels
        result.min_score = self.min_score
        return result

    def to_supervision(self, *, min_score: float | None = None) -> Any:
        """Returns the detections as `supervision.Detections`, to draw, count or track with it.

        `xyxy` are in pixels of the frame, and `data["class_name"]` has the names. Detections below
        `min_score` are left out; None: below the detector's.

        Raises:
            ImportError: `supervision` is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise ImportError(
                'to_supervision needs supervision; run pip install "lstd[tracking]"',
                name="supervision",
            ) from None
        least = self.min_score if min_score is None else min_score
        kept = np.flatnonzero(self.scores[: int(self.count)] >= least)
        boxes = self.relative().boxes[kept] * np.array(self.frame_size * 2, np.float32)
        names = self.names
        return supervision.Detections(
            xyxy=boxes[:, [1, 0, 3, 2]],
            confidence=self.scores[kept],
            class_id=self.classes[kept].astype(np.int64),
            data={"class_name": np.array([names[row] for row in kept], dtype=str)},
        )


def of_frame(
    outputs: dict[str, np.ndarray],
    *,
    rows_per_detection: int,
    frame_size: tuple[int, int],
    labels: tuple[str, ...],
    in_pixels: bool,
    min_score: float = MIN_SCORE,
) -> FrameDetections:
    """Returns an entry point's outputs of batch 1: clipped, sorted, zeros behind the last.

    `outputs` are `detection_boxes` `[1, N, 4]` in [0, 1], not clipped, `detection_classes` and
    `detection_scores` `[1, N]`, and `num_detections` of one number, which counts one for each
    `rows_per_detection` rows. The other arguments are those of `FrameDetections`.
    """
    boxes, classes, scores = (
        outputs[f"detection_{name}"][0] for name in ("boxes", "classes", "scores")
    )
    counted = int(outputs["num_detections"].reshape(-1)[0])
    count = min(max(counted, 0) * rows_per_detection, len(scores))
    order = np.argsort(-scores[:count], kind="stable")
    result = FrameDetections(
        boxes=np.zeros(boxes.shape, np.float32),
        scores=np.zeros(scores.shape, np.float32),
        classes=np.zeros(classes.shape, np.int32),
        count=np.array(count, np.int32),
    )
    kept = result.boxes[:count]
    np.maximum(boxes[order], 0.0, out=kept)
    np.minimum(kept, 1.0, out=kept)
    if in_pixels:
        kept *= np.array(frame_size * 2, np.float32)
    result.scores[:count] = scores[order]
    result.classes[:count] = np.rint(classes[order])
    result.frame_size, result.labels, result.in_pixels = frame_size, labels, in_pixels
    result.min_score = min_score
    return result
