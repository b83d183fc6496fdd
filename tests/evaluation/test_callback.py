"""The evaluation at the end of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
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
    assert model.fake.traces == 1
    assert not any("frames" in name or "by large" in name for name in history.history)


def test_metric_that_would_count_epochs_together_is_refused() -> None:
    with pytest.raises(ValueError, match="a CocoMetric would count all epochs together"):
        EvaluationCallback([], metrics=[CocoMetric(["cat"])])


class Shifted(Trainable):
    """Its boxes are off by a share of the frame that a callback sets before each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = tf.Variable(0.0, trainable=False)
        self.detect = self.detect_shifted

    def detect_shifted(self, predictions: Any) -> Any:
        found = self.fake.detect(predictions)
        return found._replace(boxes=found.boxes + self.shift)


def test_best_epoch_is_kept_and_training_ends_when_it_is_over(tmp_path: Path) -> None:
    # IoU with a shift of 0, 0.02 and 0.1: 1, 0.79 and 0.3. AP: 1, 0.6 and 0.
    shifts, path = [0.1, 0.02, 0.0, 0.02, 0.1, 0.0], tmp_path / "best.weights.h5"
    model = Shifted()
    model.compile("sgd", "mse")

    history = model.fit(
        np.ones([4, 1]),
        np.ones([4, 1]),
        epochs=len(shifts),
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: model.shift.assign(shifts[epoch])
            ),
            EvaluationCallback(clips([[(b"v", 4)]], unroll=2), schedules=["LARGE"]),
            keras.callbacks.ModelCheckpoint(
                path,
                monitor="val_coco/ap",
                mode="max",
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.EarlyStopping(monitor="val_coco/ap", mode="max", patience=2),
        ],
    )

    # Two epochs after the best it ends; the sixth never comes.
    assert history.history["val_coco/ap"] == pytest.approx([0, 0.6, 1, 0.6, 0])
    assert history.history["val_coco/ap50"] == pytest.approx([0, 1, 1, 1, 0])
    assert {"val_coco/ar100", "loss"} < set(history.history)
    model.load_weights(path)
    assert float(model.shift) == 0.0  # as in the third epoch
