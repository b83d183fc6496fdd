"""Reads COCO JSON, with videos (CocoVID as mmtracking writes it, TAO) or of single images.

`docs/data.md` says what is read, and which images are a video. Roboflow's first category, without
boxes and the parent of all others, is the data set's name and no class.

Source: https://cocodataset.org/#format-data, and the CocoVID form of mmtracking.
"""

import collections
import itertools
import math
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lstd.base import coco_file
from lstd.base.coco_file import Content, Id, Image
from lstd.data.readers import frame_names, frame_pictures, image_sets
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
    return classes.labels, image_sets.videos(shots, groups, classes, options, has_tracks=has_tracks)


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
    rows: dict[Id, list[Box]] = {image.id: [] for image in content.images}
    tracks = coco_file.track_numbers(content.annotations)
    for number, entry in enumerate(content.annotations):
        where = f"{file}: annotations[{number}]"
        left, top, width, height = coco_file.box_of(entry, where)
        rows[entry.image_id].append(
            Box(
                (top, left, top + height, left + width),
                names.get(entry.category_id, f"category {entry.category_id}"),
                track=-1 if entry.track is None else tracks[entry.track],
                crowd=bool(entry.iscrowd),
                row_name=entry.name(number),
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
    for number, image in enumerate(content.images):
        if not image.file_name:
            raise ValueError(f"{file}: images[{number}].file_name is missing")
        size = (_said(image.height), _said(image.width))
        labels = Labels(rows[image.id], f"{file}, image {image.file_name}", size)
        yield Shot(frame_pictures.clean(image.file_name), labels, places, str(file), part)


def _said(side: float | None) -> int:
    """Returns a height or width; 0 if it is missing or makes no sense."""
    return int(side) if side and 0 < side < math.inf else 0


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
