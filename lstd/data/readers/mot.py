"""Reads MOT Challenge: a folder for each sequence, with `seqinfo.ini`, `img1/` and `gt/gt.txt`.

A line of `gt.txt` is frame, track id, left, top, width, height, whether it counts, class,
visibility. Frames and pixels count from 1. In the files of MOT15 (ten columns, and coordinates in
the last three) all are pedestrians. Boxes with the flag 0 do not count and are left out;
`Source.notes` says how many. Without a list of labels, those classes are labels that a counting box
has.

CVAT and Datumaro write `gt/labels.txt` beside it: the names of the classes from 1 on. Then frames
count from 1, and pixels from 0.

Images may have any name that ends in a number; where the lowest is 0, that is frame 1. Or `images`
is a video file.

Source: Milan et al., MOT16, section 3 (https://arxiv.org/abs/1603.00831);
`datumaro/plugins/data_formats/mot.py` of Datumaro 1.13 and `dataset_manager/formats/mot.py` of
CVAT.
"""

from __future__ import annotations

import configparser
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lstd.base import documents, label_map, limits, natural
from lstd.data.readers import frame_names, pictures, whole_numbers
from lstd.data.readers.labelled_video import (
    MOST_FRAMES,
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    Pictures,
    collect,
    video_frames,
)
from lstd.data.readers.options import Options, WrongTree, all_taken, same_as
from lstd.data.sources import Source
from lstd.media import numbered_frames

NAME = "mot"
TREE = """\
MOT17-02/
  seqinfo.ini
  img1/000001.jpg ...
  gt/gt.txt, and gt/labels.txt where the classes are not those of MOT
or a folder of such folders, or of train/ and val/ with such folders"""

CLASSES = (
    "pedestrian",
    "person_on_vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non_motorized_vehicle",
    "static_person",
    "distractor",
    "occluder",
    "occluder_on_the_ground",
    "occluder_full",
    "reflection",
    "crowd",
)
"""Names of the classes 1 to 13."""


class _Line(NamedTuple):
    number: int
    frame: int
    track: int
    box: tuple[float, float, float, float]  # left, top, width, height
    counts: bool
    class_id: int
    visibility: float


class _Sequence(NamedTuple):
    folder: Path
    names: tuple[str, ...]  # of the classes from 1 on
    first_pixel: int
    lines: Sequence[_Line]


def matches(path: Path) -> bool:
    """Whether a folder is a sequence, or holds sequences in at most two levels."""
    return bool(_sequences(path, ""))


def read(path: Path, options: Options) -> Source:
    """Returns the sequences, in the order of their names.

    Raises:
        ValueError: no sequence, a line that is not as described, or a `seqinfo.ini` without what is
            needed; the message names file and line.
    """
    folders = _sequences(path, options.subset)
    if not folders:
        raise WrongTree(f"{path}: there is no gt/gt.txt in it or below; expected\n{TREE}")
    sequences = [_sequence(folder) for folder in folders]
    known: dict[str, None] = {}
    for sequence in sequences:
        used = {line.class_id for line in sequence.lines if line.counts}
        own = sequence.names is not CLASSES
        known |= dict.fromkeys(
            name for number, name in enumerate(sequence.names, start=1) if own or number in used
        )
    classes = Classes(_in_order(known), options.labels)
    tops = dict.fromkeys(folder.resolve().parent.name for folder in folders)
    notes = [] if options.subset else [*all_taken(tops)]
    videos = tuple(_video(one, classes, options, len(sequences), notes) for one in sequences)
    ignored = sum(not line.counts for one in sequences for line in one.lines)
    if ignored:
        notes.append(f"{ignored} boxes have the flag 'does not count' and are left out")
    return Source(NAME, str(path), classes.labels, videos, tuple(notes))


def _in_order(names: Iterable[str]) -> list[str]:
    """Returns names in MOT's order as far as they are MOT's; they were met in any."""
    found = [*names]
    if set(found) <= set(CLASSES):
        found.sort(key=CLASSES.index)
    return found


def _sequences(path: Path, subset: str) -> list[Path]:
    if not path.is_dir():
        return []
    top = path / subset if subset and (path / subset).is_dir() else path
    if subset and top == path:
        inner = [place.name for place in path.iterdir() if place.is_dir()]
        top = next((path / name for name in inner if name.lower() in same_as(subset)), path)
    if (top / "gt" / "gt.txt").is_file():
        return [top]
    found = [file.parent.parent for file in (*top.glob("*/gt/gt.txt"), *top.glob("*/*/gt/gt.txt"))]
    if subset and top == path:
        found = [folder for folder in found if folder.name == subset]
    return sorted(found, key=lambda folder: natural.key(str(folder)))


def _sequence(folder: Path) -> _Sequence:
    file = folder / "gt" / "labels.txt"
    names: tuple[str, ...] = CLASSES
    if file.is_file():
        names = tuple(label_map.lines(documents.read_text(file)))
    own = names is not CLASSES
    lines = _lines(folder / "gt" / "gt.txt", has_names=own)
    return _Sequence(
        folder, tuple(name.strip() for name in names) if own else CLASSES, 0 if own else 1, lines
    )


