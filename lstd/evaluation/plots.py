"""Plots of evaluations and of training, as PNG; one line for each schedule."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base import documents

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision, as `CocoMetric.precision_recall` gives them."""

History = Mapping[str, Sequence[float]]
"""Columns of equal length, a value for each epoch; NaN where an epoch has none."""

_WIDTH, _HEIGHT = 5.2, 3.4  # inches: at this size the letters are read where two stand side by side
_PAGE = 2 * _WIDTH  # of a plot as wide as the page
_DPI = 200
_SMALL = 9  # points
_COLOURS = ("#2563a8", "#d1652c", "#3a8f5b", "#8d5aa8", "#a8892b", "#4f6d7a")
_DASHES = ("-", "--", "-.", ":")  # lines that cover one another are told apart
_MOST_WRITTEN = 12  # classes, up to which each cell of a confusion matrix has its number
_CELL, _SMALL_CELL, _LEAST_SIDE = 0.27, 0.17, 2.2  # of a confusion matrix
_ROOM_FOR_NAMES, _ROOM_FOR_BAR = 1.1, 1.0
_LOSSES = ("loss", "localization", "classification", "regularization")


def precision_recall(curves: Mapping[str, Curve], *, iou: float = 0.5) -> bytes:
    """Returns a PNG of precision over recall, one line for each schedule (or other name).

    Args:
        curves: by name.
        iou: at which they were computed, for the axis.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("no precision-recall curve to plot")
    figure, axes = _new_axes("recall", f"precision at IoU {iou:g}")
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        measured = precision[np.isfinite(precision)]
        area = f"{measured.mean():.3f}" if len(measured) else "nothing measured"
        _draw(axes, recall, precision, number, label=f"{name}: {area}")
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
    _legend(figure, columns=2)
    return _png(figure)


def over_names(
    values: Mapping[str, Sequence[float]],
    names: Sequence[str],
    *,
    x_label: str,
    y_label: str = "AP50",
) -> bytes:
    """Returns a PNG of something over what has an order, such as AP over sizes.

    Args:
        values: by line, a value for each name; -1 is left out, and so is a line without any other,
            which yet keeps its colour.
        names: along the axis.
        x_label: what they are.
        y_label: what the values are.

    Raises:
        ValueError: there is no line.
    """
    if not values:
        raise ValueError(f"nothing to plot over {x_label}")
    figure, axes = _new_axes(x_label, y_label)
    for number, (line, mine) in enumerate(values.items()):
        known = [(place, value) for place, value in enumerate(mine) if value != -1]
        if not known:
            continue
        places, values_there = zip(*known, strict=True)
        _draw(axes, places, values_there, number, label=line, marker="o", markersize=4)
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_ylim(0, 1.02)
    _legend(figure, columns=4)
    return _png(figure)


def confusion(matrices: Mapping[str, np.ndarray], labels: Sequence[str]) -> bytes:
    """Returns a PNG of confusion matrices, a panel for each: true class down, detected across.

    A cell is as dark as its share of the objects of its class. Up to twelve classes have their
    counts written.

    Args:
        matrices: counts `[K + 1, K + 1]` by name, as `ConfusionMetric.matrix` gives them.
        labels: the names of the classes.

    Raises:
        ValueError: another number of labels, or no matrix.
    """
    if not matrices:
        raise ValueError("no confusion matrix to plot")
    for matrix in matrices.values():
        if np.shape(matrix) != (len(labels) + 1, len(labels) + 1):
            raise ValueError(f"{len(labels)} labels for a matrix of {list(np.shape(matrix))}")
    columns = min(len(matrices), _matrices_in_a_row(len(labels)))
    rows = -(-len(matrices) // columns)
    width = _PAGE if is_wide(len(matrices), len(labels)) else _WIDTH
    figure = _new_figure(width=width, height=rows * (_side(len(labels)) + 0.3))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(matrices) :]:
        panel.set_visible(False)
    for panel, (name, matrix) in zip(panels.flat, matrices.items(), strict=False):
        image = _draw_matrix(panel, np.asarray(matrix), labels, title=name)
    bar = figure.colorbar(
        image,
        ax=panels,
        shrink=0.8 / rows,
        aspect=20,
        anchor=(0.0, 1.0),  # beside the first row
        ticks=[0, 0.5, 1],
        format="{x:.0%}",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, length=0)
    bar.set_label("share of the class's objects", fontsize=9)
    return _png(figure)


def is_wide(matrices: int, num_classes: int) -> bool:
    """Returns whether a plot of so many confusion matrices is as wide as a page."""
    return matrices > 1 or _side(num_classes) > _WIDTH - _ROOM_FOR_BAR


def read_history(path: str | os.PathLike[str]) -> dict[str, list[float]]:
    """Returns the columns of numbers in a CSV file as Keras's `CSVLogger` writes it.

    A value for each epoch; NaN where one is missing.

    Raises:
        ValueError: it is no table.
        OSError: it cannot be read.
    """
    rows = documents.read_table(path)
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    numbers = {name: _numbers(values) for name, values in columns.items()}
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
    figure, axes = _epoch_axes("loss")
    for name, kind, values in curves:
        label = name if kind == "-" else f"{name}, validation"
        _draw_epochs(axes, values, label, _COLOURS[_LOSSES.index(name)], kind)
    values = np.concatenate([values for _, _, values in curves])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    _legend(figure, columns=2)
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
    figure, axes = _epoch_axes("average precision")
    groups = list(dict.fromkeys(name.rsplit("coco/", 1)[0] for name in names))
    for name in names:
        group, metric = name.rsplit("coco/", 1)
        values = np.asarray(history[name], float)
        values = np.where(values == -1, np.nan, values)  # nothing could be measured
        colour = _colour(groups.index(group))
        label = f"{group.removeprefix('val_')}coco/{metric}"
        _draw_epochs(axes, values, label, colour, "-" if metric == "ap" else "--")
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
    _legend(figure, columns=2)
    return _png(figure)


def _matrices_in_a_row(num_classes: int) -> int:
    return max(1, int((_PAGE - _ROOM_FOR_BAR) // _side(num_classes)))


def _side(num_classes: int) -> float:
    cell = _CELL if num_classes <= _MOST_WRITTEN else _SMALL_CELL
    return max(_LEAST_SIDE, cell * (num_classes + 1) + _ROOM_FOR_NAMES)


def _draw_matrix(axes: Any, matrix: np.ndarray, labels: Sequence[str], *, title: str) -> Any:
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    share[-1] = 0  # of what is not there nothing can be a share
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.spines[:].set_color("#c9ced6")
    axes.set_title(title, fontsize=10)
    places = range(len(matrix))
    axes.set_xticks(places, [*labels, "(missed)"], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [*labels, "(nothing)"])
    axes.tick_params(labelsize=9 if len(labels) <= _MOST_WRITTEN else 7, length=0)
    axes.set_xlabel("detected", fontsize=9)
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("true", fontsize=9)
    if len(labels) <= _MOST_WRITTEN:
        for row, column in np.ndindex(*matrix.shape):
            nothing = row == column == len(labels)  # neither there nor detected: not counted
            axes.text(
                column,
                row,
                "" if nothing else f"{matrix[row, column]:,}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share[row, column] > 0.5 else "black",
            )
    return image


def _epoch_axes(y_label: str) -> tuple[Any, Any]:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _new_axes("epoch", y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes


def _draw_epochs(axes: Any, values: np.ndarray, label: str, colour: str, kind: str) -> None:
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


def _draw(axes: Any, x: Any, y: Any, number: int, **more: Any) -> None:
    """Draws the n-th line."""
    dashes = _DASHES[number % len(_DASHES)]
    axes.plot(x, y, dashes, color=_colour(number), linewidth=1.6, **more)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _new_axes(x_label: str, y_label: str) -> tuple[Any, Any]:
    """Returns a figure with one pair of axes: a faint grid, no frame where there is no scale."""
    figure = _new_figure(width=_WIDTH, height=_HEIGHT)
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _new_figure(*, width: float, height: float) -> Any:
    """Returns an empty figure; inches."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _legend(figure: Any, *, columns: int) -> None:
    """Writes the names of the lines below the plot, where they cover none."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=_SMALL,
        handlelength=2.4,
    )


def _png(figure: Any) -> bytes:
    """Returns the figure as a PNG, the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
