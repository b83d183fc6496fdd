"""Histories and the plots made of them."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lstd.evaluation import history_plots

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


def test_history_is_the_same_from_csv_and_all_kinds_of_json(tmp_path: Path) -> None:
    columns = {"epoch": [0.0, 1.0], "loss": [2.5, 1.0], "val_coco/ap": [0.1, 0.2]}
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    files = {
        "a.csv": "epoch,loss,val_coco/ap\n0,2.5,0.1\n1,1.0,0.2\n",
        "a.json": json.dumps(columns),
        "b.json": json.dumps(rows),
        "a.jsonl": "\n".join(json.dumps(row) for row in rows),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

        assert history_plots.read_history(tmp_path / name) == columns


def test_missing_values_are_nan_and_columns_of_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text(
        '{"loss": 1, "note": "x"}\n{"val_coco/ap": 0.5, "note": "y"}\n'
    )

    history = history_plots.read_history(tmp_path / "h.jsonl")

    assert history.keys() == {"loss", "val_coco/ap"}
    assert history["loss"][0] == 1
    assert math.isnan(history["loss"][1])
    assert math.isnan(history["val_coco/ap"][0])


@pytest.mark.parametrize(("name", "text"), [("h.txt", "1"), ("h.json", "{"), ("h.json", "3")])
def test_file_that_is_no_history_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(ValueError, match=f"{name}: not a history"):
        history_plots.read_history(tmp_path / name)


def test_each_loss_column_changes_the_plot() -> None:
    whole = pixels(history_plots.loss_curves(HISTORY))

    for name in ("loss", "localization", "val_loss"):
        without = history_plots.loss_curves({key: v for key, v in HISTORY.items() if key != name})
        assert (pixels(without) != whole).any()
    assert whole.shape[1] > whole.shape[0] > 300


def test_ap_curve_marks_epochs_and_stands_missing_values() -> None:
    whole = pixels(history_plots.ap_curve(HISTORY))
    one_epoch = pixels(history_plots.ap_curve({"coco/ap": [0.3]}))
    nothing_measured = pixels(history_plots.ap_curve({"coco/ap": [-1.0, float("nan")]}))

    assert whole.shape == one_epoch.shape == nothing_measured.shape
    assert (whole != one_epoch).any()


def test_nothing_to_plot_is_said() -> None:
    with pytest.raises(ValueError, match="no loss to plot; the history has lr"):
        history_plots.loss_curves({"lr": [1.0]})
    with pytest.raises(ValueError, match="no AP to plot; the history has no columns"):
        history_plots.ap_curve({})
