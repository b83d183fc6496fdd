"""The plots of an evaluation: what is given is drawn, and changes the picture."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lstd.evaluation import plots

RECALL = np.linspace(0, 1, 101)
FALLING, NONE = (RECALL, 1 - RECALL), (RECALL, np.full(101, np.nan))


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws a quarter as many pixels a side."""
    monkeypatch.setattr(plots, "_DPI", 50)


def pixels(content: bytes) -> np.ndarray:
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def blue(content: bytes) -> int:
    """Returns how many pixels have the colour of the first line."""
    return int((pixels(content) == [0x25, 0x63, 0xA8]).all(axis=2).sum())


def test_line_over_names_leaves_out_what_was_not_measured() -> None:
    names = ("0-16", "16-32", "32-")
    whole = plots.over_names({"LARGE": [0.2, 0.5, 0.9]}, names, x_label="size")
    gap = plots.over_names({"LARGE": [0.2, -1.0, 0.9]}, names, x_label="size")
    two = plots.over_names({"LARGE": [0.2, 0.5, 0.9], "SMALL": [0, 0, 0]}, names, x_label="size")

    assert pixels(whole).shape == pixels(gap).shape
    assert blue(gap) < blue(whole)  # a point less
    assert (pixels(two) != pixels(whole)).any()


@pytest.mark.parametrize(
    ("classes", "wide"),
    [(1, False), (12, True), (13, False), (40, True)],  # from 13 on smaller
)
def test_confusion_has_a_panel_for_each_schedule_and_room_for_the_classes(
    classes: int, wide: bool
) -> None:
    labels = [f"class {k}" for k in range(classes)]
    counts = np.arange((classes + 1) ** 2).reshape(classes + 1, -1)

    one = pixels(plots.confusion({"LARGE": counts}, labels))
    four = pixels(plots.confusion({name: counts for name in "ABCD"}, labels))

    assert four.shape[1] == 520  # as wide as the page
    assert (one.shape[1] == 520) == plots.is_wide(1, classes) == wide
    assert one.shape[0] > 8.5 * classes  # rows of a sixth of an inch
    assert four.shape[0] >= one.shape[0]
