"""Pictures of a training run, as PNG: the losses and the AP over the epochs."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstd import documents
from lstd.evaluation import figures

History = Mapping[str, Sequence[float]]
"""Columns of equal length, a value for each epoch; NaN where an epoch has none."""

_LOSSES = ("loss", "localization", "classification", "regularization")


def read_history(path: str | os.PathLike[str]) -> dict[str, list[float]]:
    """Returns the columns of a history file, a value for each epoch; NaN where one is missing.

    Args:
        path: `.csv` as Keras's `CSVLogger` writes it; `.json` with a dict of columns or a list of
            rows; `.jsonl` with one row a line. Columns that hold text are left out.

    Raises:
        ValueError: the file is of another kind, or not readable as what its name says.
        OSError: it is not there.
    """
    path = Path(path)
    text = documents.read_text(path)
    try:
        if path.suffix == ".csv":
            rows: Any = list(csv.DictReader(io.StringIO(text)))
        elif path.suffix == ".json":
            rows = documents.from_json(text, source=path.name)
        elif path.suffix == ".jsonl":
            lines = [line for line in text.splitlines() if line.strip()]
            rows = [documents.from_json(line, source=path.name) for line in lines]
        else:
            raise ValueError("expected a name that ends in .csv, .json or .jsonl")
        if isinstance(rows, dict):
            columns = rows
        else:
            names = dict.fromkeys(name for row in rows for name in row)
            columns = {name: [row.get(name) for row in rows] for name in names}
        numbers = {str(name): _numbers(values) for name, values in columns.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a history of epochs: {error}") from None
    return {name: values for name, values in numbers.items() if values is not None}


def loss_curves(history: History) -> bytes:
    """Returns a PNG of the loss and its parts over the epochs, of training and of validation.

    Args:
        history: columns `loss`, `localization`, `classification`, `regularization`, and the same
            with `val_` before them, those that there are. The axis is logarithmic where the values
            differ by more than a factor of 20.

    Raises:
        ValueError: there is none of these columns.
    """
    curves = [
        (name, kind, np.asarray(history[prefix + name], float))
        for name in _LOSSES
        for prefix, kind in (("", "-"), ("val_", "--"))
        if prefix + name in history
    ]
    if not curves:
        raise ValueError(f"no loss to plot; the history has {', '.join(history) or 'no columns'}")
    figure, axes = _axes("loss")
    for name, kind, values in curves:
        label = name if kind == "-" else f"{name}, validation"
        _draw(axes, values, label, figures.COLOURS[_LOSSES.index(name)], kind)
    values = np.concatenate([values for _, _, values in curves])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    figures.legend(figure, columns=2)
    return figures.png(figure)


def ap_curve(history: History) -> bytes:
    """Returns a PNG of COCO AP and AP50 on the evaluation data over the epochs.

    Args:
        history: columns that end in `coco/ap` or `coco/ap50`, such as `val_coco/ap` and
            `val_SKIP3/coco/ap`. The best epoch of each `coco/ap` is marked.

    Raises:
        ValueError: there is none of these columns.
    """
    names = [name for name in history if name.endswith(("coco/ap", "coco/ap50"))]
    if not names:
        raise ValueError(f"no AP to plot; the history has {', '.join(history) or 'no columns'}")
    figure, axes = _axes("average precision")
    groups = list(dict.fromkeys(name.rsplit("coco/", 1)[0] for name in names))
    for name in names:
        group, metric = name.rsplit("coco/", 1)
        values = np.asarray(history[name], float)
        values = np.where(values == -1, np.nan, values)  # nothing could be measured
        colour = figures.colour(groups.index(group))
        label = f"{group.removeprefix('val_')}coco/{metric}"
        _draw(axes, values, label, colour, "-" if metric == "ap" else "--")
        if metric == "ap" and np.isfinite(values).any():
            best = int(np.nanargmax(values))
            axes.annotate(
                f"{values[best]:.3f}",
                (best + 1, values[best]),
                textcoords="offset points",
                xytext=(0, 7),
                ha="center",
                fontsize=8,
                color=colour,
            )
    axes.set_ylim(0, 1)
    figures.legend(figure, columns=2)
    return figures.png(figure)


def _axes(y_label: str) -> tuple[Any, Any]:
    from matplotlib.ticker import MaxNLocator

    figure, axes = figures.axes("epoch", y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes


def _draw(axes: Any, values: np.ndarray, label: str, colour: str, kind: str) -> None:
    epochs = np.arange(1, len(values) + 1)
    known = np.isfinite(values)  # so that a line goes on over epochs without a value
    few = known.sum() <= 30
    axes.plot(
        epochs[known],
        values[known],
        kind,
        color=colour,
        label=label,
        linewidth=1.6,
        marker="o" if few else None,
        markersize=3,
    )


def _numbers(values: Sequence[Any]) -> list[float] | None:
    """Returns the values as floats, an empty one as NaN; None for a column of text."""
    try:
        return [float("nan") if value in (None, "") else float(value) for value in values]
    except (TypeError, ValueError):
        return None
