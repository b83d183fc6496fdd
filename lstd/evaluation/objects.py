"""The form in which every metric is given a frame, and the check at its door."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstd.base import limits
from lstd.config import schedule_names

FrameId = tuple[str, int]
"""A frame's video and its number in it."""

NO_NETWORK = "none"
"""In the place of a network's name, where a baseline guessed."""

NETWORKS = ("large", "small", NO_NETWORK)
"""What may have found the objects of a frame."""

LARGEST = 2**63 - 1
"""What the number of a frame or track may be: int64."""


class Objects(NamedTuple):
    """The n objects of one frame, true or detected.

    Nobody writes to the arrays: metrics share them.
    """

    boxes: np.ndarray  # float64 [n, 4]: ymin, xmin, ymax, xmax in pixels
    classes: np.ndarray  # int64 [n], 0-based, without background
    scores: np.ndarray | None = None  # float64 [n]; None for ground truth
    track_ids: np.ndarray | None = None  # int64 [n], -1 unknown; None where the data has none
    is_crowd: np.ndarray | None = None  # bool [n]; all False where the data has none
    network: str | None = None  # of NETWORKS, which found them; None: nobody said so
    areas: np.ndarray | None = None  # float64 [n], pixels, which COCO sorts by size; None: w * h
    image: int | None = None  # the place of the frame's image among the ids of its COCO file
    sizes: np.ndarray | None = None  # float64 [n, 2]: h and w as a file says them, to the last bit


def frame_id_of(frame_id: tuple[object, object]) -> FrameId:
    """Returns `(video, index)` as text and a plain int; a video's name may come as bytes.

    Raises:
        ValueError: not a pair, or the index is not a whole number of at least 0.
    """
    try:
        video, index = frame_id
    except (TypeError, ValueError):
        raise ValueError(f"frame_id must be (video, index), got {frame_id!r}") from None
    number = (int, np.integer)
    if not isinstance(index, number) or isinstance(index, bool) or not 0 <= index <= LARGEST:
        raise ValueError(f"frame_id {frame_id!r}: the index must be a whole number of at least 0")
    return video.decode("utf-8", "replace") if isinstance(video, bytes) else str(video), int(index)


def ground_truth_of(frame_id: FrameId, values: object, *, num_classes: int) -> Objects:
    """Returns the true objects of a frame, checked.

    Args:
        frame_id: the frame, for the messages.
        values: a dict or named tuple with `boxes` `[n, 4]` (ymin, xmin, ymax, xmax in pixels),
            `classes` `[n]`, and where known `track_ids` `[n]`, `is_crowd` `[n]` and `areas` `[n]`.
        num_classes: the classes are 0 ... num_classes - 1.

    Raises:
        ValueError: something is missing or of another length, a box is not finite or upside down,
            a class is outside; the message names the frame and the row.
    """
    kinds = {"track_ids": np.int64, "is_crowd": np.bool_, "areas": np.float64}
    true = _checked(f"frame {frame_id}: ground truth", values, num_classes, kinds)
    if true.is_crowd is None:
        true = true._replace(is_crowd=np.zeros(len(true.boxes), bool))
    return true


def detections_of(frame_id: FrameId, values: object, *, num_classes: int) -> Objects:
    """Returns the detections of a frame, checked: as `ground_truth_of`, in any order.

    The values have `scores` `[n]`, and where known `network`. ValueError: also for scores that are
    missing or not finite.
    """
    found = _checked(f"frame {frame_id}: detection", values, num_classes, {"scores": np.float64})
    if found.scores is None:
        raise ValueError(f"frame {frame_id}: the detections have no scores")
    if not np.isfinite(found.scores).all():
        raise ValueError(f"frame {frame_id}: detection scores are not finite: {found.scores}")
    network = _part(values, "network")
    check_network(network, where=f"frame {frame_id}: the detections' network")
    return found._replace(network=network)


def check_network(network: object, *, where: str) -> None:
    """Raises unless it is one of `NETWORKS`, or None."""
    if network not in (None, *NETWORKS):
        raise ValueError(
            f"{where} must be 'large' or 'small' ('none' of a baseline), got {network!r}"
        )


def network_of(schedule: str, index: int) -> str:
    """Returns "large" or "small" for a frame's number under a fixed schedule.

    Raises:
        ValueError: an unknown schedule, or RANDOM, whose frames only the run knows.
    """
    schedule_names.check(schedule)
    network = schedule_names.network_of(schedule, index)
    if network is None:
        raise ValueError(
            f"schedule {schedule}: which network runs is chance; give each frame's detections "
            "their `network`"
        )
    return network


def networks_of(
    frames: Iterable[FrameId], detections: Mapping[FrameId, Objects], schedule: str | None
) -> dict[FrameId, str]:
    """Returns the network of each frame: what its detections say, else what the schedule says.

    Raises:
        ValueError: neither says it; names the frame.
    """
    result = {}
    for frame in frames:
        network = detections[frame].network if frame in detections else None
        if network is None and schedule is None:
            raise ValueError(
                f"frame {frame}: which network ran is not known; give its detections their "
                "`network` ('large' or 'small'), or the metric its schedule"
            )
        result[frame] = network or network_of(str(schedule), frame[1])
    return result


def _checked(
    where: str, values: object, num_classes: int, kinds: Mapping[str, type[np.generic]]
) -> Objects:
    """Returns boxes, classes and further columns, which their giver cannot change later."""

    def column(name: str, dtype: type[np.generic], shape: tuple[int, ...], told: str) -> np.ndarray:
        given = _part(values, name)
        array = np.asarray(given) if isinstance(values, Objects) else np.array(given)
        if dtype is np.int64 and array.dtype.kind == "f" and not (array == np.rint(array)).all():
            raise ValueError(f"{where} {name} must be whole numbers, got {array}")
        array = array.astype(dtype, copy=False)
        array = array.reshape(0, *shape[1:]) if array.size == 0 else array
        if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
            raise ValueError(f"{where} {name} must have the shape {told}, got {list(array.shape)}")
        return array

    if _part(values, "boxes") is None or _part(values, "classes") is None:
        raise ValueError(f"{where}: must have `boxes` and `classes`, got {type(values).__name__}")
    boxes = column("boxes", np.float64, (0, 4), "[n, 4]")
    for row in np.flatnonzero(~(np.abs(boxes) <= limits.BOX_SIDE).all(axis=1))[:1]:
        raise ValueError(
            f"{where} box {row} is not finite, or beyond {limits.BOX_SIDE:g} pixels: {boxes[row]}"
        )
    for row in np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(axis=1))[:1]:
        raise ValueError(
            f"{where} box {row} ends before it begins: {boxes[row]}; expected ymin, xmin, ymax, "
            "xmax"
        )
    told = f"[{len(boxes)}], one for each box"
    kinds = {"classes": np.int64, **kinds}
    columns = {
        name: column(name, dtype, (len(boxes),), told)
        for name, dtype in kinds.items()
        if _part(values, name) is not None
    }
    classes = columns["classes"]
    for row in np.flatnonzero((classes < 0) | (classes >= num_classes))[:1]:
        raise ValueError(
            f"{where} {row} has class {classes[row]}, outside 0 ... {num_classes - 1} "
            "(classes are 0-based, padding is left out)"
        )
    more = {"image": values.image, "sizes": values.sizes} if isinstance(values, Objects) else {}
    return Objects(boxes, **columns, **more)  # type: ignore[arg-type]


def _part(values: object, name: str) -> Any:
    return values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)
