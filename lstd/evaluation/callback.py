"""Evaluation at the end of each epoch of `fit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tf_keras as keras

from lstd.evaluation import evaluate
from lstd.evaluation.detectors import ModelDetector
from lstd.evaluation.metrics import by_name
from lstd.evaluation.metrics.coco import CocoMetric


class EvaluationCallback(keras.callbacks.Callback):
    """Puts `val_coco/ap` and its kin into the logs of each epoch.

    Stands before the callbacks that read these logs (a checkpoint of the best epoch, a CSV file).

    Args:
        dataset: an evaluation dataset, read once from the beginning at the end of each epoch.
        metrics: factories, as in `lstd.evaluate`; None: COCO without the single classes.
        schedules: as in `lstd.evaluate`; with more than one, `val_SKIP3/coco/ap`.
        prefix: what stands before each name.

    Raises:
        ValueError: a metric that is not a factory; it would count the epochs together.
    """

    def __init__(
        self,
        dataset: Iterable[Any],
        *,
        metrics: by_name.Metrics | None = None,
        schedules: Sequence[str] | None = None,
        prefix: str = "val_",
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.metrics = [_coco_summary] if metrics is None else metrics
        self.schedules = schedules
        self.prefix = prefix
        self._detector: ModelDetector | None = None
        _refuse_objects(self.metrics)

    def set_model(self, model: keras.Model) -> None:
        """Takes the model; its graph is traced once, for all epochs."""
        super().set_model(model)
        self._detector = ModelDetector(model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates and adds the numbers to `logs`, which is how Keras's callbacks pass them on."""
        numbers = evaluate.evaluate(self._detector, self.dataset, self.metrics, self.schedules)
        if logs is not None:
            logs.update(
                {self.prefix + name: value for name, value in numbers.items() if name != "frames"}
            )


def _coco_summary(labels: tuple[str, ...]) -> CocoMetric:
    return CocoMetric(labels, per_class=False)


def _refuse_objects(metrics: by_name.Metrics) -> None:
    lists = metrics.values() if isinstance(metrics, Mapping) else [metrics]
    for metric in (metric for each in lists for metric in each):
        if not by_name.is_factory(metric):
            raise ValueError(
                f"a {type(metric).__name__} would count all epochs together; give its class"
            )
