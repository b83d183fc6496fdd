"""Reads YOLO labels: class names, images, and a text file of boxes for each image.

A line is class, x and y of the centre, width, height, all relative, and perhaps a track id. A line
with an odd number of at least seven values is an outline, whose box is taken. An image without a
text file, or with an empty one, shows nothing. Images of a folder whose names differ in their last
number only (`street_0001.jpg`, `street_0002.jpg`) are a video, named by the folder and what stands
before the number; with `folders`, all images of a folder are a video, named by the folder; with
`stills`, every image stands alone. An image that several subsets name is taken once.

Source: https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lstd import documents
from lstd.data.readers import whole_numbers, yolo_tree
from lstd.data.readers.labelled_video import (
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    RawBoxes,
    collect,
)
from lstd.data.readers.options import Options
from lstd.data.sources import UNKNOWN_CLASS, Source

NAME = "yolo"
TREE = yolo_tree.TREE

matches = yolo_tree.matches


def read(path: Path, options: Options) -> Source:
    """Returns the videos of a subset; empty: of all; label files are read with frames.

    Raises:
        ValueError: several `data.yaml`, no class names, no such subset, or a folder that is not
            there.
    """
    tree = yolo_tree.find(path, options)
    classes = Classes(list(tree.names.values()), options.labels)
    grouping: Callable[[str], str] = _without_last_number
    if options.stills or options.folders:
        grouping = str if options.stills else lambda stem: ""
    videos: list[LabelledVideo] = []
    labels: list[str] = []
    taken: set[Path] = set()
    num_named = 0
    for entry in (entry for entries in tree.entries.values() for entry in entries):
        base, images = yolo_tree.images(tree, entry)
        new = [image for image in images if image not in taken]
        num_named += len(images)
        taken.update(new)
        for name, files in _groups(new, base, grouping).items():
            own = tuple(str(yolo_tree.label_file(file)) for file in files)
            videos.append(_video(name, files, own, tree.names, classes))
            labels += own
    notes = [
        *_apart(videos, options),
        *_repeated(num_named - len(taken), tree.entries),
        *_unlabelled(labels),
    ]
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


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


def _repeated(count: int, subsets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns what to say where a part of the images would be met twice."""
    if not count:
        return ()
    return (
        f"{count} images are named more than once by {', '.join(subsets)}; each is taken once, and "
        "what is trained on must not be what is measured on",
    )


def _unlabelled(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns what to say where no image has a text file."""
    if any(Path(path).exists() for path in labels) or not labels:
        return ()
    return (
        f"none of the {len(labels)} images has a text file with boxes; looked for {labels[0]} and "
        "so on, and beside the images",
    )


def _apart(videos: Sequence[LabelledVideo], options: Options) -> tuple[str, ...]:
    """Returns what to say where no two images were found to be of one video."""
    if len(videos) < 2 or options.stills or any(video.num_frames > 1 for video in videos):
        return ()
    return (
        "every image is a video of its own: no two names of a folder differ in their last number "
        "only; if a folder of images is a video, say so with folders",
    )


def _video(
    name: str,
    images: Sequence[Path],
    labels: tuple[str, ...],
    names: Mapping[int, str],
    classes: Classes,
) -> LabelledVideo:
    return LabelledVideo(
        name=name,
        where=str(images[0].parent),
        pictures=ImageFiles(tuple(str(image) for image in images)),
        boxes=_Boxes(labels, dict(names), classes),
        has_tracks=any(_first_columns(path) == 6 for path in labels[:200]),
    )


def _first_columns(path: str) -> int:
    try:
        return len(documents.read_text(path).partition("\n")[0].split())
    except (FileNotFoundError, ValueError):
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
            lines = documents.read_text(path).splitlines()
        except FileNotFoundError:
            lines = []
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
        number = whole_numbers.whole(values[0], what=f"{where}: class is {fields[0]}", least=None)
        track = -1
        if len(values) == 6:
            what = f"{where}: the sixth value, a track id and no score, is {fields[5]}"
            track = whole_numbers.track_id(values[5], what=what)
        name = self.names.get(number)
        return BoxRow(
            sides=_sides(values),
            class_index=UNKNOWN_CLASS if name is None else self.classes[name],
            track=track,
            row_name=row_name,
            class_text=fields[0] if name is None else name,
        )


def _sides(values: Sequence[float]) -> tuple[float, float, float, float]:
    if len(values) >= 7:
        xs, ys = values[1::2], values[2::2]
        return min(ys), min(xs), max(ys), max(xs)
    x, y, width, height = values[1:5]
    return y - height / 2, x - width / 2, y + height / 2, x + width / 2
