"""What becomes of the weights after each step and each epoch."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from lstd.fit.divergence import DivergedError
from lstd.training import weights_file
from lstd.training.keep_weights import Averages, KeepWeights
from lstd.training.run_folder import RunFolder
from tests.training import doubles


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
    ("values", "epoch", "weight"),
    [
        ([0.1, 0.3, 0.2], 1, 0.96),
        ([0.3, 0.3, 0.2], 0, 0.6),  # the first of equals
        ([math.nan, 0.1, 0.05], 1, 0.96),  # anything beats no number
        ([math.nan, math.nan, math.nan], 2, 1.176),
        ([0.1, math.nan, 0.05], 0, 0.6),
    ],
)
def test_best_weights_are_those_with_the_largest_precision(
    tmp_path: Path, values: list[float], epoch: int, weight: float
) -> None:
    folder, _ = _train(tmp_path, [doubles.Measure(values)])

    best = folder.read_record()["best"]
    assert (best["epoch"], best["step"], best["name"]) == (epoch, epoch + 1, "val_coco/ap")
    assert folder.min_score == (epoch + 1) / 10
    assert _saved(folder, "best") == pytest.approx(weight)


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
def test_broken_numbers_are_named(tmp_path: Path, place: str) -> None:
    model = doubles.line()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    averages = Averages(model.weights, decay=0.5)
    keep = KeepWeights(RunFolder(tmp_path), doubles.line(), averages=averages)
    keep.set_model(model)
    keep.check()
    variable = {
        "weight": model.weights[1],
        "optimizer": model.optimizer.variables[-1],
        "average": averages.values[0],
    }[place]
    variable.assign(tf.fill(variable.shape, math.nan))

    with pytest.raises(DivergedError, match=r"after step 0 .* not finite in (m/line|line|average)"):
        keep.check()
