"""All frames as a few long arrays, and which boxes in them overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstd.evaluation.objects import FrameId, Objects

_PAIRS_AT_ONCE = 1 << 20  # 8 MB for each of some ten arrays


class Flat(NamedTuple):
    """F frames in order; M true boxes and N detections, those of a frame together.

    Attributes:
        frames: (video, index) of each.
        true_frame: int64 `[M]`: the place of each true box's frame in `frames`, rising.
        true_boxes: float64 `[M, 4]`, ymin, xmin, ymax, xmax in pixels.
        true_classes: int64 `[M]`.
        track_ids: int64 `[M]`, -1 where unknown.
        is_crowd: bool `[M]`.
        true_areas: float64 `[M]`, square pixels: as the data says them, else width times height.
        true_sizes: float64 `[M, 2]`, height and width.
        found_frame: int64 `[N]`, rising.
        found_boxes: float64 `[N, 4]`.
        found_sizes: float64 `[N, 2]`.
        found_classes: int64 `[N]`.
        scores: float64 `[N]`, falling within a frame; equal ones as they came.
    """

    frames: list[FrameId]
    true_frame: np.ndarray
    true_boxes: np.ndarray
    true_classes: np.ndarray
    track_ids: np.ndarray
    is_crowd: np.ndarray
    true_areas: np.ndarray
    true_sizes: np.ndarray
    found_frame: np.ndarray
    found_boxes: np.ndarray
    found_sizes: np.ndarray
    found_classes: np.ndarray
    scores: np.ndarray


class Pairs(NamedTuple):
    """Every detection of some frames with every true box of its frame, P pairs.

    Attributes:
        found: int64 `[P]`, the detection's row, rising.
        true: int64 `[P]`, the true box's row, rising for each detection.
        iou: float64 `[P]`, 0 where they do not overlap.
    """

    found: np.ndarray
    true: np.ndarray
    iou: np.ndarray


def image_id(frame: FrameId) -> str:
    """Returns the name of the image that a frame is, `<video>_<index>`."""
    return f"{frame[0]}_{frame[1]}"


def flatten(
    ground_truth: Mapping[FrameId, Objects],
    detections: Mapping[FrameId, Objects],
    *,
    by_image: bool = False,
) -> Flat:
    """Returns the frames in `ground_truth`, sorted, as flat arrays.

    Args:
        ground_truth: the frames that count.
        detections: of these frames; one left out has none, others are not looked at.
        by_image: sorted as COCO sorts their images, which decides between equal scores: by the ids
            of the file that they come from, else by `image_id`. False: by video, then index.
    """

    def image(frame: FrameId) -> tuple[int, str]:
        place = ground_truth[frame].image
        return (-1 if place is None else place), image_id(frame)

    ordered = sorted(ground_truth, key=image if by_image else None)
    true = [ground_truth[frame] for frame in ordered]
    found = [(place, detections[f]) for place, f in enumerate(ordered) if f in detections]
    true_counts = [len(each.boxes) for each in true]
    found_counts = [len(each.boxes) for _, each in found]
    found_frame = np.repeat(np.array([place for place, _ in found], np.int64), found_counts)
    scores = _joined([each.scores for _, each in found], np.float64)
    order = np.lexsort((-scores, found_frame))  # stable
    return Flat(
        ordered,
        np.repeat(np.arange(len(ordered)), true_counts),
        _joined([each.boxes for each in true], np.float64, 4),
        _joined([each.classes for each in true], np.int64),
        _joined(
            [_or_full(each.track_ids, n, -1) for each, n in zip(true, true_counts, strict=True)],
            np.int64,
        ),
        _joined(
            [_or_full(each.is_crowd, n, 0) for each, n in zip(true, true_counts, strict=True)], bool
        ),
        _joined(
            [areas(each.boxes, pixel=0) if each.areas is None else each.areas for each in true],
            np.float64,
        ),
        _joined([_sizes(each) for each in true], np.float64, 2),
        found_frame[order],
        _joined([each.boxes for _, each in found], np.float64, 4)[order],
        _joined([_sizes(each) for _, each in found], np.float64, 2)[order],
        _joined([each.classes for _, each in found], np.int64)[order],
        scores[order],
    )


def overlaps(frames: Flat, *, pixel: float) -> Iterator[Pairs]:
    """Yields all pairs of a detection and a true box of one frame, a bounded number at a time.

    Args:
        frames: see `Flat`.
        pixel: added to every side: 1 where a box's last pixel belongs to it, 0 where a box ends at
            its coordinate.
    """
    count = len(frames.frames)
    true_count = np.bincount(frames.true_frame, minlength=count)
    true_start = np.concatenate([[0], np.cumsum(true_count)])
    per_found = true_count[frames.found_frame]
    before = np.concatenate([[0], np.cumsum(per_found)])  # pairs before each detection
    true_areas = areas(frames.true_boxes, pixel=pixel)
    begin = 0
    while begin < len(per_found):
        end = int(np.searchsorted(before, before[begin] + _PAIRS_AT_ONCE, side="right")) - 1
        end = max(end, begin + 1)
        rows = np.repeat(np.arange(begin, end), per_found[begin:end])
        within = np.arange(len(rows)) - (before[rows] - before[begin])
        partners = true_start[frames.found_frame[rows]] + within
        yield Pairs(
            rows,
            partners,
            iou(
                frames.found_boxes[rows],
                frames.true_boxes[partners],
                areas_b=true_areas[partners],
                pixel=pixel,
            ),
        )
        begin = end


def iou(
    boxes_a: np.ndarray, boxes_b: np.ndarray, *, areas_b: np.ndarray | None = None, pixel: float
) -> np.ndarray:
    """Returns the IoU of boxes row by row, float64 `[P]`; 0 for two boxes without area.

    Args:
        boxes_a: `[P, 4]`.
        boxes_b: `[P, 4]`.
        areas_b: of `boxes_b`, where they are at hand.
        pixel: see `overlaps`.
    """
    inner = intersections(boxes_a, boxes_b, pixel=pixel)
    areas_b = areas(boxes_b, pixel=pixel) if areas_b is None else areas_b
    union = areas(boxes_a, pixel=pixel) + areas_b - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def intersections(boxes_a: np.ndarray, boxes_b: np.ndarray, *, pixel: float) -> np.ndarray:
    """Returns the areas that boxes share, row by row."""
    sides = np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - np.maximum(boxes_a[:, :2], boxes_b[:, :2])
    return np.maximum(sides + pixel, 0).prod(axis=1)


def areas(boxes: np.ndarray, *, pixel: float) -> np.ndarray:
    """Returns the areas of boxes `[n, 4]`."""
    return (boxes[:, 2:] - boxes[:, :2] + pixel).prod(axis=1)


def first_come(pairs: Pairs) -> dict[int, int]:
    """Returns which detection takes which true box, of the pairs that may match.

    The detections choose in order of their rows, which is by falling score within a frame: each
    takes the box with the largest IoU that is still free, of equal ones the first.

    Args:
        pairs: only those that may match; all of a frame's detections in one call.
    """
    order = np.lexsort((pairs.true, -pairs.iou, pairs.found))
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for found, true in zip(pairs.found[order].tolist(), pairs.true[order].tolist(), strict=True):
        if found not in chosen and true not in taken:
            chosen[found] = true
            taken.add(true)
    return chosen


def _sizes(objects: Objects) -> np.ndarray:
    """Returns height and width, which an end less a beginning may miss by its last bit."""
    if objects.sizes is None:
        return objects.boxes[:, 2:] - objects.boxes[:, :2]
    return objects.sizes


def _or_full(values: np.ndarray | None, count: int, value: int) -> np.ndarray:
    return np.full(count, value) if values is None else values


def _joined(
    parts: Sequence[np.ndarray | None], dtype: type[np.generic] | type[bool], *tail: int
) -> np.ndarray:
    given = [part for part in parts if part is not None and len(part)]
    return np.concatenate(given).astype(dtype, copy=False) if given else np.zeros((0, *tail), dtype)
