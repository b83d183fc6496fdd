"""Reads COCO JSON: with videos (CocoVID, as mmtracking writes it, TAO), and of single images.

An image belongs to the video `video_id`, at the place that `frame_id` or `frame_index` gives it, or
else the number in its name; an image without a `video_id` is a video of one frame. With `folders`,
the images of a folder, or the frames of a video file, are a video, in the order of their names (see
`frame_names`), or of the list where the names say none; so are images without `video_id` if the
boxes have tracks, or the names are those of frames of a video. `instance_id`, `track_id` or CVAT's
`attributes.track_id` of an annotation is its identity. A `file_name` such as `street.avi#12` is
frame 12, from 0, of a video file; a video may take its frames from several files. Boxes are x, y,
width, height in pixels of the image; where there is none, that of the mask.

A folder may hold `train/`, `valid/` and so on with a file each, as Roboflow writes it. Its first
category, without boxes and the parent of all others, is the data set's name and no class.

Source: https://cocodataset.org/#format-data, and the CocoVID form of mmtracking.
"""

from __future__ import annotations

import collections
import itertools
import math
import mmap
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lstd.base import limits
from lstd.data.readers import (
    coco_file,
    coco_masks,
    frame_names,
    image_sets,
    pictures,
    whole_numbers,
)
from lstd.data.readers.coco_file import Annotation, Content, Id, Image
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
from lstd.data.readers.options import Options, WrongTree, all_taken, chosen, same_as
from lstd.data.sources import UNKNOWN_CLASS, Source

NAME = "coco"
TREE = coco_file.TREE

_FRAME_OF_VIDEO = re.compile(r"^(.+\.\w+)#(\d+)$")
_MOST_FILES = 50
"""Of JSON in the folder of a subset; more are labels of one image each, in another format."""
_LISTS = [rf'"{key}"\s*:\s*\['.encode() for key in ("images", "annotations")]


class _Shot(NamedTuple):
    """An image with its boxes, its subset and the file that tells of it; `files` finds its own."""

    image: Image
    name: str
    boxes: RawBoxes
    part: str
    file: Path
    files: pictures.Finder


Videos = list[tuple[str, list[_Shot]]]


def matches(path: Path) -> bool:
    """Whether a file is COCO JSON, or a folder holds one (also in `annotations/` or `train/`)."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos, or the images as videos of one frame.

    Raises:
        ValueError: not COCO JSON, several files to choose from, an annotation of no image, an image
            of no video, none of the images is found, or their names have two readings; the message
            names the entry.
    """
    files = _chosen(path, options.subset)
    contents = {part: coco_file.load(file) for part, file in files.items()}
    tables = {part: _names(content) for part, content in contents.items()}
    known = dict.fromkeys(name for table in tables.values() for name in table.values())
    classes = Classes([*known], options.labels)
    shots = [
        one
        for part, content in contents.items()
        for one in _shots(files[part], part, content, tables[part], classes, options.images)
    ]
    notes = [*all_taken(f"{part} ({len(c.images)} images)" for part, c in contents.items())]
    for one in {one.part: one for one in shots}.values():
        notes += one.files.told(one.image.file_name)
    has_tracks = any(e.track is not None for c in contents.values() for e in c.annotations)
    if options.stills:
        videos = [(one.name, [one]) for one in shots]
    elif options.folders:
        videos = _by_names(shots, options, str(path), notes, apart=has_tracks)
    else:
        videos = [
            video
            for part, content in contents.items()
            for video in _told(content, [one for one in shots if one.part == part], notes)
        ]
        rest = [one for one in shots if one.image.video_id in (None, -1)]
        film = Path(options.images).is_file()
        if rest and (has_tracks or film or _are_of_videos(rest)):
            videos += _by_names(rest, options, str(path), notes, apart=has_tracks)
        else:
            videos += [(one.name, [one]) for one in rest]
            if len(rest) == len(shots) > 1:
                notes.append(_APART)
    made = tuple(
        LabelledVideo(
            name=name,
            where=str(own[0].file) if own else str(path),
            pictures=_pictures(name, own, options, alone=len(videos) == 1),
            boxes=tuple(one.boxes for one in own),
            has_tracks=has_tracks,
            has_crowds=True,
            in_pixels=True,
        )
        for name, own in videos
    )
    return Source(NAME, str(path), classes.labels, made, tuple(notes))


