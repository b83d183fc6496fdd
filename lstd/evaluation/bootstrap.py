"""How sure a difference of two sets of detections is: a paired bootstrap of videos or blocks."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from lstd.evaluation.arrays import Flat
from lstd.evaluation.metrics import coco, flicker, vid
from lstd.evaluation.metrics.coco import CocoMetric
from lstd.evaluation.metrics.flicker import FlickerMetric
from lstd.evaluation.metrics.frame_metric import FrameMetric
from lstd.evaluation.metrics.streaming import StreamingMetric
from lstd.evaluation.metrics.vid import VidMetric
from lstd.evaluation.objects import FrameId

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
        fps: see `lstd.evaluation.bootstrap.units_of`.
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
    pairs = [_checked(a, b) for a, b in zip(one, other, strict=True) if type(a) in _WEIGHTED]
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
        (order, weighted_a), (_, weighted_b) = weighted_of(a), weighted_of(b)
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
    for frame in sorted(one.ground_truth.keys() ^ other.ground_truth.keys())[:1]:
        raise ValueError(f"frame {frame} was scored for one of the two only")
    return one, other


MIN_UNITS = 10
"""Below this a percentile interval is hardly more than the range of the units."""
BLOCK_SECONDS = 5.0


class Units(NamedTuple):
    """What is drawn: frames that belong together.

    Attributes:
        unit_of: the number of each frame's unit.
        num_units: how many there are.
        text: what they are, for a reader.
        missing: what an interval still needs, for a reader; "" where there is enough.
    """

    unit_of: dict[FrameId, int]
    num_units: int
    text: str
    missing: str = ""


def units_of(frames: Sequence[FrameId], *, fps: float | None) -> Units:
    """Returns videos where there are ten or more, else blocks of at least five seconds.

    Each video is cut into equal blocks, as many as it has whole five seconds; shorter videos share
    a block with the next.

    Args:
        frames: all that are scored.
        fps: frames a second; needed for blocks.

    Raises:
        ValueError: fewer than ten videos and no fps.
    """
    videos = sorted({video for video, _ in frames})
    if len(videos) >= MIN_UNITS:
        number_of = {video: number for number, video in enumerate(videos)}
        return Units(
            {frame: number_of[frame[0]] for frame in frames}, len(videos), f"{len(videos)} videos"
        )
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


Weighted = Callable[[np.ndarray], dict[str, float]]
"""From float64 `[F]`, the weight of each frame, to numbers under their names."""


def weighted_of(metric: FrameMetric) -> tuple[list[FrameId], Weighted]:
    """Returns the frames in the order of their weights, and the metric as a function of these.

    Everything is matched once, here. With weights of 1 the numbers are the metric's own.
    """
    return _WEIGHTED[type(metric)](metric)


def _of_coco(metric: CocoMetric) -> tuple[list[FrameId], Weighted]:
    return _weighted_coco(metric.flat(by_image=True), len(metric.labels), prefix="coco/")


def _of_streaming(metric: StreamingMetric) -> tuple[list[FrameId], Weighted]:
    return _weighted_coco(metric.streamed(), len(metric.labels), prefix="sap/")


def _of_vid(metric: VidMetric) -> tuple[list[FrameId], Weighted]:
    counted: vid.Counted = metric.counted()

    def weighted(weights: np.ndarray) -> dict[str, float]:
        rows = zip(counted.names, vid.weighted(counted, weights), strict=True)
        return {f"vid/ap50{name}": coco.mean_of_measured(row) for name, row in rows}

    return counted.frames.frames, weighted


def _of_flicker(metric: FlickerMetric) -> tuple[list[FrameId], Weighted]:
    counted: flicker.Counted = metric.counted()
    return counted.frames.frames, functools.partial(flicker.weighted, counted)


_WEIGHTED: dict[type, Callable[..., tuple[list[FrameId], Weighted]]] = {
    CocoMetric: _of_coco,
    VidMetric: _of_vid,
    StreamingMetric: _of_streaming,
    FlickerMetric: _of_flicker,
}


class _ClassMatches(NamedTuple):
    """Of one class, detections by falling score over all frames, up to 100 of each frame.

    Attributes:
        frame: int64 `[n]`.
        hit: bool `[10, n]`, by IoU threshold.
        false: bool `[10, n]`.
        truths: float64 `[F]`, how many true boxes each frame has.
    """

    frame: np.ndarray
    hit: np.ndarray
    false: np.ndarray
    truths: np.ndarray


def _weighted_coco(
    frames: Flat, num_classes: int, *, prefix: str
) -> tuple[list[FrameId], Weighted]:
    """Returns the frames, and a function of their weights that gives ap, ap50, ap75 and ar100.

    pycocotools matches once; a weight counts a frame so many times.
    """
    images = coco.evaluated(frames, num_classes=num_classes, library="pycocotools").evalImgs
    # By class, area (the first is all) and frame; None where a frame has nothing of the class.
    of_class = np.array(images, object).reshape(num_classes, -1, len(frames.frames))[:, 0]
    classes = [_matches(each) for each in of_class]

    def weighted(weights: np.ndarray) -> dict[str, float]:
        tables = [_class_tables(each, weights) for each in classes]
        precision, recall = (np.stack(part) for part in zip(*tables, strict=True))  # [K, 10, ...]
        return {
            f"{prefix}ap": coco.mean_of_measured(precision),
            f"{prefix}ap50": coco.mean_of_measured(precision[:, 0]),
            f"{prefix}ap75": coco.mean_of_measured(precision[:, 5]),
            f"{prefix}ar100": coco.mean_of_measured(recall),
        }

    return frames.frames, weighted


def _matches(images: np.ndarray) -> _ClassMatches:
    """Returns what pycocotools matched of a class, image by image, all sizes together."""
    truths = np.zeros(len(images))
    frame, scores = [np.zeros(0, int)], [np.zeros(0)]
    matched, ignored = [np.zeros((len(coco.IOUS), 0))], [np.zeros((len(coco.IOUS), 0))]
    for number, image in enumerate(images):
        if image is not None:
            truths[number] = np.count_nonzero(np.asarray(image["gtIgnore"]) == 0)
            frame.append(np.full(len(image["dtScores"]), number))
            scores.append(image["dtScores"])
            matched.append(image["dtMatches"])
            ignored.append(image["dtIgnore"])
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    hit = (np.concatenate(matched, axis=1) > 0)[:, order]
    counts = (np.concatenate(ignored, axis=1) == 0)[:, order]
    return _ClassMatches(np.concatenate(frame)[order], hit & counts, ~hit & counts, truths)


def _class_tables(matches: _ClassMatches, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns precision `[10, 101]` and recall `[10]` of a class; -1 without true boxes."""
    positives = matches.truths @ weights
    count = len(matches.hit)
    if positives == 0:
        return np.full((count, len(coco.RECALLS)), -1.0), np.full(count, -1.0)
    weight = weights[matches.frame]
    hits = np.cumsum(matches.hit * weight, axis=1)
    false = np.cumsum(matches.false * weight, axis=1)
    recall = hits / positives
    precision = hits / np.maximum(hits + false, np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros((count, len(coco.RECALLS)))
    for row in range(count):
        at = np.searchsorted(recall[row], coco.RECALLS, side="left")
        reached = at < recall.shape[1]
        result[row, reached] = envelope[row, at[reached]]
    return result, recall[:, -1] if recall.shape[1] else np.zeros(count)
