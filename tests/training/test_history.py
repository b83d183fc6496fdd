"""The history of a run: its file, its best epoch, and the end of a run that gets no better."""

import math
from pathlib import Path
from typing import Any

import pytest

from lstd.config.train_config import EarlyStoppingConfig
from lstd.training.callbacks import EndRun, WriteHistory
from lstd.training.history import Monitor, check_metric, is_over, monitor_of, read_history
from tests.training import doubles


def test_epochs_have_rows_those_done_again_replace_them_and_columns_may_come(
    tmp_path: Path,
) -> None:
    path, model = tmp_path / "history.csv", doubles.line()
    assert read_history(path) == []

    doubles.fit(model, [WriteHistory(path)], epochs=2, steps=1)

    rows = read_history(path)
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "1"), ("1", "2")]
    # One step from (0, 0) towards 3 with rate 0.1: both gain 0.6, the error falls from 3 to 1.8.
    assert [float(row["loss"]) for row in rows] == pytest.approx([9.0, 3.24])
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.1, 0.1])
    assert all(float(row["seconds"]) >= 0 for row in rows)

    again = [doubles.Measure([0.0, 0.25, 0.5]), WriteHistory(path)]
    doubles.fit(model, again, initial_epoch=1, epochs=2, steps=1)
    assert [(row["epoch"], row["step"], row["val_coco/ap"]) for row in read_history(path)] == [
        ("0", "1", ""),
        ("1", "3", "0.25"),
    ]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,loss\nx,2\n", "epoch,loss\n1,2,3\n"])
def test_other_tables_are_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv: not the history of a run"):
        read_history(tmp_path / "history.csv")


@pytest.mark.parametrize(
    ("values", "largest", "min_delta", "best"),
    [
        ([0.1, 0.3, 0.2], True, 0.0, 1),
        ([3.0, 1.0, 2.0], False, 0.0, 1),
        ([0.1, 0.1, 0.1], True, 0.0, 0),
        ([0.1, 0.15, 0.2], True, 0.1, 0),
        ([0.1, 0.15, 0.25], True, 0.1, 2),
        ([3.0, 2.5, 1.9], False, 1.0, 2),
        ([math.nan, 0.1, 0.05], True, 0.0, 1),
    ],
)
def test_best_epoch_is_the_last_that_improved_enough(
    values: list[float], largest: bool, min_delta: float, best: int
) -> None:
    assert Monitor("x", largest).best_of(values, min_delta=min_delta) == best


VALUES = [0.1, 0.3, 0.2, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9]


def _run(folder: Path, *, start: int = 0, epochs: int = 9, **settings: Any) -> tuple[int, str]:
    """Returns how many epochs a run had in all, and what was said."""
    measure, said, history = doubles.Measure(VALUES), [], folder / "history.csv"
    config = EarlyStoppingConfig(**{"patience": 2, **settings})
    end = EndRun(100, is_over=lambda: is_over(history, config, say=said.append))
    callbacks = [measure, WriteHistory(history), end]
    doubles.fit(doubles.line(), callbacks, initial_epoch=start, epochs=epochs, steps=1)
    return start + len(measure.seen), "".join(said)


def test_run_ends_as_many_epochs_after_the_best_as_patience_says(tmp_path: Path) -> None:
    assert _run(tmp_path, epochs=3)[0] == 3
    # Interrupted here, it ends where it would have ended.
    assert _run(tmp_path, start=3) == (
        4,
        "stopping early: val_coco/ap was best in epoch 2 (0.3) and has not improved by more than 0 "
        "in 2 epochs",
    )
    assert _run(tmp_path, patience=5) == (9, "")
    # The loss of the line falls from 9 to 3.24, 1.17 and 0.42: by less than 3 after the second.
    epochs, said = _run(tmp_path, metric="loss", min_delta=3.0)
    assert epochs == 4
    assert "loss was best in epoch 2 (3.24)" in said


@pytest.mark.parametrize(
    ("metric", "history"),
    [
        # A run may be resumed without its evaluation; its column is then empty.
        ("", "epoch,loss,val_coco/ap\n0,3,0.9\n1,2,\n2,1,\n"),
        # An error that was not measured is not the best.
        ("val_flicker/lost", "epoch,val_flicker/lost\n0,-1\n1,0.6\n2,0.4\n3,0.2\n"),
    ],
)
def test_number_that_was_not_measured_decides_nothing(
    tmp_path: Path, metric: str, history: str
) -> None:
    (tmp_path / "history.csv").write_text(history)
    config = EarlyStoppingConfig(patience=2, metric=metric)

    assert not is_over(tmp_path / "history.csv", config, say=pytest.fail)


def test_precision_of_the_first_schedule_decides_else_the_loss() -> None:
    logs = {"loss": 1, "val_LARGE/coco/ar1": 1, "val_LARGE/coco/ap": 2, "val_SKIP3/coco/ap": 0}

    assert monitor_of("", logs) == Monitor("val_LARGE/coco/ap", largest=True)
    assert monitor_of("", {"loss": 1.0}) == Monitor("loss", largest=False)
    with pytest.raises(
        ValueError, match=r"there is no 'val_ap' in an epoch .* are loss, val_LARGE"
    ):
        monitor_of("val_ap", logs)


def test_least_of_what_is_an_error_is_the_best() -> None:
    largest = ("val_coco/ap50", "val_SKIP3/flicker/found", "val_sap/in_time")
    smallest = (
        *("val_flicker/rate", "val_SKIP3/flicker/lost", "val_confusion/false", "gradient_norm"),
        *("val_SKIP3/sap/missed", "val_sap/lag_frames", "val_distance/fade_ap50", "val_SKIP3/loss"),
    )
    for metric in (*largest, *smallest):
        assert monitor_of(metric, {metric: 0.5}).largest == (metric in largest), metric


def test_metric_that_no_epoch_will_have_is_refused_at_once() -> None:
    for metric, is_evaluated in (("coco/ap", True), ("los", True), ("val_coco/ap", False)):
        with pytest.raises(ValueError, match=rf"metric is '{metric}', expected loss, .* val_coco"):
            check_metric(metric, is_evaluated=is_evaluated)
    for metric in ("", "loss", "gradient_norm", "val_coco/ap"):
        check_metric(metric, is_evaluated=True)
