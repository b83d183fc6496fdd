"""How all plots of the evaluation look: sizes, colours, axes, and the PNG that comes out."""

from __future__ import annotations

import io
from typing import Any

COLOURS = ("#2563a8", "#d1652c", "#3a8f5b", "#8d5aa8", "#a8892b", "#4f6d7a")
KINDS = ("-", "--", "-.", ":")
WIDTH, HEIGHT = 5.2, 3.4  # inches: at this size the letters are read where two stand side by side
_DPI = 200
_SMALL = 9  # points


def colour(number: int) -> str:
    """Returns the colour of the n-th thing that is drawn; they repeat."""
    return COLOURS[number % len(COLOURS)]


def kind(number: int) -> str:
    """Returns the dashes of the n-th line, so that lines that cover one another are told apart."""
    return KINDS[number % len(KINDS)]


def axes(
    x_label: str, y_label: str, *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Any, Any]:
    """Returns a figure with one pair of axes; inches."""
    figure = new(width=width, height=height)
    result = figure.add_subplot()
    result.set_xlabel(x_label)
    result.set_ylabel(y_label)
    plain(result)
    return figure, result


def new(*, width: float, height: float) -> Any:
    """Returns an empty figure; inches."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def plain(axes: Any) -> None:
    """Gives axes a faint grid, and takes away the frame where there is no scale."""
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(figure: Any, *, columns: int, axes: Any = None) -> None:
    """Writes the names of the lines below the plot, where they cover none.

    Args:
        figure: all of it.
        columns: names in a row.
        axes: whose lines count; None: those of all.
    """
    handles, labels = (axes or figure.axes[0]).get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=_SMALL,
        handlelength=2.4,
    )


def png(figure: Any) -> bytes:
    """Returns the figure as a PNG, the same bytes for the same figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
