"""The plots of an evaluation: what is given is drawn, in colours for light and for dark."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from lstd.evaluation import plots

RECALL = np.linspace(0, 1, 101)


def drawn(svg: bytes) -> list[tuple[str, bool, int]]:
    """Returns each line that means something: its colour, whether it is dashed, its points."""
    lines = []
    for path in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path"):
        style = path.get("style", "")
        if "stroke-width: 1.8" in style and path.get("clip-path"):
            colour = re.search(r"stroke: var\(--c(\d)\)", style)
            assert colour
            points = len(re.findall("[ML]", path.get("d", "")))
            lines.append((colour[1], "dasharray" in style, points))
    return lines


def texts(svg: bytes) -> list[str]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(each.itertext()).strip() for each in found]


def test_line_leaves_out_what_was_not_measured_and_baselines_are_dashes_of_one_colour() -> None:
    values = {"SKIP9": [0.2, 0.5, 0.9], "SKIP9-held": [0.2, -1.0, 0.9], "LARGE": [-1.0] * 3}

    svg = plots.over_names(values, ("near", "between", "far"), x_label="size")

    assert drawn(svg) == [("2", False, 3), ("2", True, 2)]
    assert {"near", "between", "far", "size", "AP50", "SKIP9", "SKIP9-held"} <= {*texts(svg)}
    assert "LARGE" not in texts(svg)


def test_axes_fit_the_data_but_do_not_blow_up_what_is_alike() -> None:
    def ticks(*ap50: float) -> list[float]:
        svg = plots.over_names({"A": ap50}, [chr(97 + n) for n in range(len(ap50))], x_label="x")
        return [float(text) for text in texts(svg) if re.fullmatch(r"\d\.\d+", text)]

    assert min(ticks(0.7, 0.9)) >= 0.65
    assert max(ticks(0.01, 0.1)) <= 0.15
    alike = ticks(0.801, 0.802)
    assert alike[-1] - alike[0] > 0.05


def test_every_colour_has_one_for_dark_pages_and_the_bytes_are_the_same_again() -> None:
    curves = {"LARGE": (RECALL, 1 - RECALL), "none": (RECALL, np.full(101, np.nan))}

    svg = plots.precision_recall(curves)

    assert svg == plots.precision_recall(curves)
    style = svg[svg.rindex(b"<style>") :].decode()
    assert style.count("--c0:") == style.count("--c7:") == 2
    assert "prefers-color-scheme:dark" in style
    assert not re.search(rb"#[0-9a-f]{6}", svg[: svg.rindex(b"<style>")])
    assert "LARGE: 0.500" in texts(svg)


def test_many_names_leave_some_out() -> None:
    svg = plots.over_names({"A": [0.5] * 40}, [str(n) for n in range(40)], x_label="x")

    assert [text for text in texts(svg) if text.isdigit()] == [str(n) for n in range(0, 40, 3)]


def test_whole_numbers_such_as_epochs_have_whole_ticks() -> None:
    svg = plots.lines({"a": (np.arange(1, 4), [0.1, 0.5, 0.9])}, x="epoch", y="loss")

    assert [text for text in texts(svg) if "." not in text and text.isdigit()] == ["1", "2", "3"]
