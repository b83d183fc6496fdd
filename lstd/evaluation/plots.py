"""Plots of evaluations, as PNG; one line for each schedule."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision, as `CocoMetric.precision_recall` gives them."""

_WIDTH, _HEIGHT = 5.2, 3.4  # inches: at this size the letters are read where two stand side by side
_PAGE = 2 * _WIDTH  # of a plot as wide as the page
_DPI = 200
_SMALL = 9  # points
_COLOURS = ("#2563a8", "#d1652c", "#3a8f5b", "#8d5aa8", "#a8892b", "#4f6d7a")
_DASHES = ("-", "--", "-.", ":")  # lines that cover one another are told apart
_MOST_WRITTEN = 12  # classes, up to which each cell of a confusion matrix has its number
_CELL, _SMALL_CELL, _LEAST_SIDE = 0.27, 0.17, 2.2  # of a confusion matrix
_ROOM_FOR_NAMES, _ROOM_FOR_BAR = 1.1, 1.0


def precision_recall(curves: Mapping[str, Curve], *, iou: float = 0.5) -> bytes:
    """Returns a PNG of precision over recall at an IoU, one line for each schedule (or name)."""
    lines = {}
    for name, (recall, precision) in curves.items():
        measured = precision[np.isfinite(precision)]
        area = f"{measured.mean():.3f}" if len(measured) else "nothing measured"
        lines[f"{name}: {area}"] = (recall, precision)
    figure = _lines(lines, 2, x="recall", y=f"precision at IoU {iou:g}")
    figure.axes[0].set_xlim(0, 1.01)
    return _png(figure)


def over_names(
    values: Mapping[str, Sequence[float]], names: Sequence[str], *, x_label: str
) -> bytes:
    """Returns a PNG of AP50 over what has an order, such as distances.

    Each line has a value for each name; -1, where nothing was measured, is left out.
    """
    lines = {}
    for line, mine in values.items():
        places = np.flatnonzero(np.asarray(mine) != -1)
        lines[line] = (places, np.asarray(mine)[places])
    figure = _lines(lines, 4, x=x_label, y="AP50", marker="o")
    figure.axes[0].set_xticks(range(len(names)), names, fontsize=_SMALL)
    figure.axes[0].set_xlim(-0.4, len(names) - 0.6)
    return _png(figure)


def confusion(matrices: Mapping[str, np.ndarray], labels: Sequence[str]) -> bytes:
    """Returns a PNG of confusion matrices, a panel for each: true class down, detected across.

    A cell is as dark as its share of the objects of its class. Up to twelve classes have their
    counts written. The matrices are those of `ConfusionMetric.matrix`.
    """
    in_a_row = int((_PAGE - _ROOM_FOR_BAR) // _side(len(labels)))
    columns = min(len(matrices), max(1, in_a_row))
    rows = -(-len(matrices) // columns)
    width = _PAGE if is_wide(len(matrices), len(labels)) else _WIDTH
    figure = _new_figure(width, rows * (_side(len(labels)) + 0.3))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(matrices) :]:
        panel.set_visible(False)
    for panel, (name, matrix) in zip(panels.flat, matrices.items(), strict=False):
        image = _draw_matrix(panel, np.asarray(matrix), labels, title=name)
    beside = {"shrink": 0.8 / rows, "aspect": 20, "anchor": (0.0, 1.0)}  # the first row
    bar = figure.colorbar(image, ax=panels, ticks=[0, 0.5, 1], format="{x:.0%}", **beside)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, length=0)
    bar.set_label("share of the class's objects", fontsize=9)
    return _png(figure)


def is_wide(matrices: int, num_classes: int) -> bool:
    """Returns whether a plot of so many confusion matrices is as wide as a page."""
    return matrices > 1 or _side(num_classes) > _WIDTH - _ROOM_FOR_BAR


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
            text = "" if nothing else f"{matrix[row, column]:,}"
            ink = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    return image


def _lines(
    lines: Mapping[str, tuple[Any, Any]], columns: int, *, x: str, y: str, marker: str = ""
) -> Any:
    """Returns a figure with a line for each name that has a point, from 0 to 1 upwards."""
    figure = _new_figure(_WIDTH, _HEIGHT)
    axes = figure.add_subplot(xlabel=x, ylabel=y, ylim=(0, 1.02), axisbelow=True)
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    style = {"linewidth": 1.6, "marker": marker, "markersize": 4}
    for number, (name, points) in enumerate(lines.items()):
        dashes, colour = _DASHES[number % len(_DASHES)], _COLOURS[number % len(_COLOURS)]
        if len(points[0]):
            axes.plot(*points, dashes, color=colour, label=name, **style)
    # Below the plot, where it covers no line.
    place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
    figure.legend(**place, fontsize=_SMALL, handlelength=2.4)
    return figure


def _new_figure(width: float, height: float) -> Any:  # inches
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Any) -> bytes:
    """Returns the figure as a PNG, the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
