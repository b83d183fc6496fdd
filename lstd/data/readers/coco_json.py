"""Reads COCO JSON, with videos (CocoVID as mmtracking writes it, TAO) or of single images.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lstd.base import limits
from lstd.data.readers import coco_file, frame_names, frame_pictures, image_sets
from lstd.data.readers.coco_file import Annotation, Content, Id, Image
from lstd.data.readers.frame_names import Group
from lstd.data.readers.image_sets import Shot
from lstd.data.readers.label_files import Found, Options, all_taken, by_subset, chosen, same_as
from lstd.data.readers.labelled_video import Box, Classes, Labels

_LISTS = [rf'"{key}"\s*:\s*\['.encode() for key in ("images", "annotations")]


def read(path: Path, options: Options) -> Found:
    """Returns the videos, or the images as videos of one frame; raises as `readers.open`."""
    contents = {
        part: (file, coco_file.load(file)) for part, file in _chosen(path, options.subset).items()
    }
    names = {part: _names(content) for part, (_, content) in contents.items()}
    known = dict.fromkeys(name for table in names.values() for name in table.values())
    shots: list[Shot] = []
    groups: list[Group] = []
    rest: list[int] = []  # the places of shots of no video
    taken = (f"{part} ({len(c.images)} images)" for part, (_, c) in contents.items())
    options.notes.extend(all_taken(taken))
    for part, (file, content) in contents.items():
        first = len(shots)
        shots += _shots(file, part, content, names[part], options)
        if options.stills or options.folders:
            rest += range(first, len(shots))
            continue
        groups += _told(file, content, first, options.notes)
        owners = [image.video_id for image in content.images]
        rest += [place for place, owner in enumerate(owners, first) if owner in (None, -1)]
    has_tracks = any(e.track is not None for _, c in contents.values() for e in c.annotations)
    by_names = [Group(shots[place].name, (place,)) for place in rest]
    told = options.folders or has_tracks or Path(options.images).is_file()
    if rest and not options.stills and (told or image_sets.are_of_videos(shots, rest)):
        by_names = _by_names(shots, rest, options, apart=has_tracks)
        image_sets.note_names(by_names, options)
    elif len(rest) == len(shots):
        image_sets.note_names(by_names, options)
    classes = Classes(known, options.labels)
    groups += by_names
    return classes.labels, image_sets.videos(
        shots, groups, classes, options, has_tracks=has_tracks, has_crowds=True
    )


def files_of(path: Path) -> dict[str, list[Path]]:
    """Returns the COCO files by subset, of a folder also those in `annotations/` or `train/`."""
    if path.is_file():
        return {"": [path]} if path.suffix.lower() == ".json" and _has(path, any) else {}
    patterns = ("*.json", "annotations/*.json")
    # More files in the folder of a subset are labels of one image each, in another format.
    return by_subset(path, patterns, lambda file: _has(file, all), most=50)


def _has(path: Path, enough: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether a file has enough of COCO's lists; the same words inside texts do not count."""
    if not path.is_file() or path.stat().st_size < 2:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if not content[:64].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
            return False
        return enough(re.search(pattern, content) is not None for pattern in _LISTS)


def _chosen(path: Path, subset: str) -> dict[str, Path]:
    """Returns the file to read for each subset."""
    found = files_of(path)
    if "" in found:
        fits = same_as(subset) if subset else ("",)
        exact = [file for file in found[""] if file.stem == subset]
        told = [f for f in found[""] if any(part in f.stem.lower() for part in fits)]
        kept = {"": exact or told}
    else:
        kept = {part: found[part] for part in chosen(subset, found, where=str(path))}
    for part, files in kept.items():
        if len(files) != 1:
            raise ValueError(
                f"{path / part}: {len(files)} of its COCO files fit; name one of them, or choose "
                f"by --subset a part of its name: {', '.join(file.name for file in found[part])}"
            )
    return {part: files[0] for part, files in kept.items()}


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
    file: Path, part: str, content: Content, names: Mapping[Id, str], options: Options
) -> Iterator[Shot]:
    """Yields the images of a file, with their boxes."""
    for what, entries in (("images", content.images), ("categories", content.categories)):
        for one, count in collections.Counter(entry.id for entry in entries).most_common(1):
            if count > 1:
                raise ValueError(f"{file}: {count} {what} have the id {one}")
    rows: dict[Id, list[Box]] = {image.id: [] for image in content.images}
    tracks = _track_numbers(content.annotations)
    for number, entry in enumerate(content.annotations):
        row_name = f"annotation {f'[{number}]' if entry.id is None else entry.id}"
        if entry.image_id not in rows:
            raise ValueError(
                f"{file}: {row_name} is of image {entry.image_id}, which is not in the list"
            )
        left, top, width, height = _box(entry, f"{file}: annotations[{number}]")
        rows[entry.image_id].append(
            Box(
                (top, left, top + height, left + width),
                names.get(entry.category_id, f"category {entry.category_id}"),
                track=-1 if entry.track is None else tracks[entry.track],
                crowd=bool(entry.iscrowd),
                row_name=row_name,
            )
        )
    above, subset = file.parent.parent, file.stem.rpartition("_")[2]  # of instances_train2017
    usual = [
        *(file.parent / place for place in ("", "images", file.stem)),
        *(above / place for place in ("", "images", "frames", "Data/VID", subset)),
        *(root / "images" / subset for root in (file.parent, above)),
        *(above / "Data" / "VID" / subset for subset in ("train", "val")),
    ]
    for root in (file.parent, above):
        below = [place for place in (root / "images").glob("*") if place.is_dir()]
        usual += below if len(below) == 1 else []
    places = image_sets.places(options, usual, part, subset)
    for image in content.images:
        size = (_said(image.height), _said(image.width))
        labels = Labels(rows[image.id], f"{file}, image {image.file_name}", size)
        yield Shot(frame_pictures.clean(image.file_name), labels, places, str(file), part)


