"""How good a detector is: metrics, the run over the data, plots and the report page.

Every metric has one form, so that they can stand side by side in one run:

    metric.add(frame_id, ground_truth, detections)    # plain NumPy, boxes in pixels, no padding
    metric.result()                                   # {"coco/ap": 0.61, ...}
    metric.merge(other)                               # joins what another worker counted

`docs/metrics.md` defines every number.
"""

from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import ConfusionMetric
from lstd.evaluation.metrics.distance import DistanceMetric
from lstd.evaluation.metrics.flicker import FlickerMetric
from lstd.evaluation.metrics.streaming import StreamingMetric
from lstd.evaluation.metrics.vid import VidMetric

__all__ = [
    "CocoMetric",
    "ConfusionMetric",
    "DistanceMetric",
    "FlickerMetric",
    "StreamingMetric",
    "VidMetric",
]
