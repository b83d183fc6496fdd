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
from collections.abc import Sequence
from pathlib import Path

from lstd.base import documents, label_map, limits, natural
from lstd.data.readers import fields, pictures
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels
from lstd.data.readers.options import Options, all_taken, same_as
from lstd.data.sources import Source

NAME = "mot"
TREE = """\
MOT17-02/
  seqinfo.ini
  img1/000001.jpg ...
  gt/gt.txt, and gt/labels.txt where the classes are not those of MOT
or a folder of such folders, or of train/ and val/ with such folders"""

_NAMES = (
    "pedestrian person_on_vehicle car bicycle motorbike non_motorized_vehicle static_person "
    "distractor occluder occluder_on_the_ground occluder_full reflection crowd"
)
CLASSES = tuple(_NAMES.split())
"""Names of the classes 1 to 13."""

_COLUMNS = "frame, id, left, top, width, height, flag"


def matches(path: Path) -> bool:
    """Whether a folder is a sequence, or holds sequences in at most two levels."""
    return bool(_sequences(path, ""))


def read(path: Path, options: Options) -> Source:
    """Returns the sequences, in the order of their names; raises as `readers.open`."""
    folders = _sequences(path, options.subset)
    known: dict[str, None] = {}
    read, ignored = [], 0
    for folder in folders:
        own = folder / "gt" / "labels.txt"
        names = tuple(label_map.lines(documents.read_text(own))) if own.is_file() else ()
        boxes = _boxes(folder / "gt" / "gt.txt", names)
        rows: dict[int, list[Box]] = {}
        for frame, counts, box in boxes:
            ignored += not counts
            rows.setdefault(frame, []).extend([box] * counts)
        used = {box.label for frame in rows.values() for box in frame}
        known |= dict.fromkeys(names or [name for name in CLASSES if name in used])
        read.append((folder, rows))
    # Sequences have met the classes of MOT in any order.
    in_order = sorted(known, key=CLASSES.index) if {*known} <= {*CLASSES} else [*known]
    classes = Classes(in_order, options.labels)
    tops = dict.fromkeys(folder.resolve().parent.name for folder in folders)
    notes = [] if options.subset else [*all_taken(tops)]
    videos = [_video(*one, classes, options, len(read) == 1, notes) for one in read]
    if ignored:
        notes.append(f"{ignored} boxes have the flag 'does not count' and are left out")
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


def _sequences(path: Path, subset: str) -> list[Path]:
    top, inner = path, [*path.glob("*/")] if path.is_dir() else []
    if subset:
        exact = [place for place in inner if place.name == subset]
        alike = [place for place in inner if place.name.lower() in same_as(subset)]
        top = next(iter([*exact, *alike]), path)
    if (top / "gt" / "gt.txt").is_file():
        return [top]
    found = [file.parent.parent for file in (*top.glob("*/gt/gt.txt"), *top.glob("*/*/gt/gt.txt"))]
    if subset and top == path:
        found = [folder for folder in found if folder.name == subset]
    return sorted(found, key=lambda folder: natural.key(str(folder)))


def _boxes(path: Path, names: Sequence[str]) -> list[tuple[int, bool, Box]]:
    """Returns frame, whether it counts, and box of each line; without names, with MOT's classes."""
    first = 0 if names else 1  # pixel
    result = []
    for place, line in fields.lines(path, ",", _COLUMNS, most=10):
        where = f"{path}, {place}"
        told = zip(("left", "top", "width", "height"), line[2:6], strict=True)
        left, top, width, height = (fields.number(said, f"{where}: {name}") for name, said in told)
        left, top = left - first, top - first
        has_class = len(line) in (8, 9) or (len(line) == 10 and bool(names))
        number = -1
        if has_class:
            number = fields.whole(line[7], f"{where}: class", least=-limits.WHOLE)
        number = 1 if number == -1 else number
        known = names or CLASSES
        label = known[number - 1] if 1 <= number <= len(known) else f"class {number}"
        visibility = fields.number(line[8], f"{where}: visibility") if len(line) == 9 else 1.0
        box = Box(
            (top, left, top + height, left + width),
            label,
            track=fields.track_id(line[1], f"{where}: id"),
            row_name=place,
            attributes=(("visibility", visibility),),
        )
        frame = fields.frame(line[0], f"{where}: frame", least=1)
        result.append((frame, fields.number(line[6], f"{where}: flag") != 0, box))
    return result


def _video(
    folder: Path,
    rows: dict[int, list[Box]],
    classes: Classes,
    options: Options,
    alone: bool,
    notes: list[str],
) -> LabelledVideo:
    info = _info(folder / "seqinfo.ini")
    name = info.get("name", folder.resolve().name)
    given = Path(options.images)
    shown = pictures.numbered(
        pictures.film_of(options, name, alone=alone),
        [given / folder.name, given] if options.images else [folder / info.get("imdir", "img1")],
        first=None,
        length=max([int(info.get("seqlength", 0)), *rows]),
        where=str(folder),
        notes=notes,
    )
    table = folder / "gt" / "gt.txt"
    size = (int(info.get("imheight", 0)), int(info.get("imwidth", 0)))
    return LabelledVideo(
        name=name,
        where=str(folder),
        pictures=shown,
        frames=tuple(
            Labels(rows.get(n, ()), f"{table}, frame {n}", size) for n in range(1, len(shown) + 1)
        ),
        classes=classes,
        has_tracks=True,
    )


def _info(path: Path) -> dict[str, str]:
    """Returns the settings of a sequence by lower-case name; none if there is no file."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(documents.read_text(path) if path.is_file() else "", source=str(path))
    except configparser.Error as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    info = dict(parser["Sequence"]) if parser.has_section("Sequence") else {}
    for name in ("seqlength", "imwidth", "imheight"):
        if name in info and not info[name].strip().isdecimal():
            raise ValueError(f"{path}: {name} is {info[name]!r}, expected a whole number")
    return info
