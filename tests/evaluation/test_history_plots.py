"""Histories and the plots made of them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest

from lstd.evaluation import plots

HISTORY = {
    "loss": [30.0, 4.0, 1.0],
    "localization": [10.0, 1.0, 0.3],
    "val_loss": [20.0, 5.0, 2.0],
    "val_coco/ap": [0.1, 0.5, 0.4],
    "val_SKIP3/coco/ap50": [-1.0, float("nan"), 0.7],
}


def pixels(content: bytes) -> np.ndarray:
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def test_history_has_numbers_nan_where_they_miss_and_no_columns_of_text(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text("epoch,loss,val_coco/ap,note\n0,2.5,,x\n1,1.0,0.2,y\n")

    history = plots.read_history(file)

    assert history.keys() == {"epoch", "loss", "val_coco/ap"}
    assert history["loss"] == [2.5, 1.0]
    assert math.isnan(history["val_coco/ap"][0])
    assert history["val_coco/ap"][1] == 0.2


def test_each_loss_column_changes_the_plot() -> None:
    whole = pixels(plots.loss_curves(HISTORY))

    for name in ("loss", "localization", "val_loss"):
        without = plots.loss_curves({key: v for key, v in HISTORY.items() if key != name})
        assert (pixels(without) != whole).any()
    assert whole.shape[1] > whole.shape[0] > 300


def test_ap_curve_marks_epochs_and_stands_missing_values() -> None:
    whole = pixels(plots.ap_curve(HISTORY))
    one_epoch = pixels(plots.ap_curve({"coco/ap": [0.3]}))
    nothing_measured = pixels(plots.ap_curve({"coco/ap": [-1.0, float("nan")]}))

    assert whole.shape == one_epoch.shape == nothing_measured.shape
    assert (whole != one_epoch).any()


def test_nothing_to_plot_is_said() -> None:
    with pytest.raises(ValueError, match="no loss to plot; the history has lr"):
        plots.loss_curves({"lr": [1.0]})
    with pytest.raises(ValueError, match="no AP to plot; the history has no columns"):
        plots.ap_curve({})
