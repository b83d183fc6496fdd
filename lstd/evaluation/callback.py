"""Evaluation at the end of each epoch of `fit`."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import tf_keras as keras

from lstd.evaluation import evaluate
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics import by_name
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.confusion import best_score
from lstd.evaluation.metrics.frame_metric import FrameMetric


class EvaluationCallback(keras.callbacks.Callback):
    """Puts `val_coco/ap` and its kin into the logs of each epoch.

    `val_min_score` is the score from which on detections of the first schedule have the best F1.
    Stands before the callbacks that read these logs (a checkpoint of the best epoch, a CSV file).

    Args:
        dataset: an evaluation dataset, read once from the beginning at the end of each epoch.
        metrics: factories, as in `lstd.evaluate`; None: COCO without the single classes.
        schedules: as in `lstd.evaluate`; with more than one, `val_SKIP3/coco/ap`.
    """

    def __init__(
        self,
        dataset: Iterable[Any],
        *,
        metrics: by_name.Metrics | None = None,
        schedules: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for metric in by_name.objects_in(metrics):
            raise ValueError(
                f"a {type(metric).__name__} would count all epochs together; give its class"
            )
        coco = [functools.partial(CocoMetric, per_class=False)]
        self.dataset = dataset
        self.metrics = coco if metrics is None else metrics
        self.schedules = schedules
        self._detector: Any = None

    def set_model(self, model: keras.Model) -> None:
        """Takes the model; its graph is traced once, for all epochs."""
        super().set_model(model)
        self._detector = ModelDetector(model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates and adds the numbers to `logs`, which is how Keras's callbacks pass them on."""
        names = evaluate.checked_schedules(self._detector, self.schedules)
        _, metrics = evaluate.run(self._detector, self.dataset, self.metrics, names)
        if logs is not None:
            numbers = evaluate.results_of(metrics)
            first = next((m for m in metrics[names[0]] if isinstance(m, FrameMetric)), None)
            if first is not None and (best := best_score(first.flat())):
                numbers["min_score"] = best.score
            logs.update({f"val_{name}": value for name, value in numbers.items()})
