"""Ground truth and detections as COCO's JSON files, with videos and tracks as CocoVID has them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import documents, label_map, overlap
from lstd.base.whole_file import write_whole
from lstd.evaluation import objects
from lstd.evaluation.objects import FrameId, Objects


class Annotations(NamedTuple):
    """What an annotation file says."""

    labels: tuple[str, ...]  # in the order of their ids
    ground_truth: dict[FrameId, Objects]  # boxes in pixels
    image_ids: dict[FrameId, int | str]  # the file's id of each frame
    category_ids: tuple[int, ...]  # the file's id of each class
    fps: float | None  # of the videos, where the file says it and they agree


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
    with _named(path, "not a COCO annotation file"):
        return _annotations(content)


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
    rows: dict[FrameId, list[dict[str, Any]]] = {}
    with _named(path, "not a COCO results file"):
        for number, entry in enumerate(content):
            where = f"entry {number}"
            try:
                image, category = entry["image_id"], entry["category_id"]
                box, score, network = entry["bbox"], entry["score"], entry.get("network")
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{where} is no detection: {_reason(error)}") from None
            if not _is_key(image, frame_of):
                raise ValueError(f"{where} is of image {image!r}, which is unknown")
            if not _is_key(category, class_of):
                known = ", ".join(map(str, annotations.category_ids))
                raise ValueError(f"{where} has category {category!r}; the annotations have {known}")
            objects.check_network(network, where=f"{where}: network")
            value = _number(score, f"{where}: score must be a number, got {score!r}")
            row = {"classes": class_of[category], "scores": value, "network": network}
            rows.setdefault(frame_of[image], []).append({**row, "bbox": box})
        return {frame: _found(frame, each, len(annotations.labels)) for frame, each in rows.items()}


def write_annotations(
    path: str | os.PathLike[str],
    labels: Sequence[str],
    ground_truth: Mapping[FrameId, Objects],
    *,
    fps: float | None = None,
) -> dict[FrameId, int]:
    """Writes ground truth in CocoVID form; returns the id of each frame's image."""
    ordered = sorted(ground_truth)
    image_ids = {frame: number for number, frame in enumerate(ordered, start=1)}
    videos = {name: number for number, name in enumerate(dict(ordered), start=1)}
    rate = {} if fps is None else {"fps": fps}
    annotations: list[dict[str, Any]] = []
    for frame in ordered:
        objects = ground_truth[frame]
        areas = overlap.areas(objects.boxes) if objects.areas is None else objects.areas
        for row, box in enumerate(objects.boxes):
            entry: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image_ids[frame],
                "video_id": videos[frame[0]],
                "category_id": int(objects.classes[row]) + 1,
                "bbox": _xywh(box),
                "area": float(areas[row]),
                "iscrowd": 0 if objects.is_crowd is None else int(objects.is_crowd[row]),
            }
            if objects.track_ids is not None and objects.track_ids[row] >= 0:
                entry["instance_id"] = int(objects.track_ids[row])
            annotations.append(entry)
    content = {
        "videos": [{"id": number, "name": name, **rate} for name, number in videos.items()],
        "categories": [{"id": k, "name": label} for k, label in enumerate(labels, start=1)],
        "images": [
            {"id": number, "video_id": videos[v], "frame_id": index, "file_name": f"{v}#{index}"}
            for (v, index), number in image_ids.items()
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
    """Writes detections as a COCO results file; each also says which network found it."""
    content = [
        {
            "image_id": image_ids[frame],
            "category_id": category_ids[int(found.classes[row])],
            "bbox": _xywh(box),
            "score": float(np.asarray(found.scores)[row]),
            **({} if found.network is None else {"network": found.network}),
        }
        for frame, found in sorted(detections.items(), key=lambda item: item[0])
        for row, box in enumerate(found.boxes)
    ]
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
        image, category = entry["image_id"], entry["category_id"]
        where = f"annotation {entry.get('id')}"
        if image not in rows:
            raise ValueError(f"{where} is of image {image!r}, which is unknown")
        if category not in class_of:
            raise ValueError(f"{where} has the unknown category {category!r}")
        rows[image].append({**entry, "classes": class_of[category]})
    by_id = sorted(rows, key=lambda image: (isinstance(image, str), image))
    place_of = {image: place for place, image in enumerate(by_id)}
    rates = {each.get("fps") for each in videos.values()}
    return Annotations(
        label_map.checked([each["name"] for each in categories], where="categories"),
        {
            frame: _true(frame, rows[image], len(class_of))._replace(image=place_of[image])
            for frame, image in image_ids.items()
        },
        image_ids,
        tuple(class_of),
        float(rates.pop()) if len(rates) == 1 and None not in rates else None,
    )


def _frame_of(image: Any, videos: Mapping[Any, Any]) -> FrameId:
    if "video_id" not in image:
        return str(image.get("file_name", image["id"])), 0
    name = videos.get(image["video_id"], {}).get("name", image["video_id"])
    return objects.frame_id_of((str(name), image.get("frame_id", image.get("frame_index", -1))))


def _true(frame: FrameId, rows: list[Any], num_classes: int) -> Objects:
    tracks = [_track(row) for row in rows]
    boxes, sizes = _boxes(row["bbox"] for row in rows)
    with np.errstate(over="ignore"):  # A box that large is refused with all the others.
        areas = [row.get("area", side) for row, side in zip(rows, sizes.prod(axis=1), strict=True)]
    values = {
        "boxes": boxes,
        "classes": [row["classes"] for row in rows],
        "track_ids": None if rows and set(tracks) == {-1} else tracks,
        "is_crowd": [bool(row.get("iscrowd", 0)) for row in rows],
        "areas": [
            _number(
                area, f"annotation {row.get('id')} has the area {area!r}; expected square pixels"
            )
            for row, area in zip(rows, areas, strict=True)
        ],
    }
    return objects.ground_truth_of(frame, values, num_classes=num_classes)._replace(sizes=sizes)


def _found(frame: FrameId, rows: list[dict[str, Any]], num_classes: int) -> Objects:
    networks = {row["network"] for row in rows}
    boxes, sizes = _boxes(row["bbox"] for row in rows)
    values = {
        "boxes": boxes,
        "classes": [row["classes"] for row in rows],
        "scores": [row["scores"] for row in rows],
        "network": networks.pop() if len(networks) == 1 else None,
    }
    return objects.detections_of(frame, values, num_classes=num_classes)._replace(sizes=sizes)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Names the file in what is raised; and says `what` it is not, where its form is another."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {what}: {_reason(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _reason(error: Exception) -> str:
    return f"missing {error}" if isinstance(error, KeyError) else str(error)


def _is_key(value: Any, known: Mapping[Any, Any]) -> bool:
    """Returns whether a value is a key; a list or an object, which JSON may hold, never is."""
    return isinstance(value, (int, float, str)) and value in known


def _number(value: Any, error: str) -> float:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return float(value)
    raise ValueError(error)


def _boxes(given: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns corners, and the sizes, which the corners may miss by their last bit."""
    numbers = np.array([_four(bbox) for bbox in given], np.float64).reshape(-1, 4)
    corner, size = numbers[:, 1::-1], numbers[:, :1:-1]
    return np.concatenate([corner, corner + size], axis=1), size


def _four(bbox: Any) -> list[float]:
    error = f"a bbox must be x, y, width, height, got {bbox!r}"
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4:
        raise ValueError(error)
    return [_number(value, error) for value in bbox]


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


def _xywh(box: np.ndarray) -> list[float]:
    ymin, xmin, ymax, xmax = map(float, box)
    return [xmin, ymin, xmax - xmin, ymax - ymin]
