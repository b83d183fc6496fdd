"""What happens after each step and each epoch: averages, weights, history, progress, the end."""

from __future__ import annotations

import contextlib
import io
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.base import terminal
from lstd.fit.divergence import DivergedError
from lstd.training import progress as progress_lib
from lstd.training import weights_file
from lstd.training.averages import Averages
from lstd.training.end_run import EndRun
from lstd.training.history import WriteHistory, read_history
from lstd.training.keep_weights import KeepWeights
from lstd.training.progress import Progress, readable_time
from lstd.training.run_folder import RunFolder
from tests.training import doubles

# --- the end --------------------------------------------------------------------------------------


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


# --- averages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.9999, 0.3])  # (1 + n) / (10 + n) passes 0.3 at the third step
def test_averages_follow_the_formula_start_anew_and_come_back_from_a_checkpoint(
    tmp_path: Path, decay: float
) -> None:
    variable = tf.Variable([1.0, -2.0])
    averages = Averages([variable], decay=decay)
    rng, expected = np.random.default_rng(0), np.array([1.0, -2.0])
    np.testing.assert_array_equal(averages.values[0], expected)
    for step in range(1, 31):
        variable.assign_add(rng.normal(0, 1, 2))
        walked = variable.numpy()
        averages.update(tf.constant(step, tf.int64))
        now = min(decay, (1 + step) / (10 + step))
        expected = now * expected + (1 - now) * walked
    np.testing.assert_allclose(averages.values[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(variable, walked)

    path = tf.train.Checkpoint(averages=averages).save(str(tmp_path / "one"))
    names = [name for name, _ in tf.train.list_variables(path) if name.startswith("averages")]
    assert names == ["averages/values/0/.ATTRIBUTES/VARIABLE_VALUE"]
    again = Averages([tf.Variable([0.0, 0.0])], decay=0.9)
    tf.train.Checkpoint(averages=again).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(again.values[0], averages.values[0])

    averages.restart()
    np.testing.assert_array_equal(averages.values[0], walked)


# --- weights --------------------------------------------------------------------------------------


def _train(
    path: Path, evaluations: Sequence[keras.callbacks.Callback] = (), **changes: Any
) -> tuple[RunFolder, keras.Model]:
    """Trains the line towards 3, one step an epoch: its two weights are 0.6, 0.96, 1.176."""
    folder, model = RunFolder(path), doubles.line()
    averages = Averages(model.weights, decay=0.5) if changes.pop("average", False) else None
    keep = KeepWeights(
        folder, doubles.line(), averages=averages, evaluations=evaluations, **changes
    )
    doubles.fit(model, [keep], epochs=3, steps=1)
    return folder, model


def _saved(folder: RunFolder, name: Any) -> float:
    model = doubles.line()
    weights_file.load(model, folder.weights(name))
    return float(model.weights[0].numpy()[0, 0])


def test_last_weights_are_those_of_the_last_epoch_and_the_lowest_loss_is_best(
    tmp_path: Path,
) -> None:
    folder, model = _train(tmp_path, prefer_averages=True)

    assert _saved(folder, "last") == float(model.weights[0].numpy()[0, 0]) == pytest.approx(1.176)
    record = folder.read_record()
    assert record["last"] == {"epoch": 2, "step": 3}
    assert (record["best"]["epoch"], record["best"]["name"]) == (2, "loss")
    assert _saved(folder, "best") == pytest.approx(1.176)
    assert not folder.weights("average").exists()  # there are none


@pytest.mark.parametrize(
    ("values", "best_epoch", "best_weight"),
    [
        ([0.1, 0.3, 0.2], 1, 0.96),
        ([0.3, 0.3, 0.2], 0, 0.6),  # the first of equals
        ([math.nan, 0.1, 0.05], 1, 0.96),  # anything beats no number
        ([math.nan, math.nan, math.nan], 2, 1.176),
        ([0.1, math.nan, 0.05], 0, 0.6),
    ],
)
def test_best_weights_are_those_with_the_largest_precision(
    tmp_path: Path, values: list[float], best_epoch: int, best_weight: float
) -> None:
    folder, _ = _train(tmp_path, [doubles.Measure(values)])

    best = folder.read_record()["best"]
    assert (best["epoch"], best["step"], best["name"]) == (
        best_epoch,
        best_epoch + 1,
        "val_coco/ap",
    )
    assert _saved(folder, "best") == pytest.approx(best_weight)


@pytest.mark.parametrize(("name", "stands"), [("val_coco/ap", True), ("loss", False)])
def test_best_of_before_an_interruption_stands_if_it_is_of_the_same_number(
    tmp_path: Path, name: str, stands: bool
) -> None:
    before = {"epoch": 0, "step": 1, "name": name, "value": 0.9}
    RunFolder(tmp_path).update_record(best=before)

    folder, _ = _train(tmp_path, [doubles.Measure([0.1, 0.2, 0.3])])

    assert (folder.read_record()["best"] == before) == stands
    assert folder.weights("best").exists() != stands


# decay min(0.5, (1 + n) / (10 + n)): 2/11, 3/12, 4/13 of what was, from 0.
AVERAGES = (
    0.6 * 9 / 11,
    0.25 * (0.6 * 9 / 11) + 0.75 * 0.96,
    4 / 13 * (0.25 * (0.6 * 9 / 11) + 0.75 * 0.96) + 9 / 13 * 1.176,
)


@pytest.mark.parametrize("prefer", [False, True])
def test_averages_are_saved_and_evaluated_where_preferred(tmp_path: Path, prefer: bool) -> None:
    measure = doubles.Measure([0.1, 0.2, 0.3])

    folder, model = _train(tmp_path, [measure], average=True, prefer_averages=prefer)

    assert _saved(folder, "average") == pytest.approx(AVERAGES[2])
    assert _saved(folder, "last") == pytest.approx(1.176)
    seen = [float(weights[0][0, 0]) for weights in measure.seen]
    assert seen == pytest.approx(AVERAGES if prefer else [0.6, 0.96, 1.176])
    assert _saved(folder, "best") == pytest.approx(seen[2])
    np.testing.assert_allclose(model.weights[0].numpy(), [[1.176]], rtol=1e-6)  # left alone


@pytest.mark.parametrize("place", ["weight", "optimizer", "average"])
def test_broken_numbers_end_the_run_before_anything_is_saved(tmp_path: Path, place: str) -> None:
    model, measure, folder = doubles.line(), doubles.Measure([0.0]), RunFolder(tmp_path / "run")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    averages = Averages(model.weights, decay=0.5)
    variable = {
        "weight": model.weights[1],
        "optimizer": model.optimizer.variables[-1],
        "average": averages.values[0],
    }[place]
    broken = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: variable.assign(tf.fill(variable.shape, math.nan))
    )
    keep = KeepWeights(folder, doubles.line(), averages=averages, evaluations=[measure])

    with pytest.raises(DivergedError, match=r"after step 1 .* not finite in (m/line|line|average)"):
        doubles.fit(model, [broken, keep], steps=1)
    assert measure.seen == []
    assert not folder.path.exists()


# --- history --------------------------------------------------------------------------------------


def test_history_has_a_row_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert read_history(path) == []

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


# --- progress -------------------------------------------------------------------------------------


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by two seconds with each step."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += 2.0
        return now[0]

    monkeypatch.setattr(progress_lib.time, "monotonic", monotonic)
    return now


def _progress(steps: int, stream: io.StringIO, clock: list[float], **changes: Any) -> Progress:
    line = terminal.StatusLine(stream, clock=lambda: clock[0], **changes)
    progress = Progress(last_step=10, frames_per_step=8, line=line)
    model = doubles.line()
    model.optimizer.iterations.assign(steps)
    progress.set_model(model)
    return progress


LOGS = {"loss": 3.5, "localization": 2.0, "classification": 1.25, "regularization": 0.25}


def test_line_has_steps_speed_losses_by_part_and_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(4, stream, clock, seconds=0.0)

    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, LOGS)

    # 8 frames in 2 s, 6 steps left.
    assert stream.getvalue().splitlines() == [
        "step 4/10, loss 3.5 (localization 2, classification 1.25, regularization 0.25)",
        "step 4/10, 4.0 frames/s, loss 3.5 (localization 2, classification 1.25, "
        "regularization 0.25), 12 s left",
    ]