def _said(side: float | None) -> int:
    """Returns a height or width; 0 if it is missing or makes no sense."""
    return int(side) if side and 0 < side < math.inf else 0


def _box(entry: Annotation, where: str) -> Iterator[float]:
    """Yields x, y, width and height of an annotation, or of its mask."""
    box: Iterable[float | None] | None = entry.bbox
    if box is None:
        try:
            box = coco_file.box_of(entry.segmentation)
        except ValueError as error:
            raise ValueError(f"{where} has a segmentation: {error}") from None
    if box is None:
        raise ValueError(f"{where} has no bbox")
    yield from (math.nan if side is None else side for side in box)


def _track_numbers(annotations: Sequence[Annotation]) -> dict[Id, int]:
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


def _told(file: Path, content: Content, first: int, notes: list[str]) -> list[Group]:
    """Returns the videos that `video_id` makes; the file's images are the shots from `first` on."""
    named: dict[Any, str] = {v.id: str(v.id if v.name is None else v.name) for v in content.videos}
    members: dict[Any, list[int]] = {key: [] for key in named}
    for place, image in enumerate(content.images):
        if image.video_id in (None, -1):
            continue
        if named and image.video_id not in named:
            raise ValueError(
                f"{file}: image {image.file_name} is of video {image.video_id}, which is not in "
                '"videos"'
            )
        members.setdefault(image.video_id, []).append(place)
    groups = []
    for key, own in members.items():
        name = named.get(key, str(key))
        order = _order([content.images[n] for n in own], f"of video {name}", str(file), notes)
        groups.append(Group(name, [first + own[n] for n in order]))
    return groups


def _order(images: Sequence[Image], of: str, file: str, notes: list[str]) -> list[int]:
    """Returns a video's images in order of `frame_id`, `frame_index` or their names, as places."""
    numbers = [image.frame for image in images]
    without = [image for image in images if image.frame is None]
    if len(images) < 2 or not without:
        found = sorted(range(len(images)), key=lambda n: numbers[n] or 0)
        for one, after in itertools.pairwise(found):
            if numbers[one] == numbers[after]:
                raise ValueError(
                    f"{file}: images {images[one].file_name} and {images[after].file_name} {of} "
                    f"are both frame {numbers[one]:g}; give each a frame_id of its own"
                )
        return found
    names = [image.file_name.replace("#", "/") for image in images]
    order = frame_names.order([frame_pictures.clean(name) for name in names])
    if order is None or len(without) < len(images):
        raise ValueError(
            f"{file}: image {without[0].file_name} {of} has no frame_id, and the others or their "
            "names say no order; add a frame_id to each"
        )
    notes.append(
        f"the images {of} have no frame_id; they are taken in the order of their names: "
        f"{names[order[0]]}, {names[order[1]]} and so on"
    )
    return order


def _by_names(
    shots: Sequence[Shot], rest: Sequence[int], options: Options, *, apart: bool
) -> list[Group]:
    """Returns the videos that names make; `apart`: each subset numbers its own tracks."""
    parts: dict[str, list[int]] = collections.defaultdict(list)
    for place in rest:
        parts[shots[place].part if apart else ""].append(place)
    return [
        Group(group.name, [own[place] for place in group.places], group.ordered)
        for own in parts.values()
        for group in image_sets.grouped([shots[n] for n in own], options)
    ]
