"""Plots of evaluations, as SVG that is dark where the reader's system is."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.evaluation.baselines import schedule_of

Points = tuple[Any, Any]
"""What lies across, and what upwards."""

_SIZE = 4.4, 3.2  # inches: its letters are read on a phone and where two stand side by side
_INK, _GRID = "#1d2530", "#e3e6ea"
_COLOURS = ("#2563a8", "#d1652c", "#3a8f5b", "#8d5aa8", "#a8892b", "#4f6d7a")
_DASHES = ("-", "--", ":", "-.")  # of a schedule, and of its baselines
_ON_DARK = dict(
    zip(
        (_INK, _GRID, *_COLOURS),
        ("#e6e9ee", "#333b46", "#7db3ea", "#f0945f", "#6cc48e", "#c495dd", "#d9bb5c", "#9db8c4"),
        strict=True,
    )
)
_MOST_TICKS = 15
_LEAST_SPAN = 0.1  # of an axis: what differs by less looks alike
_STYLE: Any = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    "axes.edgecolor": _INK,
    "font.size": 9,
    "svg.fonttype": "none",  # letters, not their outlines
    "svg.hashsalt": "lstd",  # the same bytes for the same plot
}


def precision_recall(curves: Mapping[str, Points], *, iou: float = 0.5) -> bytes:
    """Returns an SVG of precision over recall, as `CocoMetric.precision_recall` gives them."""
    areas = {}
    for name, (_, precision) in curves.items():
        measured = precision[np.isfinite(precision)]
        areas[name] = f"{name}: {measured.mean():.3f}" if len(measured) else f"{name}: none"
    return lines(curves, x="recall", y=f"precision at IoU {iou:g}", legend=areas)


def over_names(
    values: Mapping[str, Sequence[float]], names: Sequence[str], *, x_label: str
) -> bytes:
    """Returns an SVG of AP50 over what has an order, such as distances.

    Each line has a value for each name; -1, where nothing was measured, is left out.
    """
    points = {}
    for line, mine in values.items():
        places = np.flatnonzero(np.asarray(mine) != -1)
        points[line] = (places, np.asarray(mine)[places])
    return lines(points, x=x_label, y="AP50", marker="o", names=names)


def lines(
    points: Mapping[str, Points],
    *,
    x: str,
    y: str,
    marker: str = "",
    names: Sequence[str] = (),
    legend: Mapping[str, str] | None = None,
    log: bool = False,
) -> bytes:
    """Returns an SVG with a line for each name that has a point; the axes fit them.

    A baseline has the colour of its schedule, and dashes. `names` stand at 0, 1, ... of the lower
    axis; `legend` has what is said of a line, if not its name; `log` is of the other axis.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    families: dict[str, list[str]] = {}
    content = io.BytesIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y, axisbelow=True)
        axes.grid(color=_GRID, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        for name, (across, up) in points.items():
            family = families.setdefault(schedule_of(name), [])
            family.append(name)
            if len(across):
                axes.plot(
                    across,
                    up,
                    _DASHES[(len(family) - 1) % len(_DASHES)],
                    color=_COLOURS[[*families].index(schedule_of(name)) % len(_COLOURS)],
                    label=(legend or {}).get(name, name),
                    linewidth=1.8,
                    marker=marker,
                    markersize=4,
                )
        if all(np.asarray(across).dtype.kind == "i" for across, _ in points.values()):
            axes.locator_params(axis="x", integer=True)
        if names:
            step = -(-len(names) // _MOST_TICKS)
            axes.set_xticks(range(0, len(names), step), names[::step])
        if log:
            axes.set_yscale("log")
        else:
            low, high = axes.get_ylim()
            more = max(0.0, _LEAST_SPAN - (high - low)) / 2
            axes.set_ylim(low - more, high + more)
        if axes.lines:  # Below the plot, where it covers no line.
            columns = 2 if max(map(len, points)) > 10 else 3
            figure.legend(
                loc="outside lower center", ncols=columns, frameon=False, handlelength=2.6
            )
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return _with_dark(content.getvalue().decode()).encode()


def _with_dark(svg: str) -> str:
    """Returns an SVG whose colours are others where the reader's system is dark."""
    light, dark = "", ""
    for number, (colour, on_dark) in enumerate(_ON_DARK.items()):
        svg = svg.replace(colour, f"var(--c{number})")
        light += f"--c{number}:{colour};"
        dark += f"--c{number}:{on_dark};"
    style = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    style += "text{font-family:system-ui,sans-serif!important}"
    return svg.replace("</svg>", f"<style>{style}</style></svg>")
