"""The contents of a COCO JSON file, checked: the fields that are used, their types, and masks.

Source of masks: `common/maskApi.c` of https://github.com/cocodataset/cocoapi (`rleFrString`,
`rleToBbox`).
"""

import collections
import dataclasses
import functools
import math
import operator
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstd.base import documents, limits

_IDS = {"id", "image_id", "category_id", "video_id", "instance_id", "track_id"}
_COUNTED = re.compile("0|[1-9][0-9]{0,17}")

Id = int | str
BBox = tuple[float, float, float, float]


class NotCoco(ValueError):
    """A file has not the three lists that make it COCO's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image, or a frame; a size may be missing or wrong."""

    id: Id
    file_name: str = ""
    video_id: Id | None = None
    frame_id: float | None = None
    frame_index: float | None = None
    height: float | None = None
    width: float | None = None

    @property
    def frame(self) -> float | None:
        """Its place in the video: `frame_id` of CocoVID, `frame_index` of TAO."""
        return self.frame_index if self.frame_id is None else self.frame_id


@dataclasses.dataclass(frozen=True, slots=True)
class Annotation:
    """A box (x, y, width, height in pixels, null if unknown) or a mask."""

    image_id: Id
    category_id: Id
    bbox: tuple[float | None, float | None, float | None, float | None] | None = None
    segmentation: Any = None
    attributes: Any = None
    id: Id | None = None
    instance_id: Id | None = None
    track_id: Id | None = None
    iscrowd: int | None = 0
    area: Any = None

    def name(self, number: int) -> str:
        """Returns what to call it, of which the list has so many before."""
        return f"annotation {f'[{number}]' if self.id is None else self.id}"

    @property
    def track(self) -> Id | None:
        """Its track id, from any of the fields that tools use; the last one is CVAT's."""
        if self.instance_id is not None or self.track_id is not None:
            return self.track_id if self.instance_id is None else self.instance_id
        said = self.attributes.get("track_id") if isinstance(self.attributes, dict) else None
        return said if isinstance(said, int | str) and not isinstance(said, bool) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Category:
    """A class."""

    id: int
    name: Id
    supercategory: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Video:
    """A video; without a name it is called by its id."""

    id: Id
    name: Id | None = None
    fps: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """A file."""

    images: tuple[Image, ...]
    annotations: tuple[Annotation, ...]
    categories: tuple[Category, ...]
    videos: tuple[Video, ...] = ()


def load(path: str | os.PathLike[str]) -> Content:
    """Returns the contents of a file; unused fields may hold anything.

    Raises:
        NotCoco: it has other contents.
        ValueError: an entry, which is named, is not as it should be; two images or categories have
            the same id; an annotation is of an image that is not there.
        OSError: it cannot be read.
    """
    import pydantic  # here, because it costs 0.1 s that the other readers need not pay

    content = documents.read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise NotCoco(f'{path}: there is no list "{key}"')
    for key in ("images", "annotations", "categories", "videos"):
        entries = content.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict):
                continue
            if isinstance(entry.get("name"), bool):
                raise ValueError(f"{path}: {key}[{number}] has name {entry['name']}, not a text")
            entry |= {field: plain_id(entry[field]) for field in _IDS.intersection(entry)}
    try:
        found = pydantic.TypeAdapter(Content).validate_python(content)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        steps = problem["loc"][:3]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        if problem["type"] == "missing" and len(problem["loc"]) == 3:
            raise ValueError(f"{path}: {place[1:]} is missing") from None
        value = reprlib.repr(functools.reduce(operator.getitem, steps, content))
        wanted = "expected [x, y, width, height]" if "bbox" in steps else problem["msg"]
        raise ValueError(f"{path}: {place[1:]} is {value}: {wanted}") from None
    for what, entries in (("images", found.images), ("categories", found.categories)):
        for one, count in collections.Counter(entry.id for entry in entries).most_common(1):
            if count > 1:
                raise ValueError(f"{path}: {count} {what} have the id {one}")
    images = {image.id for image in found.images}
    for number, annotation in enumerate(found.annotations):
        if annotation.image_id not in images:
            raise ValueError(
                f"{path}: {annotation.name(number)} is of image {annotation.image_id}, which is "
                "not in the list"
            )
    return found


def plain_id(said: Any) -> Any:
    """Returns an id as a number where its text is one: tools mix "12" and 12."""
    return int(said) if isinstance(said, str) and _COUNTED.fullmatch(said) else said


def track_numbers(annotations: Sequence[Annotation]) -> dict[Id, int]:
    """Returns a number for each track id: the id itself, or its place if any is not a small number.

    Numbers below 0 are unknown, -1, in either case.
    """
    said = dict.fromkeys(entry.track for entry in annotations if entry.track is not None)
    unknown: dict[Id, int] = {one: -1 for one in said if isinstance(one, int) and one < 0}
    ids = [one for one in said if one not in unknown]
    small = [one for one in ids if isinstance(one, int) and one <= limits.WHOLE]
    if len(small) == len(ids):
        return {**unknown, **{one: one for one in small}}
    return {**unknown, **{one: number for number, one in enumerate(ids)}}


def box_of(entry: Annotation, where: str) -> BBox:
    """Returns x, y, width, height of an annotation, or of its mask; NaN for null.

    Raises:
        ValueError: it has neither, or a mask that is none; `where` names it.
    """
    box: Sequence[float | None] | None = entry.bbox
    if box is None:
        try:
            box = _of_mask(entry.segmentation)
        except ValueError as error:
            raise ValueError(f"{where} has a segmentation: {error}") from None
    if box is None:
        raise ValueError(f"{where} has no bbox")
    x, y, width, height = (math.nan if side is None else side for side in box)
    return x, y, width, height


def _of_mask(segmentation: Any) -> BBox | None:
    """Returns x, y, width, height of a mask, None if it is empty.

    It is a list of polygons x, y, x, y, ...; or has `counts` and `size`, height and width. Raises
    ValueError, saying what is wrong with it, if it is neither.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise ValueError("expected polygons, or counts and size")
    polygons = [segmentation] if isinstance(segmentation[0], int | float) else segmentation
    try:
        points = np.concatenate([np.array(one, np.float64).reshape(-1, 2) for one in polygons])
    except (TypeError, ValueError):
        raise ValueError("expected lists of x, y, x, y, ...") from None
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), *(high - low).tolist()


def _of_runs(said: Mapping[str, Any]) -> BBox | None:
    """Runs go down the columns, and are by turns outside and inside the mask."""
    counts = said.get("counts")
    try:
        height, width = (int(side) for side in said.get("size") or ())
        runs = np.array(_decompressed(counts) if isinstance(counts, str) else counts, np.int64)
        if (
            runs.ndim != 1
            or (runs < 0).any()
            or not 0 < runs.sum() == height * width <= limits.PIXELS
        ):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its counts are no runs of pixels that fill its size") from None
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height)
    columns, rows = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(columns):
        return None
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1] + 1 - left), float(rows[-1] + 1 - top)


def _decompressed(text: str) -> list[int]:
    """Returns the runs: five bits a character, differences to the run before the last."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