def _lines(path: Path, *, has_names: bool) -> list[_Line]:
    result = []
    lines = documents.read_text(path).splitlines()
    try:
        for number, fields in enumerate(csv.reader(lines, skipinitialspace=True), start=1):
            if any(field.strip() for field in fields):
                where = f"{path}, line {number}"
                result.append(_line(fields, number, has_names=has_names, where=where))
    except csv.Error as error:
        raise ValueError(f"{path}: not a table: {error}") from None
    return result


def _line(fields: Sequence[str], number: int, *, has_names: bool, where: str) -> _Line:
    if len(fields) not in (7, 8, 9, 10):
        raise ValueError(
            f"{where}: {len(fields)} columns, expected frame, id, left, top, width, height, flag, "
            "class, visibility"
        )
    values = []
    for name, field in zip(_COLUMNS, fields, strict=False):
        try:
            values.append(float(field))
        except ValueError:
            raise ValueError(f"{where}: {name} is {field!r}, expected a number") from None
    said = [f"{where}: {name} is {field}" for name, field in zip(_COLUMNS, fields, strict=False)]
    class_id = -1
    if len(fields) in (8, 9) or (len(fields) == 10 and has_names):
        class_id = whole_numbers.whole(values[7], what=said[7], least=None)
    return _Line(
        number=number,
        frame=whole_numbers.whole(values[0], what=said[0], least=1, most=MOST_FRAMES),
        track=whole_numbers.track_id(values[1], what=said[1]),
        box=(values[2], values[3], values[4], values[5]),
        counts=values[6] != 0,
        class_id=1 if class_id == -1 else class_id,
        visibility=values[8] if len(fields) == 9 else 1.0,
    )


_COLUMNS = ("frame", "id", "left", "top", "width", "height", "flag", "class", "visibility")


def _video(
    sequence: _Sequence, classes: Classes, options: Options, count: int, notes: list[str]
) -> LabelledVideo:
    folder = sequence.folder
    info = _info(folder / "seqinfo.ini")
    name = info.get("name", folder.resolve().name)
    length = max([int(info.get("seqlength", 0)), *(line.frame for line in sequence.lines)])
    file = pictures.video_of(options.images, name, alone=count == 1)
    shown: Pictures
    if file is None:
        images = Path(options.images) if options.images else folder / info.get("imdir", "img1")
        if options.images and (images / folder.name).is_dir():
            images = images / folder.name
        shown = ImageFiles(tuple(_paths(images, length, info.get("imext", ".jpg"))))
    else:
        frames = numbered_frames.count(str(file))
        limits.check_missing(found=frames, said=length, where=f"the last label of {folder}")
        beyond = frames - length
        if beyond > 0 and "seqlength" not in info:
            notes.append(
                f"the labels of {name} end at frame {length}; the {beyond} frames of {file} behind "
                "it are left out"
            )
        shown = video_frames(file, numbers=range(length))
    rows: dict[int, list[BoxRow]] = {}
    for line in sequence.lines:
        if line.counts:
            rows.setdefault(line.frame, []).append(_row(line, sequence, classes))
    table = folder / "gt" / "gt.txt"
    size = (int(info.get("imheight", 0)), int(info.get("imwidth", 0)))
    return LabelledVideo(
        name=name,
        where=str(folder),
        pictures=shown,
        boxes=tuple(
            collect(rows.get(n, []), where=f"{table}, frame {n}", size=size)
            for n in range(1, len(shown) + 1)
        ),
        has_tracks=True,
        in_pixels=True,
    )


def _row(line: _Line, sequence: _Sequence, classes: Classes) -> BoxRow:
    left, top, width, height = line.box
    left, top = left - sequence.first_pixel, top - sequence.first_pixel
    known = 1 <= line.class_id <= len(sequence.names)
    name = sequence.names[line.class_id - 1] if known else f"class {line.class_id}"
    return BoxRow(
        sides=(top, left, top + height, left + width),
        class_index=classes[name],
        track=line.track,
        row_name=f"line {line.number}",
        class_text=name,
        attributes=(("visibility", line.visibility),),
    )


def _info(path: Path) -> dict[str, str]:
    """Returns the settings of a sequence, by lower-case name; none where there is no file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(documents.read_text(path) if path.is_file() else "", source=str(path))
    except configparser.Error as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    if not parser.has_section("Sequence"):
        return {}
    info = dict(parser["Sequence"])
    for name in ("seqlength", "imwidth", "imheight"):
        if name in info and not info[name].strip().isdecimal():
            raise ValueError(f"{path}: {name} is {info[name]!r}, expected a whole number")
    return info


def _paths(images: Path, length: int, suffix: str) -> list[str]:
    """Returns the file of every frame from 1 on, there or not."""
    found: dict[int, str] = {}
    for path in pictures.in_folder(images):
        number = frame_names.number(path.stem)
        if number is not None and found.setdefault(number, str(path)) != str(path):
            raise ValueError(f"{path}: {found[number]} has the same number; a frame has one image")
    first = 0 if 0 in found else 1
    last = max([length, *(number + 1 - first for number in found)])
    limits.check_missing(
        found=len(found), said=last, where=f"a label, an image or seqinfo.ini of {images.parent}"
    )
    return [
        found.get(n - 1 + first, str(images / f"{n - 1 + first:06d}{suffix}"))
        for n in range(1, last + 1)
    ]
