"""All frames as a few long arrays, and which boxes in them overlap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import overlap
from lstd.evaluation.objects import FrameId, Objects

_PAIRS_AT_ONCE = 1 << 20  # 8 MB for each of some ten arrays


class Flat(NamedTuple):
    """F frames in order; M true boxes and N detections, those of a frame together.

    Boxes are float64, ymin, xmin, ymax, xmax in pixels; sizes height and width; all numbers int64.
    """

    frames: list[FrameId]
    true_frame: np.ndarray  # [M], the place of each true box's frame in `frames`, rising
    true_boxes: np.ndarray  # [M, 4]
    true_classes: np.ndarray  # [M]
    track_ids: np.ndarray  # [M], -1 where unknown
    is_crowd: np.ndarray  # bool [M]
    true_areas: np.ndarray  # float64 [M]: as the data says them, else width times height
    true_sizes: np.ndarray  # [M, 2]
    found_frame: np.ndarray  # [N], rising
    found_boxes: np.ndarray  # [N, 4]
    found_sizes: np.ndarray  # [N, 2]
    found_classes: np.ndarray  # [N]
    scores: np.ndarray  # float64 [N], falling within a frame; equal ones as they came


class Pairs(NamedTuple):
    """Every detection of some frames with every true box of its frame, P pairs."""

    found: np.ndarray  # int64 [P], the detection's row, rising
    true: np.ndarray  # int64 [P], the true box's row, rising for each detection
    iou: np.ndarray  # float64 [P], 0 where they do not overlap
    same: np.ndarray  # bool [P], whether they are of one class


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

    Detections of other frames are not looked at. `by_image` sorts as COCO sorts their images, which
    decides between equal scores: by the ids of the file that they come from, else by `image_id`.
    Otherwise frames stand by video, then index.
    """

    def image(frame: FrameId) -> tuple[int, str]:
        place = ground_truth[frame].image
        return (-1 if place is None else place), image_id(frame)

    ordered = sorted(ground_truth, key=image if by_image else None)
    true = [ground_truth[frame] for frame in ordered]
    places = [place for place, frame in enumerate(ordered) if frame in detections]
    found = [detections[ordered[place]] for place in places]
    found_frame = np.repeat(np.array(places, np.int64), [len(each.boxes) for each in found])
    scores = _joined([each.scores for each in found], np.float64)
    order = np.lexsort((-scores, found_frame))  # stable
    tracks = [np.full(len(e.boxes), -1) if e.track_ids is None else e.track_ids for e in true]
    crowds = [np.zeros(len(e.boxes), bool) if e.is_crowd is None else e.is_crowd for e in true]
    areas = [overlap.areas(each.boxes) if each.areas is None else each.areas for each in true]
    return Flat(
        ordered,
        np.repeat(np.arange(len(ordered)), [len(each.boxes) for each in true]),
        _joined([each.boxes for each in true], np.float64, 4),
        _joined([each.classes for each in true], np.int64),
        _joined(tracks, np.int64),
        _joined(crowds, bool),
        _joined(areas, np.float64),
        _joined([_sizes(each) for each in true], np.float64, 2),
        found_frame[order],
        _joined([each.boxes for each in found], np.float64, 4)[order],
        _joined([_sizes(each) for each in found], np.float64, 2)[order],
        _joined([each.classes for each in found], np.int64)[order],
        scores[order],
    )


def overlaps(frames: Flat, *, pixel: float = 0.0) -> Iterator[Pairs]:
    """Yields all pairs of a detection and a true box of one frame, a bounded number at a time.

    Those of a detection come together; `pixel` is that of `overlap.iou`.
    """
    true_count = np.bincount(frames.true_frame, minlength=len(frames.frames))
    true_start = np.concatenate([[0], np.cumsum(true_count)])
    per_found = true_count[frames.found_frame]
    before = np.concatenate([[0], np.cumsum(per_found)])  # pairs before each detection
    begin = 0
    while begin < len(per_found):
        end = int(np.searchsorted(before, before[begin] + _PAIRS_AT_ONCE, side="right")) - 1
        end = max(end, begin + 1)
        rows = np.repeat(np.arange(begin, end), per_found[begin:end])
        within = np.arange(len(rows)) - (before[rows] - before[begin])
        partners = true_start[frames.found_frame[rows]] + within
        shared = overlap.iou(frames.found_boxes[rows], frames.true_boxes[partners], pixel=pixel)
        same = frames.found_classes[rows] == frames.true_classes[partners]
        yield Pairs(rows, partners, shared, same)
        begin = end


def without_crowds(frames: Flat) -> Flat:
    """Returns the frames without crowds, and without what is found there and on no other object.

    That is what has at least half of its area in a crowd of its class, and an IoU below 0.5 with
    each true box of its class.
    """
    if not frames.is_crowd.any():
        return frames
    inside, on_object = np.zeros((2, len(frames.scores)), bool)
    own_area = overlap.areas(frames.found_boxes)
    for pairs in overlaps(frames):
        crowd = frames.is_crowd[pairs.true]
        found, true = pairs.found[pairs.same & crowd], pairs.true[pairs.same & crowd]
        shared = overlap.intersections(frames.found_boxes[found], frames.true_boxes[true])
        inside[found[(shared > 0) & (shared >= 0.5 * own_area[found])]] = True
        on_object[pairs.found[pairs.same & ~crowd & (pairs.iou >= 0.5)]] = True
    stays = {"true": ~frames.is_crowd, "found": ~inside | on_object}
    kind = {"track_ids": "true", "is_crowd": "true", "scores": "found"}
    parts = frames._asdict()
    for name in parts.keys() - {"frames"}:
        parts[name] = parts[name][stays[kind.get(name) or name.partition("_")[0]]]
    return Flat(**parts)


def matches(frames: Flat, may: Callable[[Pairs], np.ndarray], *, pixel: float = 0.0) -> np.ndarray:
    """Returns which true box each detection takes, int64 `[N]`; -1: none.

    The detections choose in order of their rows, which is by falling score within a frame. Of the
    pairs for which `may` is true, bool `[P]`, each takes the one with the largest IoU whose box is
    still free, of equal ones the first.
    """
    result = [-1] * len(frames.scores)
    taken: set[int] = set()
    for pairs in overlaps(frames, pixel=pixel):
        chosen = may(pairs)
        found, true = pairs.found[chosen], pairs.true[chosen]
        order = np.lexsort((true, -pairs.iou[chosen], found))
        for row, box in zip(found[order].tolist(), true[order].tolist(), strict=True):
            if result[row] < 0 and box not in taken:
                result[row] = box
                taken.add(box)
    return np.array(result, np.int64)


def tracks(frames: Flat) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each true box a number of its track, by video and id; and that of its frame."""
    videos = np.unique([video for video, _ in frames.frames], return_inverse=True)[1]
    numbers = np.array([number for _, number in frames.frames], np.int64)
    known, ids = np.unique(frames.track_ids, return_inverse=True)
    return videos[frames.true_frame] * len(known) + ids, numbers[frames.true_frame]


def _sizes(objects: Objects) -> np.ndarray:
    """Returns height and width, which an end less a beginning may miss by its last bit."""
    if objects.sizes is None:
        return objects.boxes[:, 2:] - objects.boxes[:, :2]
    return objects.sizes


def _joined(parts: Sequence[np.ndarray | None], dtype: Any, *tail: int) -> np.ndarray:
    given = [part for part in parts if part is not None and len(part)]
    return np.concatenate(given).astype(dtype, copy=False) if given else np.zeros((0, *tail), dtype)
