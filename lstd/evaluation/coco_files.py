"""Ground truth and detections as COCO's JSON files, with videos and tracks as CocoVID has them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import documents, label_map
from lstd.base.whole_file import write_whole
from lstd.evaluation import objects
from lstd.evaluation.objects import FrameId, Objects


class Annotations(NamedTuple):
    """What an annotation file says.

    Attributes:
        labels: names of the classes, in the order of their ids.
        ground_truth: the true objects of each frame, boxes in pixels.
        image_ids: the file's id of each frame.
        category_ids: the file's id of each class.
        fps: of the videos, where the file says it and they agree.
    """

    labels: tuple[str, ...]
    ground_truth: dict[FrameId, Objects]
    image_ids: dict[FrameId, int | str]
    category_ids: tuple[int, ...]
    fps: float | None


def read_annotations(path: str | os.PathLike[str]) -> Annotations:
    """Returns the ground truth of a COCO or CocoVID file.

    An image belongs to the video `video_id` at `frame_id`; without these every image is a video of
    one frame. Tracks are `instance_id` or `track_id`; `iscrowd` and `area` count, and between equal
    scores the ids of the images decide, as in pycocotools.

    Raises:
        ValueError: not such a file; a frame twice, an annotation of an unknown image or class, or
            a box that cannot be; the message names the file.
        OSError: it cannot be read.
    """
    content = documents.read_json(path)
    try:
        return _annotations(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a COCO annotation file: {_reason(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_detections(
    path: str | os.PathLike[str], annotations: Annotations
) -> dict[FrameId, Objects]:
    """Returns the detections of a COCO results file: a list of image_id, category_id, bbox, score.

    Frames that it does not name have none.

    Raises:
        ValueError: not such a file; an image or class that the annotations do not have, a box or
            score that cannot be; the message names the file and the entry.
        OSError: it cannot be read.
    """
    content = documents.read_json(path)
    if isinstance(content, dict) and "annotations" in content:
        content = content["annotations"]
    if not isinstance(content, list):
        raise ValueError(f"{path}: not a COCO results file: expected a list of detections")
    frame_of = {image: frame for frame, image in annotations.image_ids.items()}
    class_of = {category: k for k, category in enumerate(annotations.category_ids)}
    rows: dict[FrameId, list[tuple[Any, int, float, str | None]]] = {}
    for number, entry in enumerate(content):
        try:
            image, category = entry["image_id"], entry["category_id"]
            box, score, network = entry["bbox"], entry["score"], entry.get("network")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: entry {number} is no detection: {_reason(error)}") from None
        if not _is_key(image, frame_of):
            raise ValueError(f"{path}: entry {number} is of image {image!r}, which is unknown")
        if not _is_key(category, class_of):
            raise ValueError(
                f"{path}: entry {number} has category {category!r}; the annotations have "
                f"{', '.join(map(str, annotations.category_ids))}"
            )
        if network not in (None, "large", "small"):
            raise ValueError(
                f"{path}: entry {number}: network must be 'large' or 'small', got {network!r}"
            )
        try:
            row = (box, class_of[category], float(score), network)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"{path}: entry {number}: score must be a number, got {score!r}"
            ) from None
        rows.setdefault(frame_of[image], []).append(row)
    try:
        return {frame: _found(frame, each, len(annotations.labels)) for frame, each in rows.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_annotations(
    path: str | os.PathLike[str],
    labels: Sequence[str],
    ground_truth: Mapping[FrameId, Objects],
    *,
    fps: float | None = None,
) -> dict[FrameId, int]:
    """Writes ground truth in CocoVID form; returns the id of each frame's image.

    Raises:
        OSError: the file cannot be written.
    """
    ordered = sorted(ground_truth)
    image_ids = {frame: number for number, frame in enumerate(ordered, start=1)}
    videos = {name: number for number, name in enumerate(dict(ordered), start=1)}
    rate = {} if fps is None else {"fps": fps}
    annotations: list[dict[str, Any]] = []
    for frame in ordered:
        objects = ground_truth[frame]
        for row, box in enumerate(objects.boxes):
            entry: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image_ids[frame],
                "video_id": videos[frame[0]],
                "category_id": int(objects.classes[row]) + 1,
                "bbox": _xywh(box),
                "area": float(
                    (box[2] - box[0]) * (box[3] - box[1])
                    if objects.areas is None
                    else objects.areas[row]
                ),
                "iscrowd": 0 if objects.is_crowd is None else int(objects.is_crowd[row]),
            }
            if objects.track_ids is not None and objects.track_ids[row] >= 0:
                entry["instance_id"] = int(objects.track_ids[row])
            annotations.append(entry)
    content = {
        "videos": [{"id": number, "name": name, **rate} for name, number in videos.items()],
        "categories": [{"id": k, "name": label} for k, label in enumerate(labels, start=1)],
        "images": [
            {
                "id": image_ids[frame],
                "video_id": videos[frame[0]],
                "frame_id": frame[1],
                "file_name": f"{frame[0]}#{frame[1]}",
            }
            for frame in ordered
        ],
        "annotations": annotations,
    }
    write_whole(path, json.dumps(content) + "\n")
    return image_ids


def write_detections(
    path: str | os.PathLike[str],
    detections: Mapping[FrameId, Objects],
    image_ids: Mapping[FrameId, int | str],
    category_ids: Sequence[int],
) -> None:
    """Writes detections as a COCO results file; each also says which network found it.

    Raises:
        OSError: the file cannot be written.
    """
    content = []
    for frame in sorted(detections):
        objects = detections[frame]
        for row, box in enumerate(objects.boxes):
            entry = {
                "image_id": image_ids[frame],
                "category_id": category_ids[int(objects.classes[row])],
                "bbox": _xywh(box),
                "score": float(np.asarray(objects.scores)[row]),
            }
            if objects.network is not None:
                entry["network"] = objects.network
            content.append(entry)
    write_whole(path, json.dumps(content) + "\n")


def _annotations(content: Any) -> Annotations:
    categories = sorted(content["categories"], key=lambda each: each["id"])
    class_of = {each["id"]: number for number, each in enumerate(categories)}
    if len(class_of) < len(categories):
        raise ValueError("two categories have the same id")
    videos = {each["id"]: each for each in content.get("videos", [])}
    image_ids: dict[FrameId, int | str] = {}
    for image in content["images"]:
        frame = _frame_of(image, videos)
        if frame in image_ids:
            raise ValueError(
                f"frame {frame} is there twice, as images {image_ids[frame]} and {image['id']}"
            )
        image_ids[frame] = image["id"]
    if not image_ids:
        raise ValueError("there are no images")
    rows: dict[Any, list[Any]] = {image: [] for image in image_ids.values()}
    if len(rows) < len(image_ids):
        raise ValueError("two images have the same id")
    for entry in content["annotations"]:
        if entry["image_id"] not in rows:
            raise ValueError(
                f"annotation {entry.get('id')} is of image {entry['image_id']!r}, which is unknown"
            )
        if entry["category_id"] not in class_of:
            raise ValueError(
                f"annotation {entry.get('id')} has the unknown category {entry['category_id']!r}"
            )
        rows[entry["image_id"]].append(entry)
    by_id = sorted(rows, key=lambda image: (isinstance(image, str), image))
    place_of = {image: place for place, image in enumerate(by_id)}
    labels = label_map.checked([each["name"] for each in categories], where="categories")
    rates = {each.get("fps") for each in videos.values()}
    return Annotations(
        labels,
        {
            frame: _true(frame, rows[image], class_of, place=place_of[image])
            for frame, image in image_ids.items()
        },
        image_ids,
        tuple(class_of),
        float(rates.pop()) if len(rates) == 1 and None not in rates else None,
    )


def _frame_of(image: Any, videos: Mapping[Any, Any]) -> FrameId:
    if "video_id" not in image:
        return str(image.get("file_name", image["id"])), 0
    video = videos.get(image["video_id"], {})
    name = video.get("name", image["video_id"])
    return objects.frame_id_of((str(name), image.get("frame_id", image.get("frame_index", -1))))


def _true(frame: FrameId, rows: list[Any], class_of: Mapping[Any, int], *, place: int) -> Objects:
    tracks = [_track(row) for row in rows]
    boxes, sizes = _boxes(row["bbox"] for row in rows)
    true = objects.ground_truth_of(
        frame,
        {
            "boxes": boxes,
            "classes": [class_of[row["category_id"]] for row in rows],
            "track_ids": None if rows and set(tracks) == {-1} else tracks,
            "is_crowd": [bool(row.get("iscrowd", 0)) for row in rows],
            "areas": [_area(row, size) for row, size in zip(rows, sizes, strict=True)],
        },
        num_classes=len(class_of),
    )
    return true._replace(image=place, sizes=sizes)


def _found(
    frame: FrameId, rows: list[tuple[Any, int, float, str | None]], num_classes: int
) -> Objects:
    networks = {row[3] for row in rows}
    boxes, sizes = _boxes(row[0] for row in rows)
    found = objects.detections_of(
        frame,
        {
            "boxes": boxes,
            "classes": [row[1] for row in rows],
            "scores": [row[2] for row in rows],
            "network": networks.pop() if len(networks) == 1 else None,
        },
        num_classes=num_classes,
    )
    return found._replace(sizes=sizes)


def _reason(error: Exception) -> str:
    return f"missing {error}" if isinstance(error, KeyError) else str(error)


def _is_key(value: Any, known: Mapping[Any, Any]) -> bool:
    """Returns whether a value is a key; a list or an object, which JSON may hold, never is."""
    return isinstance(value, (int, float, str)) and value in known


def _boxes(given: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns corners, and the sizes, which the corners may miss by their last bit."""
    numbers = np.array([_numbers(bbox) for bbox in given], np.float64).reshape(-1, 4)
    corner, size = numbers[:, 1::-1], numbers[:, :1:-1]
    return np.concatenate([corner, corner + size], axis=1), size


def _numbers(bbox: Any) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = (float(value) for value in bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"a bbox must be x, y, width, height, got {bbox!r}") from None
    return left, top, width, height


def _track(row: Any) -> int:
    """Returns the track of an annotation, -1 where it is not known."""
    track = row.get("instance_id", row.get("track_id"))
    if track is None:
        return -1
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = int(track)
        if (isinstance(track, str) or number == track) and abs(number) <= objects.LARGEST:
            return number
    raise ValueError(
        f"annotation {row.get('id')} is of the track {track!r}; expected a whole number"
    )


def _area(row: Any, size: np.ndarray) -> float:
    with np.errstate(over="ignore"):  # A box that large is refused with all the others.
        area = row.get("area", size.prod())
    try:
        return float(area)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"annotation {row.get('id')} has the area {area!r}; expected square pixels"
        ) from None


def _xywh(box: np.ndarray) -> list[float]:
    ymin, xmin, ymax, xmax = map(float, box)
    return [xmin, ymin, xmax - xmin, ymax - ymin]
