"""Reads COCO JSON: with videos (CocoVID, as mmtracking writes it), and of single images.

An image belongs to the video `video_id`, at the place that `frame_id` gives it; an image without
one is a video of one frame. `instance_id` or `track_id` of an annotation is its identity. A
`file_name` such as `street.avi#12` is frame 12, from 0, of a video file; a video may take its
frames from several files. Boxes are x, y, width, height in pixels of the image.

Source: https://cocodataset.org/#format-data, and the CocoVID form of mmtracking.
"""

from __future__ import annotations

import collections
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lstd.data.readers.labelled_video import (
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
TREE = """\
annotations.json with "images", "annotations", "categories" and, for video, "videos"; the images
  beside it, or in images/, or in the folder above; or --images FOLDER"""

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
    content = _load(file)
    categories = sorted(content["categories"], key=lambda entry: entry["id"])
    classes = Classes([str(entry["name"]) for entry in categories], options.labels)
    names = {entry["id"]: str(entry["name"]) for entry in categories}
    boxes = _boxes(content, names, classes, file)
    groups = _videos(content, file, stills=options.stills)
    folder = _image_folder(file, content["images"], options.images)
    has_tracks = any("instance_id" in a or "track_id" in a for a in content["annotations"])
    videos = tuple(
        LabelledVideo(
            name=name,
            where=str(file),
            pictures=_pictures(images, folder),
            boxes=tuple(boxes[image["id"]] for image in images),
            height=_one_of(images, "height"),
            width=_one_of(images, "width"),
            has_tracks=has_tracks,
            has_crowds=True,
            in_pixels=True,
        )
        for name, images in groups
    )
    return Source(NAME, str(path), classes.labels, videos)


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


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise WrongTree(f'{path}: there is no list "{key}"; expected COCO JSON\n{TREE}')
    for key, needed in (
        ("images", ("id", "file_name")),
        ("annotations", ("image_id", "category_id", "bbox")),
        ("categories", ("id", "name")),
        ("videos", ("id",)),
    ):
        for number, entry in enumerate(content.get(key, [])):
            missing = [name for name in needed if name not in entry]
            if missing:
                raise ValueError(f"{path}: {key}[{number}] has no {' and no '.join(missing)}")
    return content


def _boxes(
    content: Mapping[str, Any], names: Mapping[int, str], classes: Classes, path: Path
) -> dict[Any, RawBoxes]:
    """Returns the boxes of every image."""
    rows: dict[Any, list[BoxRow]] = {image["id"]: [] for image in content["images"]}
    tracks = _track_numbers(content["annotations"])
    for number, entry in enumerate(content["annotations"]):
        place = f"annotation {entry.get('id', f'[{number}]')}"
        if entry["image_id"] not in rows:
            raise ValueError(
                f"{path}: {place} is of image {entry['image_id']}, which is not in the list"
            )
        box = entry["bbox"]
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"{path}: {place} has bbox {box!r}, expected [x, y, width, height]")
        left, top, width, height = (float("nan") if side is None else float(side) for side in box)
        name = names.get(entry["category_id"])
        rows[entry["image_id"]].append(
            BoxRow(
                sides=(top, left, top + height, left + width),
                class_index=UNKNOWN_CLASS if name is None else classes[name],
                track=tracks.get(_track(entry), -1),
                crowd=bool(entry.get("iscrowd", 0)),
                row_name=place,
                class_text=f"category {entry['category_id']}" if name is None else name,
            )
        )
    return {
        image["id"]: collect(rows[image["id"]], where=f"{path}, image {image['file_name']}")
        for image in content["images"]
    }


def _track(entry: Mapping[str, Any]) -> Any:
    return entry.get("instance_id", entry.get("track_id"))


def _track_numbers(annotations: Sequence[Mapping[str, Any]]) -> dict[Any, int]:
    """Returns a number for each track id: itself, or its place where ids are no small numbers."""
    ids = dict.fromkeys(_track(entry) for entry in annotations)
    ids.pop(None, None)
    if all(isinstance(one, int) and -1 <= one < 2**31 for one in ids):
        return {one: one for one in ids}
    return {one: number for number, one in enumerate(ids)}


def _videos(
    content: Mapping[str, Any], path: Path, *, stills: bool
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Returns name and images, in order, of every video."""
    named = {
        entry["id"]: str(entry.get("name", entry["id"])) for entry in content.get("videos", [])
    }
    groups: dict[Any, list[Mapping[str, Any]]] = {} if stills else {key: [] for key in named}
    names: dict[Any, str] = {} if stills else dict(named)
    doubled = collections.Counter(image["id"] for image in content["images"]).most_common(1)
    if doubled and doubled[0][1] > 1:
        raise ValueError(f"{path}: {doubled[0][1]} images have the id {doubled[0][0]}")
    for number, image in enumerate(content["images"]):
        owner = image.get("video_id")
        if stills or owner is None or owner == -1:
            key = ("still", number)
            names[key] = str(image["file_name"])
        else:
            key = owner
            if named and owner not in named:
                raise ValueError(
                    f"{path}: image {image['file_name']} is of video {owner}, which is not in "
                    '"videos"'
                )
            names.setdefault(key, str(owner))
        groups.setdefault(key, []).append(image)
    for images in groups.values():
        images.sort(key=lambda image: image.get("frame_id", 0))
    return [(names[key], images) for key, images in groups.items()]


def _one_of(images: Sequence[Mapping[str, Any]], side: str) -> int:
    """Returns the size that all images of a video say, 0 if they say several or none."""
    said = {int(image.get(side) or 0) for image in images}
    return said.pop() if len(said) == 1 else 0


def _image_folder(path: Path, images: Sequence[Mapping[str, Any]], given: str) -> Path:
    """Returns the folder that `file_name` starts from."""
    if given:
        return Path(given)
    above = path.parent.parent
    places = [
        path.parent,
        path.parent / "images",
        path.parent / path.stem,
        above,
        above / "images",
        above / "Data" / "VID",
        above / path.stem.rpartition("_")[2],
        *(above / "Data" / "VID" / part for part in ("train", "val")),
    ]
    files = [_FRAME_OF_VIDEO.sub(r"\1", str(i["file_name"])) for i in images[:_LOOKED_AT]]
    for place in places:
        if any((place / name).exists() for name in dict.fromkeys(files)):
            return place
    if not files:
        return path.parent
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ValueError(
        f"{path}: none of its images is found, such as {files[0]}; looked in {looked}; say where "
        "they are with --images"
    )


def _pictures(images: Sequence[Mapping[str, Any]], folder: Path) -> Pictures:
    """Returns the pictures of a video; each may be a file, or a frame of a video file."""
    parts: list[Pictures] = []
    for file, group in itertools.groupby(images, key=lambda image: _video_file(image, folder)):
        names = [str(image["file_name"]) for image in group]
        if file is None:
            parts.append(ImageFiles(tuple(str(folder / name) for name in names)))
        else:
            numbers = [int(name.rpartition("#")[2]) for name in names]
            parts.append(video_frames(file, numbers=numbers))
    return parts[0] if len(parts) == 1 else JoinedPictures(tuple(parts))


def _video_file(image: Mapping[str, Any], folder: Path) -> Path | None:
    """Returns the video file that an image is a frame of; None for an image of its own."""
    found = _FRAME_OF_VIDEO.match(str(image["file_name"]))
    file = folder / found.group(1) if found else None
    return file if file is not None and file.is_file() else None
