"""What shows how far a run is, and what ends it."""

import contextlib
import io
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.base.progress import Progress
from lstd.config.train_config import QuantizationConfig
from lstd.layers.conv import ConvBN
from lstd.layers.fake_quant import FakeQuant
from lstd.training.callbacks import EndRun, Quantize, ShowProgress
from tests.training import doubles


@pytest.mark.parametrize(
    ("last", "epoch_end", "epochs_done"), [(3, 0, 1), (4, 0, 1), (6, 0, 2), (9, 1, 3)]
)
def test_fit_ends_at_the_last_step_and_the_first_epoch_may_be_shorter(
    last: int, epoch_end: int, epochs_done: int
) -> None:
    model, measure = doubles.line(), doubles.Measure([0.0] * 5)

    doubles.fit(model, [measure, EndRun(last, epoch_end=epoch_end)], epochs=5, steps=4)

    assert int(model.optimizer.iterations) == last
    assert len(measure.seen) == epochs_done


@pytest.mark.parametrize("stops", [True, False])
def test_callback_of_the_user_may_end_the_run_with_the_first_epoch(stops: bool) -> None:
    model, measure = doubles.line(), doubles.Measure([0.0] * 5)
    stop = keras.callbacks.TerminateOnNaN()

    def add(epoch: int, logs: Any = None) -> None:
        model.stop_training |= stops

    stop.on_epoch_end = add
    doubles.fit(model, [measure, stop, EndRun(9, epoch_end=1)], epochs=5, steps=4)

    assert int(model.optimizer.iterations) == (1 if stops else 9)


@pytest.mark.parametrize(("step", "epochs_done", "saved"), [(3, 0, [3]), (4, 1, []), (8, 2, [])])
def test_who_asks_to_stop_gets_a_saved_step_or_the_end_of_its_epoch(
    step: int, epochs_done: int, saved: list[int]
) -> None:
    model, measure, asked = doubles.line(), doubles.Measure([0.0] * 2), threading.Event()
    done: list[int] = []

    def ask(batch: int, logs: Any) -> None:
        if int(model.optimizer.iterations) == step:
            asked.set()

    end = EndRun(8, asked=asked, save=lambda: done.append(int(model.optimizer.iterations)))
    asking = keras.callbacks.LambdaCallback(on_train_batch_end=ask)
    with contextlib.nullcontext() if step == 8 else pytest.raises(KeyboardInterrupt):
        doubles.fit(model, [asking, measure, end], epochs=2, steps=4)

    assert (int(model.optimizer.iterations), len(measure.seen)) == (step, epochs_done)
    assert done == saved


LOGS = {"loss": 3.5, "localization": 2.0, "classification": 1.25, "regularization": 0.25}


def test_lines_have_steps_speed_time_left_losses_and_epochs_what_was_measured() -> None:
    now, stream, model = [0.0], io.StringIO(), doubles.line()
    shown = Progress(
        "training", total=10, done=3, rate=("frames", 8), stream=stream, clock=lambda: now[0]
    )
    progress = ShowProgress(shown)
    progress.set_model(model)

    for step in (4, 5, 6):  # 20 seconds each
        now[0] += 20.0
        model.optimizer.iterations.assign(step)
        progress.on_train_batch_end(0, LOGS)
    progress.on_epoch_end(0, {"loss": 3.5, "val_coco/ap": 0.25})
    now[0] += 1000.0  # between two epochs: not counted
    progress.on_epoch_begin(1)
    model.optimizer.iterations.assign(10)
    progress.on_train_batch_end(0, LOGS)

    losses = "loss 3.5 (localization 2, classification 1.25, regularization 0.25)"
    assert stream.getvalue().splitlines() == [
        f"training 5/10 steps, 0.4 frames/s, 1:40 left, {losses}",
        "epoch 1, 6/10 steps, 0.4 frames/s, 1:20 left, loss 3.5, coco/ap 0.25",
        f"training 10/10 steps, 0.4 frames/s, {losses}",
    ]


def test_rounding_and_folding_begin_in_their_steps_with_a_new_trace() -> None:
    conv, learned, traced = ConvBN(2, int8=True, activation=False), FakeQuant(), []
    optimizer = SimpleNamespace(iterations=tf.constant(0))
    callback = Quantize(QuantizationConfig(delay=2, range_decay=0.5), steps=5)
    callback.set_model(
        SimpleNamespace(
            submodules=[conv, learned],
            optimizer=optimizer,
            make_train_function=lambda force: traced.append((int(optimizer.iterations), force)),
        )
    )
    seen = []
    for step in range(5):
        optimizer.iterations = tf.constant(step)
        callback.on_train_batch_begin(step)
        seen.append((conv.rounds, learned.rounds, conv.frozen_statistics))
    assert seen == [(False, False, False)] * 2 + [(True, True, False)] * 2 + [(True, True, True)]
    assert traced == [(2, True), (4, True)]
    assert (learned.decay, learned.frozen_statistics) == (0.5, False)
