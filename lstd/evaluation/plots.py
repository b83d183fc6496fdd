"""Pictures of numbers, as PNG: the losses, the AP over the epochs, precision over recall."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

History = Mapping[str, Sequence[float]]
"""Columns of equal length, a value for each epoch; NaN where an epoch has none."""

_COLOURS = ("#2563a8", "#d1652c", "#3a8f5b", "#8d5aa8", "#a8892b", "#4f6d7a")
_LOSSES = ("loss", "localization", "classification", "regularization")
_WIDTH, _HEIGHT, _DPI = 6.4, 3.8, 150  # inches, and pixels per inch


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
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".csv":
            rows: Any = list(csv.DictReader(io.StringIO(text)))
        elif path.suffix == ".json":
            rows = json.loads(text)
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
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
    figure, axes = _axes("epoch", "loss")
    for name, kind, values in curves:
        label = name if kind == "-" else f"{name}, validation"
        _draw(axes, values, label, _COLOURS[_LOSSES.index(name)], kind)
    values = np.concatenate([values for _, _, values in curves])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return _png(figure)


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
    figure, axes = _axes("epoch", "average precision")
    groups = list(dict.fromkeys(name.rsplit("coco/", 1)[0] for name in names))
    for name in names:
        group, metric = name.rsplit("coco/", 1)
        values = np.asarray(history[name], float)
        values = np.where(values == -1, np.nan, values)  # nothing could be measured
        colour = _COLOURS[groups.index(group) % len(_COLOURS)]
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
    axes.legend(frameon=False, fontsize=8)
    return _png(figure)


def precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, iou: float = 0.5
) -> bytes:
    """Returns a PNG of precision over recall, one line for each schedule (or other name).

    Args:
        curves: recall and precision, as `CocoMetric.precision_recall` gives them.
        iou: at which they were computed, for the caption.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("no precision-recall curve to plot")
    figure, axes = _axes("recall", f"precision at IoU {iou:g}")
    kinds = ("-", "--", "-.", ":")
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        measured = precision[np.isfinite(precision)]
        area = f"{measured.mean():.3f}" if len(measured) else "nothing measured"
        axes.plot(
            recall,
            precision,
            kinds[number % len(kinds)],
            color=_COLOURS[number % len(_COLOURS)],
            linewidth=1.6,
            label=f"{name}, area {area}",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return _png(figure)


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> bytes:
    """Returns a PNG of a confusion matrix: true class down, detected class across.

    Args:
        matrix: counts `[K + 1, K + 1]`, as `ConfusionMetric.matrix` gives them.
        labels: the names of the classes.

    Raises:
        ValueError: another number of labels.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(labels) + 1, len(labels) + 1):
        raise ValueError(f"{len(labels)} labels for a matrix of {list(matrix.shape)}")
    figure, axes = _axes("detected", "true")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    places = range(len(matrix))
    axes.set_xticks(places, [*labels, "missed"], rotation=45, ha="right", fontsize=8)
    axes.set_yticks(places, [*labels, "nothing"], fontsize=8)
    if len(matrix) <= 12:
        for row, column in np.ndindex(*matrix.shape):
            axes.text(
                column,
                row,
                str(matrix[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share[row, column] > 0.5 else "black",
            )
    return _png(figure)


def _axes(x_label: str, y_label: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no display
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if x_label == "epoch":
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


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _numbers(values: Sequence[Any]) -> list[float] | None:
    """Returns the values as floats, an empty one as NaN; None for a column of text."""
    try:
        return [float("nan") if value in (None, "") else float(value) for value in values]
    except (TypeError, ValueError):
        return None
