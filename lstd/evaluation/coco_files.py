"""Ground truth and detections as COCO's JSON files, with videos and tracks as CocoVID has them."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstd.base import coco_file, documents, label_map, overlap
from lstd.base.coco_file import Annotation, Content, Id, Image
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
    one frame. `iscrowd` and `area` count, and between equal scores the ids of the images decide, as
    in pycocotools. All else is as for training, see `lstd.base.coco_file`.

    Raises:
        ValueError: not such a file; a frame twice, an annotation of an unknown image or class, or
            a box that cannot be; the message names the file.
        OSError: it cannot be read.
    """
    content = coco_file.load(path)
    with _named(path):
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
    with _named(path):
        for number, entry in enumerate(content):
            where = f"entry {number}"
            try:
                image, category = entry["image_id"], entry["category_id"]
                box, score, network = entry["bbox"], entry["score"], entry.get("network")
            except (KeyError, TypeError, AttributeError) as error:
                reason = f"missing {error}" if isinstance(error, KeyError) else error
                raise ValueError(f"{where} is no detection: {reason}") from None
            image, category = map(coco_file.plain_id, (image, category))
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


def _annotations(content: Content) -> Annotations:
    categories = sorted(content.categories, key=lambda each: each.id)
    class_of: dict[Id, int] = {each.id: number for number, each in enumerate(categories)}
    videos = {each.id: each.name for each in content.videos}
    image_ids: dict[FrameId, Id] = {}
    for image in content.images:
        frame = _frame_of(image, videos)
        if frame in image_ids:
            raise ValueError(
                f"frame {frame} is there twice, as images {image_ids[frame]} and {image.id}"
            )
        image_ids[frame] = image.id
    if not image_ids:
        raise ValueError("there are no images")
    rows: dict[Id, list[tuple[Annotation, str]]] = {image: [] for image in image_ids.values()}
    for number, entry in enumerate(content.annotations):
        where = entry.name(number)
        if entry.category_id not in class_of:
            raise ValueError(f"{where} has the unknown category {entry.category_id!r}")
        rows[entry.image_id].append((entry, where))
    tracks = coco_file.track_numbers(content.annotations)
    by_id = sorted(rows, key=lambda image: (isinstance(image, str), image))
    place_of = {image: place for place, image in enumerate(by_id)}
    rates = {
        each.fps if each.fps is None else _number(each.fps, f"video {each.id} has fps {each.fps!r}")
        for each in content.videos
    }
    return Annotations(
        label_map.checked([str(each.name) for each in categories], where="categories"),
        {
            frame: _true(frame, rows[image], class_of, tracks)._replace(image=place_of[image])
            for frame, image in image_ids.items()
        },
        image_ids,
        tuple(each.id for each in categories),
        rates.pop() if len(rates) == 1 else None,
    )


def _frame_of(image: Image, videos: Mapping[Id, Id | None]) -> FrameId:
    if image.video_id is None:
        return image.file_name or str(image.id), 0
    name, number = videos.get(image.video_id), image.frame
    whole = int(number) if number is not None and number.is_integer() else -1
    return objects.frame_id_of((str(image.video_id if name is None else name), whole))


def _true(
    frame: FrameId,
    rows: Sequence[tuple[Annotation, str]],
    class_of: Mapping[Id, int],
    tracks: Mapping[Id, int],
) -> Objects:
    ids = [-1 if row.track is None else tracks[row.track] for row, _ in rows]
    boxes, sizes = _corners(coco_file.box_of(row, where) for row, where in rows)
    with np.errstate(over="ignore"):  # A box that large is refused with all the others.
        areas = sizes.prod(axis=1).tolist()
    values = {
        "boxes": boxes,
        "classes": [class_of[row.category_id] for row, _ in rows],
        "track_ids": None if set(ids) == {-1} else ids,
        "is_crowd": [bool(row.iscrowd) for row, _ in rows],
        "areas": [
            _number(area if row.area is None else row.area, f"{where} has the area {row.area!r}")
            for (row, where), area in zip(rows, areas, strict=True)
        ],
    }
    return objects.ground_truth_of(frame, values, num_classes=len(class_of))._replace(sizes=sizes)


def _found(frame: FrameId, rows: list[dict[str, Any]], num_classes: int) -> Objects:
    networks = {row["network"] for row in rows}
    boxes, sizes = _corners(_four(row["bbox"]) for row in rows)
    values = {
        "boxes": boxes,
        "classes": [row["classes"] for row in rows],
        "scores": [row["scores"] for row in rows],
        "network": networks.pop() if len(networks) == 1 else None,
    }
    return objects.detections_of(frame, values, num_classes=num_classes)._replace(sizes=sizes)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names the file in what is raised."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _is_key(value: Any, known: Mapping[Any, Any]) -> bool:
    """Returns whether a value is a key; a list or an object, which JSON may hold, never is."""
    return isinstance(value, (int, float, str)) and value in known


def _number(value: Any, error: str) -> float:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return float(value)
    raise ValueError(error)


def _corners(given: Iterable[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns corners, and the sizes, which the corners may miss by their last bit."""
    numbers = np.array([*given], np.float64).reshape(-1, 4)
    corner, size = numbers[:, 1::-1], numbers[:, :1:-1]
    return np.concatenate([corner, corner + size], axis=1), size


def _four(bbox: Any) -> list[float]:
    error = f"a bbox must be x, y, width, height, got {bbox!r}"
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4:
        raise ValueError(error)
    return [_number(value, error) for value in bbox]


def _xywh(box: np.ndarray) -> list[float]:
    ymin, xmin, ymax, xmax = map(float, box)
    return [xmin, ymin, xmax - xmin, ymax - ymin]
