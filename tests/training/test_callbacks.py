"""The small callbacks: limits, history, progress, curves."""

from __future__ import annotations

import contextlib
import io
import math
import threading
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.fit.divergence import DivergedError
from lstd.training import progress as progress_lib
from lstd.training.history import WriteHistory, read_history
from lstd.training.progress import Progress, readable_time
from lstd.training.run_end import RefuseBrokenWeights, StopAtStep, StopWhenAsked
from tests.training import doubles

# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "epochs_done"), [(3, 1), (4, 1), (6, 2)])
def test_fit_ends_at_the_last_step_even_within_an_epoch(last: int, epochs_done: int) -> None:
    model, measure = doubles.line(), doubles.Measure([0.0] * 5)

    doubles.fit(model, [StopAtStep(last), measure], epochs=5, steps=4)

    assert int(model.optimizer.iterations) == last
    assert len(measure.seen) == epochs_done


def test_first_epoch_may_be_shorter() -> None:
    model, measure = doubles.line(), doubles.Measure([0.0] * 5)

    doubles.fit(model, [StopAtStep(10, epoch_end=1), measure], epochs=3, steps=4)

    assert int(model.optimizer.iterations) == 1 + 4 + 4
    assert len(measure.seen) == 3


@pytest.mark.parametrize(("step", "epochs_done", "saved"), [(3, 0, [3]), (4, 1, []), (8, 2, [])])
def test_who_asks_to_stop_gets_a_saved_step_or_the_end_of_its_epoch(
    step: int, epochs_done: int, saved: list[int]
) -> None:
    model, measure, asked = doubles.line(), doubles.Measure([0.0] * 2), threading.Event()
    done: list[int] = []

    def ask(batch: int, logs: Any) -> None:
        if int(model.optimizer.iterations) == step:
            asked.set()

    stop = StopWhenAsked(asked, lambda: done.append(int(model.optimizer.iterations)))
    asking = keras.callbacks.LambdaCallback(on_train_batch_end=ask)
    last = step == 8
    with contextlib.nullcontext() if last else pytest.raises(KeyboardInterrupt):
        doubles.fit(model, [StopAtStep(8), asking, measure, stop], epochs=2, steps=4)

    assert (int(model.optimizer.iterations), len(measure.seen)) == (step, epochs_done)
    assert done == saved


@pytest.mark.parametrize("place", ["weight", "optimizer", "other"])
def test_broken_numbers_end_the_run_before_the_callbacks_that_save(place: str) -> None:
    model, measure, other = doubles.line(), doubles.Measure([0.0]), tf.Variable(0.0, name="other")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    slot = model.optimizer.variables[-1]
    variable = {"weight": model.weights[1], "optimizer": slot, "other": other}[place]

    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            variable.assign(tf.fill(variable.shape, math.nan))

    with pytest.raises(DivergedError, match=r"after step 1 .* not finite in (m/line/|line/|other)"):
        doubles.fit(model, [Break(), RefuseBrokenWeights([other]), measure], steps=1)
    assert measure.seen == []


def test_sound_numbers_pass() -> None:
    model, measure = doubles.line(), doubles.Measure([0.0])

    doubles.fit(model, [RefuseBrokenWeights(), measure], steps=1)

    assert len(measure.seen) == 1


# --- history --------------------------------------------------------------------------------------


def test_history_has_a_row_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"

    doubles.fit(doubles.line(), [WriteHistory(path)], epochs=2, steps=1)

    rows = read_history(path)
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "1"), ("1", "2")]
    # One step from (0, 0) towards 3 with rate 0.1: both gain 0.6, the error falls from 3 to 1.8.
    assert [float(row["loss"]) for row in rows] == pytest.approx([9.0, 3.24])
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.1, 0.1])
    assert all(float(row["seconds"]) >= 0 for row in rows)


def test_epochs_done_again_replace_their_rows_and_columns_may_come(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    model = doubles.line()
    doubles.fit(model, [WriteHistory(path)], epochs=3, steps=1)

    again = [doubles.Measure([0.0, 0.25, 0.5]), WriteHistory(path)]
    doubles.fit(model, again, initial_epoch=1, epochs=2, steps=1)

    rows = read_history(path)
    assert [(row["epoch"], row["step"], row["val_coco/ap"]) for row in rows] == [
        ("0", "1", ""),
        ("1", "4", "0.25"),
    ]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,loss\nx,2\n", "epoch,loss\n1,2,3\n"])
def test_other_tables_are_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv: not the history of a run"):
        read_history(tmp_path / "history.csv")


def test_missing_history_has_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / "history.csv") == []


# --- progress -------------------------------------------------------------------------------------


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by two seconds with each look, one look a step and one a line."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(progress_lib.time, "monotonic", monotonic)
    return now


def _progress(model: Any, stream: io.StringIO, **changes: Any) -> Progress:
    progress = Progress(last_step=10, frames_per_step=8, stream=stream, **changes)
    progress.set_model(model)
    return progress


def _trained(steps: int) -> keras.Model:
    model = doubles.line()
    model.optimizer.iterations.assign(steps)
    return model


LOGS = {"loss": 3.5, "localization": 2.0, "classification": 1.25, "regularization": 0.25}


def test_line_has_steps_speed_losses_by_part_and_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(_trained(4), stream, seconds=0.0)

    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, LOGS)

    # Two looks at the clock a step: 2 s each, 8 frames in 2 s, 6 steps left.
    assert stream.getvalue().splitlines() == [
        "step 4/10, loss 3.5 (localization 2, classification 1.25, regularization 0.25)",
        "step 4/10, 4.0 frames/s, loss 3.5 (localization 2, classification 1.25, "
        "regularization 0.25), 12 s left",
    ]


def test_epoch_has_its_line_with_what_was_measured(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(_trained(10), stream)

    progress.on_epoch_end(2, {"loss": 3.5, "val_coco/ap": 0.25})

    assert stream.getvalue() == "epoch 3: step 10/10, loss 3.5, coco/ap 0.25\n"


def test_log_file_gets_few_lines(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(_trained(4), stream)

    for batch in range(100):  # 200 s, a line every 30 s or at the first step after
        progress.on_train_batch_end(batch, LOGS)

    assert 6 <= len(stream.getvalue().splitlines()) <= 7


def test_terminal_has_one_line_rewritten(clock: list[float]) -> None:
    stream = _Terminal()
    progress = _progress(_trained(4), stream)

    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, {"loss": 3.5})
    progress.on_epoch_end(0, {"loss": 3.5})

    _, first, second, last = stream.getvalue().split("\r")
    assert "\n" not in first + second
    assert last.endswith("\n")
    assert len(second) >= len(first)  # what was longer before is blanked


def test_time_between_epochs_is_not_counted(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(_trained(4), stream, seconds=1e9)
    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, LOGS)

    clock[0] += 1000.0
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, LOGS)
    progress.on_epoch_end(1, LOGS)

    assert "4.0 frames/s" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (7384, "2 h 3 min"), (90000, "1 d 1 h")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert readable_time(seconds) == text
