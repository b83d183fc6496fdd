"""Reads YOLO labels: `data.yaml`, images, and a text file of boxes for each image.

A line is class, x and y of the centre, width, height, all relative, and perhaps a track id. A line
with an odd number of at least seven values is an outline, whose box is taken. An image without a
text file, or with an empty one, shows nothing. Images of a folder whose names differ in their last
number only (`street_0001.jpg`, `street_0002.jpg`) are a video, named by the folder and what stands
before the number; with `folders`, all images of a folder are a video, named by the folder; with
`stills`, every image stands alone.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lstd.data.readers import natural
from lstd.data.readers.labelled_video import (
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    RawBoxes,
    collect,
)
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import UNKNOWN_CLASS, Source

NAME = "yolo"
TREE = """\
data.yaml with names, and train and val such as images/train
images/train/street/0001.jpg ...
labels/train/street/0001.txt ..., the same folders"""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_SUBSETS = ("train", "val", "test")


def matches(path: Path) -> bool:
    """Whether a file is a `data.yaml`, or a folder holds one."""
    return bool(_files(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos of a subset; empty: of train and val; label files are read with frames.

    Raises:
        ValueError: no or several `data.yaml`, no names, no such subset, or a folder that is not
            there.
    """
    found = _files(path)
    if len(found) != 1:
        told = ", ".join(file.name for file in found) or "none"
        raise WrongTree(f"{path}: expected one data.yaml with names, found {told}\n{TREE}")
    content = _load(found[0])
    names = _class_names(content, found[0])
    classes = Classes(list(names.values()), options.labels)
    if options.subset and options.subset not in content:
        known = ", ".join(subset for subset in _SUBSETS if content.get(subset))
        raise ValueError(f"{found[0]}: there is no subset {options.subset!r}; it has {known}")
    subsets = [options.subset] if options.subset else [s for s in _SUBSETS if content.get(s)]
    grouping: Callable[[str], str] = _without_last_number
    if options.stills or options.folders:
        grouping = str if options.stills else lambda stem: ""
    videos: list[LabelledVideo] = []
    for subset in subsets:
        entries = content[subset]
        for entry in entries if isinstance(entries, list) else [entries]:
            base, images = _images(str(entry), content, found[0])
            groups = _groups(images, base, grouping)
            videos += [_video(name, files, names, classes) for name, files in groups.items()]
    return Source(NAME, str(path), classes.labels, tuple(videos), _notes(videos, options))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in (".yaml", ".yml") and _is_data(path) else []
    if not path.is_dir():
        return []
    return [file for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if _is_data(file)]


def _is_data(path: Path) -> bool:
    try:
        content = _load(path)
    except ValueError:
        return path.stem == "data"  # by its name it should be, and the reader says what is wrong
    return (
        isinstance(content, dict)
        and "names" in content
        and any(subset in content for subset in _SUBSETS)
    )


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a YAML file: {error}") from None


