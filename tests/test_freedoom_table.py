"""benchmarks/freedoom/table.py: what it makes of scores that are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.freedoom import table
from lstd.evaluation.metrics.coco import CocoMetric


def coco(found_in: int) -> CocoMetric:
    """Returns a metric of 20 videos of a frame with an object, found in so many of them."""
    metric = CocoMetric(["cat"])
    true = {"boxes": np.array([[0, 0, 40, 40.0]]), "classes": np.array([0])}
    for video in range(20):
        count = int(video < found_in)
        found = {name: values[:count] for name, values in true.items()}
        metric.add((f"v{video}", 0), true, {**found, "scores": np.ones(count)})
    return metric


def test_a_row_has_its_intervals_and_how_far_it_is_below_the_seeds_own_skip9() -> None:
    found = {
        "interleaved SKIP9": (20, 10),
        "interleaved SKIP9-held": (10, 10),
        "small LARGE": (10,),
    }
    rows = {
        name: [table.Scored({"coco/ap": 0.5, "vid/ap50_fast": 0.25}, coco(each)) for each in seeds]
        for name, seeds in found.items()
    }

    drawn = {
        name: [table.ap50_of_draws(each, draws=50, fps=None) for each in seeds]
        for name, seeds in rows.items()
    }
    facts = {name: table.facts_of(name, rows, drawn) for name in rows}

    half = 51 / 101  # COCO's precision at 101 recalls
    held = facts["interleaved SKIP9-held"]
    assert held["ap50"][0] == pytest.approx(half)
    assert held["ap50"][1] < half < held["ap50"][2]
    assert held["below_SKIP9"][0] == pytest.approx((1 - half) / 2)
    assert facts["small LARGE"]["below_SKIP9"][0] == pytest.approx(1 - half)  # the first seed's
    assert facts["interleaved SKIP9"]["below_SKIP9"] is None
    cost = {"multiply_adds": 5e6, "average_ms": 1.5, "median_ms": 0.0, "p95_ms": 9.0}
    lines = table.markdown({name: {**each, "cost": cost} for name, each in facts.items()})
    header, _, first, second, _ = lines.splitlines()
    assert [cell.strip() for cell in header.split("|")[4:6]] == ["AP", "fast"]
    assert first.startswith("| interleaved SKIP9 | 0.75")
    assert second.endswith("| 0.500 | 0.250 | 5 | 1.50 | 0.00 | 9.00 |")
