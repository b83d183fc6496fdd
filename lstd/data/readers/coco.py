"""Reads COCO JSON: with videos (CocoVID, as mmtracking writes it), and of single images.

An image belongs to the video `video_id`, at the place that `frame_id` gives it; an image without
one is a video of one frame. With `folders`, the images of a folder, or the frames of a video file,
are a video, in the order of their names, whatever their `video_id`. `instance_id` or `track_id` of
an annotation is its identity. A `file_name` such as `street.avi#12` is frame 12, from 0, of a video
file; a video may take its frames from several files. Boxes are x, y, width, height in pixels of the
image.

Source: https://cocodataset.org/#format-data, and the CocoVID form of mmtracking.
"""

from __future__ import annotations

import collections
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lstd.data.readers import coco_file, natural, whole_numbers
from lstd.data.readers.coco_file import Annotation, Category, Content, Id, Image
from lstd.data.readers.labelled_video import (
    MOST_FRAMES,
    BoxRow,
    Classes,
    ImageFiles,
    JoinedPictures,
    LabelledVideo,
    Pictures,
    RawBoxes,
    collect,
    video_frames,
)
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import UNKNOWN_CLASS, Source

NAME = "coco"
TREE = coco_file.TREE

_FRAME_OF_VIDEO = re.compile(r"^(.+\.\w+)#(\d+)$")
_LOOKED_AT = 200


def matches(path: Path) -> bool:
    """Whether a file is COCO JSON, or a folder holds one (also in `annotations/`)."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos, or the images as videos of one frame.

    Raises:
        ValueError: not COCO JSON, several files to choose from, an annotation of no image, an image
            of no video, or none of the images is found; the message names the entry.
    """
    file = _only(path, options.subset)
    content = coco_file.load(file)
    names: dict[Id, str] = {
        entry.id: str(entry.name) for entry in sorted(content.categories, key=_id)
    }
    classes = Classes(list(names.values()), options.labels)
    _check_ids(content, file)
    boxes = _boxes(content, names, classes, file)
    groups = _folders(content) if options.folders else _videos(content, file, stills=options.stills)
    folder = _image_folder(file, content.images, options.images)
    has_tracks = any(entry.track is not None for entry in content.annotations)
    videos = tuple(
        LabelledVideo(
            name=name,
            where=str(file),
            pictures=_pictures(images, folder),
            boxes=tuple(boxes[image.id] for image in images),
            height=_one_of([image.height for image in images]),
            width=_one_of([image.width for image in images]),
            has_tracks=has_tracks,
            has_crowds=True,
            in_pixels=True,
        )
        for name, images in groups
    )
    return Source(NAME, str(path), classes.labels, videos, _notes(content, options))


def _id(category: Category) -> int:
    return category.id


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _looks_like_coco(path) else []
    if not path.is_dir():
        return []
    found = [*sorted(path.glob("*.json")), *sorted(path.glob("annotations/*.json"))]
    return [file for file in found if _looks_like_coco(file)]


def _looks_like_coco(path: Path) -> bool:
    with path.open("rb") as file:
        head, size = file.read(1 << 16), path.stat().st_size
        file.seek(max(0, size - (1 << 12)))
        tail = file.read()
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        key in head or key in tail for key in keys
    )


def _only(path: Path, subset: str) -> Path:
    found = _files(path)
    if not found:
        raise WrongTree(f"{path}: there is no COCO JSON; expected\n{TREE}")
    chosen = [file for file in found if subset in file.stem] if subset else found
    exact = [file for file in found if file.stem == subset]
    chosen = exact or chosen
    if len(chosen) != 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(
            f"{path}: {len(chosen)} of its COCO files fit; name one of them, or choose by --subset "
            f"a part of its name: {names}"
        )
    return chosen[0]


def _boxes(
    content: Content, names: Mapping[Id, str], classes: Classes, path: Path
) -> dict[Id, RawBoxes]:
    """Returns the boxes of every image."""
    rows: dict[Id, list[BoxRow]] = {image.id: [] for image in content.images}
    tracks = _track_numbers(content.annotations)
    for number, entry in enumerate(content.annotations):
        place = f"annotation {f'[{number}]' if entry.id is None else entry.id}"
        if entry.image_id not in rows:
            raise ValueError(
                f"{path}: {place} is of image {entry.image_id}, which is not in the list"
            )
        left, top, width, height = (float("nan") if side is None else side for side in entry.bbox)
        name = names.get(entry.category_id)
        rows[entry.image_id].append(
            BoxRow(
                sides=(top, left, top + height, left + width),
                class_index=UNKNOWN_CLASS if name is None else classes[name],
                track=-1 if entry.track is None else tracks[entry.track],
                crowd=bool(entry.iscrowd),
                row_name=place,
                class_text=f"category {entry.category_id}" if name is None else name,
            )
        )
    return {
        image.id: collect(rows[image.id], where=f"{path}, image {image.file_name}")
        for image in content.images
    }


