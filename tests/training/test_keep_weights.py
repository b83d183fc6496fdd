"""Which weights are saved, which are evaluated, and which are the best."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from lstd.training import weights_file
from lstd.training.averages import Averages, UpdateAverages
from lstd.training.keep_weights import KeepWeights, Monitor, choose_monitor
from lstd.training.run_folder import RunFolder
from tests.training import doubles


def _train(
    path: Path, evaluations: Sequence[keras.callbacks.Callback] = (), **changes: Any
) -> tuple[RunFolder, keras.Model]:
    """Trains the line towards 3, one step an epoch: its two weights are 0.6, 0.96, 1.176."""
    folder, model = RunFolder(path), doubles.line()
    averages = Averages(model.weights, decay=0.5) if changes.pop("average", False) else None
    keep = KeepWeights(
        folder, doubles.line(), averages=averages, evaluations=evaluations, **changes
    )
    before = [UpdateAverages(averages)] if averages else []
    doubles.fit(model, [*before, keep], epochs=3, steps=1)
    return folder, model


def _saved(folder: RunFolder, name: Any) -> float:
    model = doubles.line()
    weights_file.load(model, folder.weights(name))
    return float(model.weights[0].numpy()[0, 0])


def test_last_weights_are_those_of_the_last_epoch(tmp_path: Path) -> None:
    folder, model = _train(tmp_path)

    assert _saved(folder, "last") == float(model.weights[0].numpy()[0, 0]) == pytest.approx(1.176)
    assert folder.read_record()["last"] == {"epoch": 2, "step": 3}


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

    best = json.loads(folder.record.read_text())["best"]
    assert (best["epoch"], best["step"]) == (best_epoch, best_epoch + 1)
    assert best["name"] == "val_coco/ap"
    assert _saved(folder, "best") == pytest.approx(best_weight)


def test_without_evaluation_the_lowest_loss_is_best(tmp_path: Path) -> None:
    folder, _ = _train(tmp_path)

    best = json.loads(folder.record.read_text())["best"]
    assert (best["epoch"], best["name"]) == (2, "loss")
    assert _saved(folder, "best") == pytest.approx(1.176)


def test_best_of_before_an_interruption_stands(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    best = {"epoch": 0, "step": 1, "name": "val_coco/ap", "value": 0.9}
    folder.update_record(best=best)

    _train(tmp_path, [doubles.Measure([0.1, 0.2, 0.3])])

    assert json.loads(folder.record.read_text())["best"] == best
    assert not folder.weights("best").exists()


def test_best_by_another_number_does_not_count(tmp_path: Path) -> None:
    RunFolder(tmp_path).update_record(best={"epoch": 0, "name": "loss", "value": 0.0})

    folder, _ = _train(tmp_path, [doubles.Measure([0.3, 0.2, 0.1])])

    assert json.loads(folder.record.read_text())["best"]["name"] == "val_coco/ap"


def test_evaluation_sees_the_weights_of_the_epoch(tmp_path: Path) -> None:
    measure = doubles.Measure([0.0, 0.0, 0.0])

    _train(tmp_path, [measure])

    seen = [float(weights[0][0, 0]) for weights in measure.seen]
    assert seen == pytest.approx([0.6, 0.96, 1.176])
    assert not hasattr(measure.model, "optimizer") or measure.model.optimizer.iterations == 0


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


def test_no_averages_are_saved_where_there_are_none(tmp_path: Path) -> None:
    folder, _ = _train(tmp_path, prefer_averages=True)

    assert not folder.weights("average").exists()


def test_precision_of_the_first_schedule_decides() -> None:
    logs = {
        "loss": 1.0,
        "val_LARGE/coco/ar1": 0.1,
        "val_LARGE/coco/ap": 0.2,
        "val_SKIP3/coco/ap": 0,
    }

    assert choose_monitor(logs) == Monitor("val_LARGE/coco/ap", largest=True)
    assert choose_monitor({"loss": 1.0}) == Monitor("loss", largest=False)
