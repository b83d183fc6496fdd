"""Reads MOT Challenge: a folder for each sequence, with `seqinfo.ini`, `img1/` and `gt/gt.txt`.

A line of `gt.txt` is frame, track id, left, top, width, height, whether it counts, class,
visibility. Frames and pixels count from 1. In the files of MOT15 (ten columns, and -1 in the last
three) all are pedestrians. Boxes with the flag 0 do not count and are left out; `Source.notes` says
how many. Without a list of labels, those classes are labels that a counting box has.

Source: Milan et al., MOT16, section 3 (https://arxiv.org/abs/1603.00831).
"""

from __future__ import annotations

import configparser
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lstd import documents
from lstd.data.readers import natural, whole_numbers
from lstd.data.readers.labelled_video import (
    MOST_FRAMES,
    BoxRow,
    Classes,
    ImageFiles,
    LabelledVideo,
    collect,
)
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import Source

NAME = "mot"
TREE = """\
MOT17-02/
  seqinfo.ini
  img1/000001.jpg ...
  gt/gt.txt
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

_SUFFIXES = (".jpg", ".jpeg", ".png")


class _Line(NamedTuple):
    number: int
    frame: int
    track: int
    box: tuple[float, float, float, float]  # left, top, width, height
    counts: bool
    class_id: int
    visibility: float


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
    lines = {folder: _lines(folder / "gt" / "gt.txt") for folder in folders}
    used = {line.class_id for found in lines.values() for line in found if line.counts}
    known = [CLASSES[i - 1] for i in sorted(used) if 1 <= i <= len(CLASSES)]
    classes = Classes(known, options.labels)
    videos = tuple(_video(folder, found, classes, options) for folder, found in lines.items())
    ignored = sum(not line.counts for found in lines.values() for line in found)
    notes = (f"{ignored} boxes have the flag 'does not count' and are left out",) if ignored else ()
    return Source(NAME, str(path), classes.labels, videos, notes)


def _sequences(path: Path, subset: str) -> list[Path]:
    if not path.is_dir():
        return []
    top = path / subset if subset and (path / subset).is_dir() else path
    if (top / "gt" / "gt.txt").is_file():
        return [top]
    found = [file.parent.parent for file in (*top.glob("*/gt/gt.txt"), *top.glob("*/*/gt/gt.txt"))]
    if subset and top == path:
        found = [folder for folder in found if folder.name == subset]
    return sorted(found, key=lambda folder: natural.key(str(folder)))


def _lines(path: Path) -> list[_Line]:
    result = []
    lines = documents.read_text(path).splitlines()
    try:
        for number, fields in enumerate(csv.reader(lines, skipinitialspace=True), start=1):
            if any(field.strip() for field in fields):
                result.append(_line(fields, number, where=f"{path}, line {number}"))
    except csv.Error as error:
        raise ValueError(f"{path}: not a table: {error}") from None
    return result


def _line(fields: Sequence[str], number: int, *, where: str) -> _Line:
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
    if len(fields) in (8, 9):
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
    folder: Path, lines: Sequence[_Line], classes: Classes, options: Options
) -> LabelledVideo:
    info = _info(folder / "seqinfo.ini")
    images = Path(options.images) if options.images else folder / info.get("imdir", "img1")
    if options.images and (images / folder.name).is_dir():
        images = images / folder.name
    length = max([int(info.get("seqlength", 0)), *(line.frame for line in lines)])
    paths = _paths(images, length, info.get("imext", ".jpg"))
    rows: dict[int, list[BoxRow]] = {}
    for line in lines:
        if line.counts:
            rows.setdefault(line.frame, []).append(_row(line, classes))
    table = folder / "gt" / "gt.txt"
    return LabelledVideo(
        name=info.get("name", folder.name),
        where=str(folder),
        pictures=ImageFiles(tuple(paths)),
        boxes=tuple(
            collect(rows.get(n, []), where=f"{table}, frame {n}") for n in range(1, len(paths) + 1)
        ),
        height=int(info.get("imheight", 0)),
        width=int(info.get("imwidth", 0)),
        has_tracks=True,
        in_pixels=True,
    )


def _row(line: _Line, classes: Classes) -> BoxRow:
    left, top, width, height = line.box
    known = 1 <= line.class_id <= len(CLASSES)
    name = CLASSES[line.class_id - 1] if known else f"class {line.class_id}"
    return BoxRow(
        sides=(top - 1, left - 1, top - 1 + height, left - 1 + width),
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
    found = {}
    for path in images.iterdir() if images.is_dir() else ():
        if path.suffix.lower() in _SUFFIXES and path.stem.isdecimal():
            found[int(path.stem)] = str(path)
    last = max([length, *found])
    return [found.get(n, str(images / f"{n:06d}{suffix}")) for n in range(1, last + 1)]