def _track_numbers(annotations: Sequence[Annotation]) -> dict[Id, int]:
    """Returns a number for each track id: itself, or its place where ids are no small numbers.

    Numbers below 0 are unknown, -1, in either case.
    """
    said = dict.fromkeys(entry.track for entry in annotations if entry.track is not None)
    unknown: dict[Id, int] = {one: -1 for one in said if isinstance(one, int) and one < 0}
    ids = [one for one in said if one not in unknown]
    small = [one for one in ids if isinstance(one, int) and one <= whole_numbers.MOST]
    if len(small) == len(ids):
        return {**unknown, **{one: one for one in small}}
    return {**unknown, **{one: number for number, one in enumerate(ids)}}


def _videos(content: Content, path: Path, *, stills: bool) -> list[tuple[str, list[Image]]]:
    """Returns name and images, in order, of every video."""
    named: dict[Any, str] = {
        entry.id: str(entry.id if entry.name is None else entry.name) for entry in content.videos
    }
    groups: dict[Any, list[Image]] = {} if stills else {key: [] for key in named}
    names: dict[Any, str] = {} if stills else dict(named)
    for number, image in enumerate(content.images):
        owner = image.video_id
        if stills or owner is None or owner == -1:
            key: Any = ("still", number)
            names[key] = image.file_name
        else:
            key = owner
            if named and owner not in named:
                raise ValueError(
                    f'{path}: image {image.file_name} is of video {owner}, which is not in "videos"'
                )
            names.setdefault(key, str(owner))
        groups.setdefault(key, []).append(image)
    for images in groups.values():
        images.sort(key=lambda image: image.frame_id or 0)
    return [(names[key], images) for key, images in groups.items()]


def _check_ids(content: Content, path: Path) -> None:
    doubled = collections.Counter(image.id for image in content.images).most_common(1)
    if doubled and doubled[0][1] > 1:
        raise ValueError(f"{path}: {doubled[0][1]} images have the id {doubled[0][0]}")


def _folders(content: Content) -> list[tuple[str, list[Image]]]:
    """Returns name and images, in order, of every folder and every video file."""
    groups: dict[str, list[Image]] = {}
    for image in content.images:
        found = _FRAME_OF_VIDEO.match(image.file_name)
        folder = found.group(1) if found else image.file_name.rpartition("/")[0]
        groups.setdefault(folder or "images", []).append(image)
    for images in groups.values():
        images.sort(key=lambda image: natural.key(image.file_name))
    return [*groups.items()]


def _notes(content: Content, options: Options) -> tuple[str, ...]:
    """Returns what to say where no two images are of one video, and nobody wanted that."""
    if options.stills or options.folders or len(content.images) < 2:
        return ()
    if any(image.video_id not in (None, -1) for image in content.images):
        return ()
    return (
        "every image is a video of its own: none has a video_id; if a folder of images is a video, "
        "say so with folders, if they are single images, with stills",
    )


def _one_of(said: Sequence[float | None]) -> int:
    """Returns the size that all images of a video say, 0 if they say several, none or nonsense."""
    sizes = {int(size) if size and 0 < size < math.inf else 0 for size in said}
    return sizes.pop() if len(sizes) == 1 else 0


def _image_folder(path: Path, images: Sequence[Image], given: str) -> Path:
    """Returns the folder that `file_name` starts from."""
    above = path.parent.parent
    usual = [
        path.parent,
        path.parent / "images",
        path.parent / path.stem,
        above,
        above / "images",
        above / "Data" / "VID",
        above / path.stem.rpartition("_")[2],
        *(above / "Data" / "VID" / part for part in ("train", "val")),
    ]
    places = [Path(given)] if given else usual
    files = [_FRAME_OF_VIDEO.sub(r"\1", i.file_name) for i in images[:_LOOKED_AT]]
    for place in places:
        if any((place / name).exists() for name in dict.fromkeys(files)):
            return place
    if not files:
        return places[0]
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ValueError(
        f"{path}: none of its images is found, such as {files[0]}; looked in {looked}; say where "
        "they are with --images"
    )


def _pictures(images: Sequence[Image], folder: Path) -> Pictures:
    """Returns the pictures of a video; each may be a file, or a frame of a video file."""
    parts: list[Pictures] = []
    for file, group in itertools.groupby(images, key=lambda image: _video_file(image, folder)):
        names = [image.file_name for image in group]
        if file is None:
            parts.append(ImageFiles(tuple(str(folder / name) for name in names)))
        else:
            numbers = [
                whole_numbers.whole(
                    float(name.rpartition("#")[2]), what=f"file_name is {name}", most=MOST_FRAMES
                )
                for name in names
            ]
            parts.append(video_frames(file, numbers=numbers))
    return parts[0] if len(parts) == 1 else JoinedPictures(tuple(parts))


def _video_file(image: Image, folder: Path) -> Path | None:
    """Returns the video file that an image is a frame of; None for an image of its own."""
    found = _FRAME_OF_VIDEO.match(image.file_name)
    file = folder / found.group(1) if found else None
    return file if file is not None and file.is_file() else None
