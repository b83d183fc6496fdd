"""Pictures of what an evaluation measured, as PNG; one line for each schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.evaluation import figures

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision, as `CocoMetric.precision_recall` gives them."""

_PAGE = 2 * figures.WIDTH  # inches, of a plot as wide as the page
_COLUMNS = 4  # panels in a row
_PANEL_HEIGHT = 1.9
_MOST_WRITTEN = 12  # classes, up to which each cell of a confusion matrix has its number
_CELL, _SMALL_CELL, _LEAST_SIDE = 0.27, 0.17, 2.2  # of a confusion matrix
_ROOM_FOR_NAMES, _ROOM_FOR_BAR = 1.1, 1.0


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
    figure, axes = figures.axes("recall", f"precision at IoU {iou:g}")
    _draw_curves(axes, curves, with_area=True)
    figures.legend(figure, columns=2)
    return figures.png(figure)


def precision_recall_by_class(
    curves: Mapping[str, Mapping[str, Curve]],
) -> bytes:
    """Returns a PNG with a panel for each class, in it precision over recall for each schedule.

    Args:
        curves: by class, then by schedule.

    Raises:
        ValueError: there is no class.
    """
    if not curves:
        raise ValueError("no precision-recall curve to plot")
    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    width = _PAGE if columns > 2 else figures.WIDTH
    figure = figures.new(width=width, height=rows * _PANEL_HEIGHT + 0.7)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel, (label, mine) in zip(panels.flat, curves.items(), strict=False):
        figures.plain(panel)
        panel.set_title(label, fontsize=10)
        _draw_curves(panel, mine, with_area=False)
    for panel in panels.flat[len(curves) :]:
        panel.set_visible(False)
    for panel in panels.flat[: len(curves)][-columns:]:  # the last of each column
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("recall", fontsize=9)
    for panel in panels[:, 0]:
        panel.set_ylabel("precision", fontsize=9)
    figures.legend(figure, columns=6 if columns > 2 else 4, axes=panels.flat[0])
    return figures.png(figure)


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
    figure, axes = figures.axes(x_label, y_label)
    for number, (line, mine) in enumerate(values.items()):
        known = [(place, value) for place, value in enumerate(mine) if value != -1]
        if not known:
            continue
        axes.plot(
            [place for place, _ in known],
            [value for _, value in known],
            figures.kind(number),
            color=figures.colour(number),
            linewidth=1.6,
            marker="o",
            markersize=4,
            label=line,
        )
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_ylim(0, 1.02)
    figures.legend(figure, columns=4)
    return figures.png(figure)


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
    width = _PAGE if is_wide(len(matrices), len(labels)) else figures.WIDTH
    figure = figures.new(width=width, height=rows * (_side(len(labels)) + 0.3))
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
    return figures.png(figure)


def is_wide(matrices: int, num_classes: int) -> bool:
    """Returns whether a plot of so many confusion matrices is as wide as a page."""
    return matrices > 1 or _side(num_classes) > figures.WIDTH - _ROOM_FOR_BAR


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


def _draw_curves(axes: Any, curves: Mapping[str, Curve], *, with_area: bool) -> None:
    for number, (name, (recall, precision)) in enumerate(curves.items()):
        measured = precision[np.isfinite(precision)]
        area = f"{measured.mean():.3f}" if len(measured) else "nothing measured"
        axes.plot(
            recall,
            precision,
            figures.kind(number),
            color=figures.colour(number),
            linewidth=1.6,
            label=f"{name}: {area}" if with_area else name,
        )
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
