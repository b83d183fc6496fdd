"""How sure a difference between two sets of detections is: bootstrap over videos, or blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstd.evaluation import weighted
from lstd.evaluation.accumulator import FrameMetric
from lstd.evaluation.units import units_of

NOTHING_TO_COMPARE = (
    "nothing to compare: intervals can be had for coco, vid, vid_ap50, sap and flicker"
)


class Difference(NamedTuple):
    """A number of two models.

    Attributes:
        one: of the first.
        other: of the second.
        low: of `other - one`, the lower end of the interval; NaN where there is none.
        high: the upper end.
    """

    one: float
    other: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Differences by name, and what was drawn for their intervals; `missing` as in `Units`."""

    differences: dict[str, Difference]
    units: str
    confidence: float
    draws: int
    missing: str = ""


def compare(
    one: Sequence[FrameMetric],
    other: Sequence[FrameMetric],
    *,
    fps: float | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Returns the differences `other - one`, with percentile intervals from a paired bootstrap.

    Each draw takes as many units as there are, with replacement, the same ones for both. Of fewer
    than ten units there are no intervals, and `missing` says what they need.

    Args:
        one: metrics with all frames added.
        other: the same kinds of metrics, over the same frames.
        fps: see `lstd.evaluation.units.units_of`.
        draws: how many.
        confidence: share of the draws that an interval holds.
        seed: of the draws.

    Raises:
        ValueError: other frames or metrics; no fps, see `units_of`; nothing to draw for.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    pairs = [_checked(a, b) for a, b in zip(one, other, strict=True) if weighted.has(a)]
    if not pairs:
        raise ValueError(NOTHING_TO_COMPARE)
    frames = list(pairs[0][0].ground_truth)
    units = units_of(frames, fps=fps)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(
        units.num_units,
        np.full(units.num_units, 1 / units.num_units),
        size=0 if units.missing else draws,
    )
    differences: dict[str, Difference] = {}
    tail = (1 - confidence) / 2
    for a, b in pairs:
        (order, weighted_a), (_, weighted_b) = weighted.of(a), weighted.of(b)
        unit = np.array([units.unit_of[frame] for frame in order])
        once = np.ones(len(order))
        full_a, full_b = weighted_a(once), weighted_b(once)
        drawn: dict[str, list[float]] = {name: [] for name in full_a}
        for draw in counts:
            weights = draw[unit].astype(float)
            values_a, values_b = weighted_a(weights), weighted_b(weights)
            for name, kept in drawn.items():
                if values_a[name] != -1 and values_b[name] != -1:
                    kept.append(values_b[name] - values_a[name])
        for name, kept in drawn.items():
            low, high = np.quantile(kept, [tail, 1 - tail]) if kept else (np.nan, np.nan)
            differences[name] = Difference(full_a[name], full_b[name], float(low), float(high))
    return Comparison(differences, units.text, confidence, len(counts), units.missing)


def _checked(one: FrameMetric, other: FrameMetric) -> tuple[FrameMetric, FrameMetric]:
    if type(one) is not type(other) or one.labels != other.labels:
        raise ValueError("two comparisons need the same metrics and the same classes")
    if one.ground_truth.keys() != other.ground_truth.keys():
        only = one.ground_truth.keys() ^ other.ground_truth.keys()
        raise ValueError(f"frame {min(only)} was scored for one of the two only")
    return one, other
