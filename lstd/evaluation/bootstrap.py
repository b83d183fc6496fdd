"""How sure a difference of two sets of detections is: a paired bootstrap of videos or blocks."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.objects import FrameId

NOTHING_TO_COMPARE = (
    "nothing to compare: intervals can be had for coco, vid, vid_ap50, sap and flicker"
)
MIN_UNITS = 10
"""Below this a percentile interval is hardly more than the range of the units."""
BLOCK_SECONDS = 5.0


class Difference(NamedTuple):
    """A number of two models, and of `other - one` the ends of the interval; NaN without one."""

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


class Units(NamedTuple):
    """What is drawn: frames that belong together; texts are for a reader."""

    unit_of: dict[FrameId, int]
    num_units: int
    text: str  # what they are
    missing: str = ""  # what an interval still needs


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
        one: metrics with all frames added; those that have `weighted` are compared.
        other: the same kinds of metrics, over the same frames.
        fps: see `units_of`.
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
    pairs: list[tuple[Any, Any]] = [
        pair for pair in zip(one, other, strict=True) if hasattr(pair[0], "weighted")
    ]
    if not pairs:
        raise ValueError(NOTHING_TO_COMPARE)
    for a, b in pairs:
        if type(a) is not type(b) or a.labels != b.labels:
            raise ValueError("two comparisons need the same metrics and the same classes")
        for frame in sorted(a.ground_truth.keys() ^ b.ground_truth.keys())[:1]:
            raise ValueError(f"frame {frame} was scored for one of the two only")
    units = units_of(list(pairs[0][0].ground_truth), fps=fps)
    differences: dict[str, Difference] = {}
    for a, b in pairs:
        first, second = (drawn(each, units, draws=draws, seed=seed) for each in (a, b))
        for name, values in first.items():
            low, high = interval(second[name][1:] - values[1:], confidence=confidence)
            differences[name] = Difference(values[0], second[name][0], low, high)
    made = 0 if units.missing else draws
    return Comparison(differences, units.text, confidence, made, units.missing)


def drawn(metric: Any, units: Units, *, draws: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns the numbers of a metric that has `weighted`, of all units and then of each draw.

    Float `[1 + draws]` each, or `[1]` where the units are too few; NaN where a draw holds no object
    that counts. The same `seed` draws the same units for every metric of the same frames.
    """
    counts = np.random.default_rng(seed).multinomial(
        units.num_units,
        np.full(units.num_units, 1 / units.num_units),
        size=0 if units.missing else draws,
    )
    frames, numbers = metric.weighted()  # everything is matched once, here
    unit = np.array([units.unit_of[frame] for frame in frames])
    full = numbers(np.ones(len(frames)))
    rows = [numbers(draw[unit].astype(float)) for draw in counts]
    return {
        name: np.array([value, *(np.nan if row[name] == -1 else row[name] for row in rows)])
        for name, value in full.items()
    }


def interval(draws: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the ends of the percentile interval of `[N]` draws; NaN where there are none."""
    kept = draws[~np.isnan(draws)]
    if not kept.size:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def units_of(frames: Sequence[FrameId], *, fps: float | None) -> Units:
    """Returns videos where there are ten or more, else blocks of at least five seconds.

    Each video is cut into equal blocks, as many as it has whole five seconds; shorter videos share
    a block with the next. Raises ValueError for fewer than ten videos and no fps.
    """
    videos = sorted({video for video, _ in frames})
    if len(videos) >= MIN_UNITS:
        number_of = {video: number for number, video in enumerate(videos)}
        unit_of = {frame: number_of[frame[0]] for frame in frames}
        return Units(unit_of, len(videos), f"{len(videos)} videos")
    if fps is None or not fps > 0:
        raise ValueError(
            f"intervals over {len(videos)} videos are drawn from blocks of at least "
            f"{BLOCK_SECONDS:g} seconds, which needs fps (frames a second) above 0"
        )
    unit_of = _blocks(sorted(frames), least=math.ceil(BLOCK_SECONDS * fps - 1e-9))
    count = max(unit_of.values()) + 1
    text = (
        f"{count} block{'s' * (count > 1)} of at least {BLOCK_SECONDS:g} s "
        f"from {len(videos)} video{'s' * (len(videos) > 1)} (fewer than ten videos)"
    )
    lacking = MIN_UNITS - count
    missing = (
        f"an interval needs {MIN_UNITS} of them; score {lacking * BLOCK_SECONDS:g} s more video, "
        f"or {MIN_UNITS} videos"
    )
    return Units(unit_of, count, text, missing if lacking > 0 else "")


def _blocks(frames: Sequence[FrameId], *, least: int) -> dict[FrameId, int]:
    """Returns the block of each frame; none is shorter than `least` frames if all are not."""
    pieces: list[tuple[list[FrameId], int]] = []  # frames, and how long they last
    for _, group in groupby(frames, key=lambda frame: frame[0]):
        mine = list(group)
        first, length = mine[0][1], mine[-1][1] - mine[0][1] + 1
        blocks = max(1, length // least)
        for number, part in groupby(mine, key=lambda frame: (frame[1] - first) * blocks // length):
            begin, end = -(-number * length // blocks), -(-(number + 1) * length // blocks)
            pieces.append((list(part), end - begin))
    unit_of: dict[FrameId, int] = {}
    unit, lasted = 0, 0
    for number, (mine, length) in enumerate(pieces):  # short videos share a block
        unit_of.update(dict.fromkeys(mine, unit))
        lasted += length
        rest = sum(length for _, length in pieces[number + 1 :])
        if lasted >= least and rest >= least:
            unit, lasted = unit + 1, 0
    return unit_of
