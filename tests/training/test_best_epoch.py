"""A run ends when it has stopped getting better, also when it was interrupted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from lstd.config.train_config import EarlyStoppingConfig, TrainConfig
from lstd.training.best_epoch import Monitor, best_of, check_metric, is_over, monitor_of
from lstd.training.end_run import EndRun
from lstd.training.history import WriteHistory
from tests.training import doubles

LARGEST, SMALLEST = Monitor("ap", largest=True), Monitor("loss", largest=False)


@pytest.mark.parametrize(
    ("values", "monitor", "min_delta", "best"),
    [
        ([0.1, 0.3, 0.2], LARGEST, 0.0, 1),
        ([3.0, 1.0, 2.0], SMALLEST, 0.0, 1),
        ([0.1, 0.1, 0.1], LARGEST, 0.0, 0),
        ([0.1, 0.15, 0.2], LARGEST, 0.1, 0),
        ([0.1, 0.15, 0.25], LARGEST, 0.1, 2),
        ([3.0, 2.5, 1.9], SMALLEST, 1.0, 2),
        ([math.nan, 0.1, 0.05], LARGEST, 0.0, 1),
        ([0.1], LARGEST, 0.0, 0),
    ],
)
def test_best_epoch_is_the_last_that_improved_enough(
    values: list[float], monitor: Monitor, min_delta: float, best: int
) -> None:
    assert best_of(values, monitor, min_delta=min_delta) == best


def _run(
    folder: Path, values: list[float], *, initial_epoch: int = 0, epochs: int = 9, **settings: Any
) -> tuple[int, list[str]]:
    """Returns how many epochs a run had in all, and what was said."""
    measure, said, history = doubles.Measure(values), [], folder / "history.csv"
    config = EarlyStoppingConfig(**{"patience": 2, **settings})
    end = EndRun(100, is_over=lambda: is_over(history, config, say=said.append))
    doubles.fit(
        doubles.line(),
        [measure, WriteHistory(history), end],
        initial_epoch=initial_epoch,
        epochs=epochs,
        steps=1,
    )
    return initial_epoch + len(measure.seen), said


VALUES = [0.1, 0.3, 0.2, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9]


def test_run_ends_as_many_epochs_after_the_best_as_patience_says(tmp_path: Path) -> None:
    epochs, said = _run(tmp_path, VALUES)

    assert epochs == 4
    assert said == [
        "stopping early: val_coco/ap was best in epoch 2 (0.3) and has not improved by more than 0 "
        "in 2 epochs"
    ]


def test_interrupted_run_ends_where_it_would_have_ended(tmp_path: Path) -> None:
    _run(tmp_path, VALUES, epochs=3)

    epochs, _ = _run(tmp_path, VALUES, initial_epoch=3)

    assert epochs == 4


def test_metric_of_training_may_decide(tmp_path: Path) -> None:
    # The loss of the line falls from 9 to 3.24, 1.17 and 0.42: by less than 3 after the second.
    epochs, said = _run(tmp_path, VALUES, metric="loss", min_delta=3.0)

    assert epochs == 4
    assert "loss was best in epoch 2 (3.24)" in said[0]


@pytest.mark.parametrize(
    ("metric", "largest"),
    [
        ("val_coco/ap50", True),
        ("val_SKIP3/flicker/found", True),
        ("val_sap/in_time", True),
        ("val_flicker/rate", False),
        ("val_SKIP3/flicker/lost", False),
        ("val_confusion/false", False),
        ("val_SKIP3/sap/missed", False),
        ("val_sap/lag_frames", False),
        ("val_distance/fade_ap50", False),
        ("val_SKIP3/loss", False),
        ("gradient_norm", False),
    ],
)
def test_least_of_what_is_an_error_is_the_best(metric: str, largest: bool) -> None:
    assert monitor_of(metric, {metric: 0.5}) == Monitor(metric, largest=largest)


def test_patience_outlasts_a_short_run(tmp_path: Path) -> None:
    assert _run(tmp_path, VALUES, patience=5) == (9, [])


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


def test_precision_of_the_first_schedule_decides() -> None:
    logs = {"loss": 1, "val_LARGE/coco/ar1": 1, "val_LARGE/coco/ap": 2, "val_SKIP3/coco/ap": 0}

    assert monitor_of("", logs) == Monitor("val_LARGE/coco/ap", largest=True)
    assert monitor_of("", {"loss": 1.0}) == Monitor("loss", largest=False)


def test_unknown_metric_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(ValueError, match=r"there is no 'val_ap' in an epoch .* are loss, val_coco"):
        monitor_of("val_ap", {"loss": 1.0, "val_coco/ap": 0.1})


@pytest.mark.parametrize("metric", ["coco/ap", "los", "AP"])
def test_metric_that_no_epoch_has_is_refused_at_once(metric: str) -> None:
    with pytest.raises(ValueError, match=rf"metric is '{metric}', expected loss, .* val_coco"):
        check_metric(metric, num_evaluations=1, own_callbacks=False)
    check_metric(metric, num_evaluations=1, own_callbacks=True)
    check_metric(f"val_{metric}", num_evaluations=0, own_callbacks=True)


@pytest.mark.parametrize("metric", ["", "loss", "gradient_norm", "val_coco/ap"])
def test_metric_that_an_epoch_may_have_is_taken(metric: str) -> None:
    check_metric(metric, num_evaluations=1, own_callbacks=False)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        EarlyStoppingConfig(patience=0)
    assert TrainConfig().early_stopping is None