_APART = (
    "every image is a video of its own: none has a video_id; if a folder of images is a video, "
    "say so with folders, if they are single images, with stills"
)


def _files(path: Path) -> dict[str, list[Path]]:
    """Returns the COCO files by subset: with the empty one, or with the names of folders."""
    if path.is_file():
        return {"": [path]} if path.suffix.lower() == ".json" and _has(path, any) else {}
    if not path.is_dir():
        return {}
    found: dict[str, list[Path]] = {}
    for pattern in ("*.json", "annotations/*.json"):
        found.setdefault("", []).extend(f for f in sorted(path.glob(pattern)) if _has(f, all))
    if found[""]:
        return found
    for folder in sorted(path.glob("*/")):
        files = [*folder.glob("*.json"), *folder.glob("annotations/*.json")]
        if len(files) <= _MOST_FILES:
            found[folder.name] = [file for file in sorted(files) if _has(file, all)]
    return {part: files for part, files in found.items() if files}


def _has(path: Path, enough: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether a file has enough of the lists of COCO; its texts may hold these words, too."""
    if not path.is_file() or path.stat().st_size < 2:
        return False
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        if not content[:64].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
            return False
        return enough(re.search(pattern, content) is not None for pattern in _LISTS)


def _chosen(path: Path, subset: str) -> dict[str, Path]:
    """Returns the file of each subset that is to be read."""
    found = _files(path)
    if not found:
        raise WrongTree(f"{path}: there is no COCO JSON; expected\n{TREE}")
    if "" in found:
        told = found[""]
        exact = [file for file in told if file.stem == subset]
        fits = (subset, *same_as(subset)) if subset else ("",)
        found = {"": exact or [f for f in told if any(part in f.stem.lower() for part in fits)]}
    else:
        found = {part: found[part] for part in chosen(subset, found, where=str(path))}
        told = next((files for files in found.values() if len(files) > 1), [])
    for part, files in found.items():
        if len(files) != 1:
            raise ValueError(
                f"{path / part}: {len(files)} of its COCO files fit; name one of them, or choose "
                f"by --subset a part of its name: {', '.join(file.name for file in told)}"
            )
    return {part: files[0] for part, files in found.items()}


def _names(content: Content) -> dict[Id, str]:
    """Returns the name of each category, in the order of their ids."""
    names: dict[Id, str] = {
        c.id: str(c.name) for c in sorted(content.categories, key=lambda c: c.id)
    }
    used = {entry.category_id for entry in content.annotations}
    for root in content.categories:
        above = [c.supercategory == root.name for c in content.categories if c.id != root.id]
        if above and all(above) and root.id not in used:
            del names[root.id]
            break
    return names


def _shots(
    file: Path, part: str, content: Content, names: Mapping[Id, str], classes: Classes, given: str
) -> list[_Shot]:
    _check_ids(content, file)
    boxes = _boxes(content, names, classes, file)
    found = _finder(file, part, content.images, given)
    return [
        _Shot(image, pictures.clean(image.file_name), boxes[image.id], part, file, found)
        for image in content.images
    ]


def _finder(file: Path, part: str, images: Sequence[Image], given: str) -> pictures.Finder:
    """Returns what finds the files of images, in the folders where tools put them."""
    above = file.parent.parent
    subset = file.stem.rpartition("_")[2]  # of instances_train2017
    names = [_FRAME_OF_VIDEO.sub(r"\1", pictures.clean(image.file_name)) for image in images]
    if Path(given).is_file():
        return pictures.Finder(Path(given).parent)
    if given:
        inner = [Path(given) / name for name in (part, subset) if name]
        places = [Path(given), *(place for place in inner if place.is_dir())]
    else:
        places = [
            *(file.parent / place for place in ("", "images", file.stem)),
            *(above / place for place in ("", "images", "frames", "Data/VID", subset)),
            *(root / "images" / subset for root in (file.parent, above)),
            *(above / "Data" / "VID" / subset for subset in ("train", "val")),
        ]
        for root in (file.parent, above):
            below = [place for place in (root / "images").glob("*") if place.is_dir()]
            places += below if len(below) == 1 else []
    try:
        return pictures.finder(names, places, where=str(file))
    except ValueError:
        videos = any(
            p.suffix.lower() in pictures.VIDEO_SUFFIXES for p in Path(given or ".").glob("*")
        )
        if given and videos:
            return pictures.Finder(Path(given))
        raise


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
        left, top, width, height = (math.nan if s is None else s for s in _box(entry, number, path))
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
        image.id: collect(
            rows[image.id],
            where=f"{path}, image {image.file_name}",
            size=(_said(image.height), _said(image.width)),
        )
        for image in content.images
    }


def _box(entry: Annotation, number: int, path: Path) -> Sequence[float | None]:
    """Returns the box of an annotation, or of its mask."""
    if entry.bbox is not None:
        return entry.bbox
    try:
        box = coco_masks.box_of(entry.segmentation)
    except ValueError as error:
        raise ValueError(f"{path}: annotations[{number}] has a segmentation: {error}") from None
    if box is None:
        raise ValueError(f"{path}: annotations[{number}] has no bbox")
    return box


def _track_numbers(annotations: Sequence[Annotation]) -> dict[Id, int]:
    """Returns a number for each track id: itself, or its place where ids are no small numbers.

    Numbers below 0 are unknown, -1, in either case.
    """
    said = dict.fromkeys(entry.track for entry in annotations if entry.track is not None)
    unknown: dict[Id, int] = {one: -1 for one in said if isinstance(one, int) and one < 0}
    ids = [one for one in said if one not in unknown]
    small = [one for one in ids if isinstance(one, int) and one <= limits.WHOLE]
    if len(small) == len(ids):
        return {**unknown, **{one: one for one in small}}
    return {**unknown, **{one: number for number, one in enumerate(ids)}}


def _told(content: Content, shots: Sequence[_Shot], notes: list[str]) -> Videos:
    """Returns the videos that a file tells of by `video_id`."""
    named: dict[Any, str] = {
        entry.id: str(entry.id if entry.name is None else entry.name) for entry in content.videos
    }
    groups: dict[Any, list[_Shot]] = {key: [] for key in named}
    for one in shots:
        owner = one.image.video_id
        if owner in (None, -1):
            continue
        if named and owner not in named:
            raise ValueError(
                f'{one.file}: image {one.name} is of video {owner}, which is not in "videos"'
            )
        groups.setdefault(owner, []).append(one)
    return [
        (named.get(key, str(key)), _in_order(own, named.get(key, str(key)), notes))
        for key, own in groups.items()
    ]


def _in_order(shots: Sequence[_Shot], video: str, notes: list[str]) -> list[_Shot]:
    """Returns the frames of a video as `frame_id` or `frame_index` say, or else their names."""
    without = [one for one in shots if one.image.frame is None]
    if len(shots) < 2 or not without:
        found = sorted(shots, key=lambda one: one.image.frame or 0)
        for one, after in itertools.pairwise(found):
            if one.image.frame == after.image.frame:
                raise ValueError(
                    f"{one.file}: images {one.name} and {after.name} of video {video} are both "
                    f"frame {one.image.frame:g}; give each a frame_id of its own"
                )
        return found
    if len(without) < len(shots):
        raise ValueError(
            f"{shots[0].file}: image {without[0].name} of video {video} has no frame_id, and "
            "others have; which frame it is cannot be told"
        )
    names = [_by_slash(one.name) for one in shots]
    order = frame_names.order(names)
    if order is None:
        raise ValueError(
            f"{shots[0].file}: the images of video {video} have no frame_id, and their names, such "
            f"as {names[0]}, say no order; add a frame_id to each"
        )
    notes.append(
        f"the images of video {video} have no frame_id; they are taken in the order of their "
        f"names: {names[order[0]]}, {names[order[1]]} and so on"
    )
    return [shots[place] for place in order]


def _by_names(
    shots: Sequence[_Shot], options: Options, where: str, notes: list[str], *, apart: bool
) -> Videos:
    """Returns the videos that names tell; `apart`: subsets have track ids of their own."""
    result: Videos = []
    parts = dict.fromkeys(one.part for one in shots) if apart else [None]
    for part in parts:
        own = [one for one in shots if part in (None, one.part)]
        groups = image_sets.grouped(
            [_by_slash(one.name) for one in own],
            options,
            where=where,
            parts=[one.part for one in own],
        )
        result += [(group.name, [own[place] for place in group.places]) for group in groups]
        unordered = [group.name for group in groups if not group.ordered]
        if unordered:
            notes.append(
                f"the names of the images of {unordered[0]} say no order; that of the list is taken"
            )
    if not options.folders and not Path(options.images).is_file():
        notes.append(
            f"the images are taken for {len(result)} videos, by their names: none has a video_id; "
            "if they are single images, say so with stills"
        )
    return result


def _by_slash(name: str) -> str:
    """Returns a frame of a video file as if that were a folder."""
    return _FRAME_OF_VIDEO.sub(r"\1/\2", name)


def _are_of_videos(shots: Sequence[_Shot]) -> bool:
    """Whether all names are of frames of video files."""
    names = frame_names.plain([one.name for one in shots])
    return all(_FRAME_OF_VIDEO.match(name) or frame_names.is_of_video(name) for name in names)


def _check_ids(content: Content, path: Path) -> None:
    for what, entries in (("images", content.images), ("categories", content.categories)):
        doubled = collections.Counter(entry.id for entry in entries).most_common(1)
        if doubled and doubled[0][1] > 1:
            raise ValueError(f"{path}: {doubled[0][1]} {what} have the id {doubled[0][0]}")


def _said(side: float | None) -> int:
    """Returns a height or width, 0 for none or nonsense."""
    return int(side) if side and 0 < side < math.inf else 0


def _pictures(name: str, shots: Sequence[_Shot], options: Options, *, alone: bool) -> Pictures:
    """Returns the pictures of a video; each may be a file, or a frame of a video file."""
    of_files = bool(shots) and all(map(_video_file, shots))  # their names say which frame of which
    given = None if of_files else pictures.video_of(options.images, name, alone=alone)
    if given is not None:
        return pictures.frames_of(given, [one.name for one in shots], where=str(shots[0].file))
    parts: list[Pictures] = []
    for file, group in itertools.groupby(shots, key=_video_file):
        own = [*group]
        if file is None:
            parts.append(ImageFiles(tuple(str(one.files(one.name)) for one in own)))
        else:
            numbers = [
                whole_numbers.whole(
                    float(one.name.rpartition("#")[2]),
                    what=f"{one.file}: file_name is {one.name}",
                    most=MOST_FRAMES,
                )
                for one in own
            ]
            parts.append(video_frames(file, numbers=numbers))
    return parts[0] if len(parts) == 1 else JoinedPictures(tuple(parts))


def _video_file(shot: _Shot) -> Path | None:
    """Returns the video file that an image is a frame of; None for an image of its own."""
    found = _FRAME_OF_VIDEO.match(shot.name)
    file = shot.files.find(found.group(1)) if found else None
    return file if file is not None and file.is_file() else None
