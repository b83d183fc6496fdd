"""Keeps every frame's ground truth and detections, in the form of a metric."""

from __future__ import annotations

from lstd.evaluation.accumulator import FrameMetric
from lstd.evaluation.frames import FrameId, Objects


class Collector(FrameMetric):
    """A metric that counts nothing and keeps everything, for drawing and for the baselines."""

    @property
    def ground_truth(self) -> dict[FrameId, Objects]:
        """The true objects of each frame, boxes in pixels."""
        return self._ground_truth

    @property
    def detections(self) -> dict[FrameId, Objects]:
        """What was detected in each frame, boxes in pixels."""
        return self._detections

    def result(self) -> dict[str, float]:
        """Returns no numbers."""
        return {}
