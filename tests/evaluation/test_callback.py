"""The evaluation at the end of an epoch."""

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from lstd.evaluation.callback import EvaluationCallback
from lstd.evaluation.metrics.coco import CocoMetric
from tests.evaluation.fakes import FakeModel, clips


class Trainable(keras.Model):
    """A line to fit, which also detects as the FakeModel does."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)
        fake = FakeModel()
        self.fake = fake
        self.labels, self.num_classes = fake.labels, fake.num_classes
        self.networks, self.eval_schedule = fake.networks, fake.eval_schedule
        self.schedule_counts = fake.schedule_counts
        self.initial_state, self.detect = fake.initial_state, fake.detect

    def call(self, inputs: Any, training: bool = False, **evaluation: Any) -> Any:
        if evaluation:
            return self.fake(inputs, training=training, **evaluation)
        return self.dense(inputs)


class Listener(keras.callbacks.Callback):
    """Notes the logs of each epoch, as a checkpoint or a CSV file would."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.heard.append(dict(logs or {}))


def test_numbers_of_each_epoch_reach_later_callbacks_and_the_history() -> None:
    model, listener = Trainable(), Listener()
    model.compile("sgd", "mse")
    evaluation = EvaluationCallback(clips([[(b"v", 4)]], unroll=2), schedules=["LARGE", "SMALL"])

    history = model.fit(
        np.zeros([4, 1]), np.zeros([4, 1]), epochs=2, verbose=0, callbacks=[evaluation, listener]
    )

    assert [logs["val_LARGE/coco/ap"] for logs in listener.heard] == pytest.approx([1, 1])
    assert history.history["val_SMALL/coco/ap50"] == [0, 0]
    assert history.history["val_min_score"] == pytest.approx([0.005, 0.005])  # all is right
    assert model.fake.traces == 1
    assert not any("frames" in name or "by large" in name for name in history.history)


def test_metric_that_would_count_epochs_together_is_refused() -> None:
    with pytest.raises(ValueError, match="a CocoMetric would count all epochs together"):
        EvaluationCallback([], metrics=[CocoMetric(["cat"])])