def _class_names(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Returns the name of each class number, which need not be without gaps."""
    names = content["names"]
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and names and all(str(key).isdecimal() for key in names):
        return {int(key): str(names[key]) for key in sorted(names, key=int)}
    raise ValueError(f"{path}: names is {names!r}, expected a list, or numbers with names")


def _images(entry: str, content: Mapping[str, Any], path: Path) -> tuple[Path, list[Path]]:
    """Returns the folder of an entry, and its images."""
    root = path.parent
    places = [root / str(content.get("path") or "") / entry, root / entry]
    places.append(root / entry.lstrip("./"))  # as some tools write: ../train/images
    place = next((place for place in places if place.exists()), None)
    if place is None:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise WrongTree(f"{path}: {entry} is not there; looked for {looked}; expected\n{TREE}")
    if place.is_file():
        lines = place.read_text(encoding="utf-8-sig").split("\n")
        files = [_listed(line.strip(), place, root) for line in lines if line.strip()]
        return root, files
    files = [
        file
        for file in place.rglob("*")
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    ]
    return place, sorted(files, key=lambda file: natural.key(str(file)))


def _listed(line: str, listing: Path, root: Path) -> Path:
    """Returns an image of a list; it is told from the list, or from the root."""
    own = listing.parent / line
    return own if line.startswith("./") or own.exists() else root / line


def _groups(
    images: Sequence[Path], base: Path, grouping: Callable[[str], str]
) -> dict[str, list[Path]]:
    """Returns the images of each video; `grouping` makes of an image's name what they share."""
    groups: dict[str, list[Path]] = {}
    for image in images:
        folder = image.parent
        name = str(folder.relative_to(base)) if folder.is_relative_to(base) else str(folder)
        name = "" if name == "." else name
        title = "/".join(part for part in (name, grouping(image.stem)) if part) or base.name
        groups.setdefault(title, []).append(image)
    return groups


def _without_last_number(stem: str) -> str:
    return re.sub(r"[\s_.-]*\d+$", "", stem)


def _notes(videos: Sequence[LabelledVideo], options: Options) -> tuple[str, ...]:
    """Returns what to say where no two images were found to be of one video."""
    if len(videos) < 2 or options.stills or any(video.num_frames > 1 for video in videos):
        return ()
    return (
        "every image is a video of its own: no two names of a folder differ in their last number "
        "only; if a folder of images is a video, say so with folders",
    )


def _video(
    name: str, images: Sequence[Path], names: Mapping[int, str], classes: Classes
) -> LabelledVideo:
    labels = tuple(str(_label_file(image)) for image in images)
    return LabelledVideo(
        name=name,
        where=str(images[0].parent),
        pictures=ImageFiles(tuple(str(image) for image in images)),
        boxes=_Boxes(labels, dict(names), classes),
        has_tracks=any(_first_columns(path) == 6 for path in labels[:200]),
    )


def _label_file(image: Path) -> Path:
    """Returns the text file of an image: below `labels` where the image is below `images`."""
    parts = list(image.with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts)


def _first_columns(path: str) -> int:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return len(file.readline().split())
    except (FileNotFoundError, UnicodeDecodeError):
        return 0


@dataclasses.dataclass(frozen=True)
class _Boxes:
    """Boxes by frame, each frame in a text file."""

    paths: tuple[str, ...]
    names: dict[int, str]
    classes: Classes

    def __getitem__(self, number: int) -> RawBoxes:
        path = self.paths[number]
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not a text file") from None
        rows = [
            self._row(line.split(), f"line {n}", f"{path}, line {n}")
            for n, line in enumerate(lines, start=1)
            if line.strip()
        ]
        return collect(rows, where=path)

    def _row(self, fields: Sequence[str], row_name: str, where: str) -> BoxRow:
        try:
            values = [float(field) for field in fields]
        except ValueError:
            raise ValueError(f"{where}: {' '.join(fields)!r} is not made of numbers") from None
        if len(values) not in (5, 6) and (len(values) < 7 or len(values) % 2 == 0):
            raise ValueError(
                f"{where}: {len(values)} values, expected class, x, y, width, height and perhaps a "
                "track id"
            )
        if values[0] != int(values[0]):
            raise ValueError(f"{where}: class is {fields[0]}, expected a whole number")
        track = values[5] if len(values) == 6 else -1
        if track != int(track):
            raise ValueError(
                f"{where}: the sixth value is {fields[5]}, expected a track id; scores of a "
                "detector do not belong here"
            )
        name = self.names.get(int(values[0]))
        return BoxRow(
            sides=_sides(values),
            class_index=UNKNOWN_CLASS if name is None else self.classes[name],
            track=max(int(track), -1),
            row_name=row_name,
            class_text=fields[0] if name is None else name,
        )


def _sides(values: Sequence[float]) -> tuple[float, float, float, float]:
    if len(values) >= 7:
        xs, ys = values[1::2], values[2::2]
        return min(ys), min(xs), max(ys), max(xs)
    x, y, width, height = values[1:5]
    return y - height / 2, x - width / 2, y + height / 2, x + width / 2