def test_epoch_has_its_line_with_what_was_measured(clock: list[float]) -> None:
    stream = io.StringIO()

    _progress(10, stream, clock).on_epoch_end(2, {"loss": 3.5, "val_coco/ap": 0.25})

    assert stream.getvalue() == "epoch 3: step 10/10, loss 3.5, coco/ap 0.25\n"


def test_log_file_gets_few_lines(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(4, stream, clock)

    for batch in range(100):  # 200 s, a line every 30 s or at the first step after
        progress.on_train_batch_end(batch, LOGS)

    assert 6 <= len(stream.getvalue().splitlines()) <= 7


def test_terminal_has_one_line_rewritten(clock: list[float]) -> None:
    stream = _Terminal()
    progress = _progress(4, stream, clock)

    progress.on_train_batch_end(0, LOGS)
    progress.on_train_batch_end(1, {"loss": 3.5})
    progress.on_epoch_end(0, {"loss": 3.5})

    _, first, second, last = stream.getvalue().split("\r")
    assert "\n" not in first + second
    assert last.endswith("\n")
    assert len(second) >= len(first)  # what was longer before is blanked


def test_time_between_epochs_is_not_counted(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = _progress(4, stream, clock, seconds=1e9)
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        progress.on_train_batch_end(0, LOGS)
        progress.on_train_batch_end(1, LOGS)
        clock[0] += 1000.0
    progress.on_epoch_end(1, LOGS)

    assert "4.0 frames/s" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (7384, "2 h 3 min"), (90000, "1 d 1 h")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert readable_time(seconds) == text
