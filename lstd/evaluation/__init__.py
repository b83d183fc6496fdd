"""How good a detector is: metrics, the run over the data, baselines, plots and the report page.

Every metric has one form, so that they can stand side by side in one run:

    metric.add(frame_id, ground_truth, detections)    # plain NumPy, boxes in pixels, no padding
    metric.result()                                   # {"coco/ap": 0.61, ...}
    metric.merge(other)                               # joins what another worker counted

`docs/metrics.md` defines every number.
"""

from lstd.evaluation.breakdown import DistanceMetric, SizeMetric
from lstd.evaluation.coco import CocoMetric
from lstd.evaluation.confusion import ConfusionMetric
from lstd.evaluation.flicker import FlickerMetric
from lstd.evaluation.streaming import StreamingMetric
from lstd.evaluation.vid import VidMetric

__all__ = [
    "CocoMetric",
    "ConfusionMetric",
    "DistanceMetric",
    "FlickerMetric",
    "SizeMetric",
    "StreamingMetric",
    "VidMetric",
]
