"""Reads video files, or folders of frames, that have a CSV file of boxes beside them.

The table has a header and one line for each box:

    frame,class,track_id,ymin,xmin,ymax,xmax
    0,sowbug,1,159.6,279.9,192.0,312.3

`frame` counts from 0 in the order of the video; in a folder whose images are numbered with gaps
(`0000.jpg`, `0005.jpg`) it may be the number of the image. A table without it may have `time`,
seconds from the start of a video file, which are rounded to the nearest frame. `class` (or `label`)
is a name. `track_id` (or `id`) may be left out or empty. The sides are in pixels, with the origin
at the upper left corner of the upper left pixel, so that a box over the whole frame is 0, 0,
height, width; a table in which most boxes have none beyond 2, and some are fractions, has relative
ones. Other columns are ignored. A frame without a line has no objects. The video of `street.csv` is
`street.mp4` (or any other video file of that name), or the folder `street/`.
"""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstd.base import documents, limits, natural
from lstd.data.readers import fields, frame_names, pictures
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, Labels
from lstd.data.readers.options import Options, WrongTree, all_taken, chosen
from lstd.data.readers.pictures import Pictures
from lstd.data.sources import Source
from lstd.media import numbered_frames, video

NAME = "csv"
TREE = """\
street.mp4 (or .avi, .mov, .mkv, ...), or the folder street/ with 0001.jpg ...
street.csv with the header frame,class,track_id,ymin,xmin,ymax,xmax
or a folder of such pairs, or of train/, val/ and so on with such pairs"""

_TRACKS = ("track_id", "id", "trackid", "track", "object_id")
_SIDES = ("ymin", "xmin", "ymax", "xmax")


class _Line(NamedTuple):
    frame: int
    time: float | None  # seconds, where the table has no frames
    box: Box


def matches(path: Path) -> bool:
    """Whether a path is a table, a video with a table, or a folder with tables."""
    return bool(_tables(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos, one for each table; labels not given are all names, sorted.

    Raises:
        ValueError: a table without its video, a column that is missing, or a value that is no
            number; the message names file and line.
        OSError: a video cannot be opened.
    """
    found = _tables(path)
    parts = chosen(options.subset, found, where=str(path)) if "" not in found else [""]
    tables = [(part, table) for part in parts for table in found[part]]
    lines = [[*_lines(table)] for _, table in tables]
    names = {line.box.label for told in lines for line in told} - {""}  # none is an unknown class
    classes = Classes(sorted(names), options.labels)
    notes = [*all_taken(parts)]
    videos = [
        _video(part, table, told, classes, _medium(table, options, alone=len(tables) == 1), notes)
        for (part, table), told in zip(tables, lines, strict=True)
    ]
    return Source(NAME, str(path), classes.labels, tuple(videos), tuple(notes))


def _tables(path: Path) -> dict[str, list[Path]]:
    """Returns the tables by subset: with the empty one, or with the names of folders."""
    if path.is_file():
        is_table = path.suffix.lower() == ".csv"
        table = path if is_table else path.with_suffix(".csv")
        fits = is_table or path.suffix.lower() in pictures.VIDEO_SUFFIXES
        return {"": [table]} if fits and _has_header(table) else {}
    if not path.is_dir():
        return {}
    for tables in (path.glob("*.csv"), [Path(f"{path}.csv")], path.glob("*/*.csv")):
        found: dict[str, list[Path]] = {}
        for table in sorted(tables, key=lambda table: natural.key(str(table))):
            if _has_header(table):
                part = "" if table.parent in (path, path.parent) else table.parent.name
                found.setdefault(part, []).append(table)
        if found:
            return found
    return {}


def _has_header(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        columns = {column.strip() for column in file.readline().split(",")}
    return "frame" in columns or {"time", *_SIDES} <= columns


def _lines(path: Path) -> Iterator[_Line]:
    """Yields the lines of a table."""
    reader = csv.DictReader(
        io.StringIO(documents.read_text(path), newline=""), skipinitialspace=True
    )
    try:
        columns = reader.fieldnames or ()
        name = "class" if "class" in columns else "label"
        place = "time" if "time" in columns and "frame" not in columns else "frame"
        for column in (place, name, *_SIDES):
            if column not in columns:
                wanted = "class (or label)" if column == "label" else column
                raise ValueError(
                    f"{path}, line 1: there is no column {wanted}; expected frame,class,track_id,"
                    f"ymin,xmin,ymax,xmax, got {','.join(columns) or 'nothing'}"
                )
        track = next((column for column in _TRACKS if column in columns), "")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            ymin, xmin, ymax, xmax = (fields.number(row[s], f"{where}: {s}") for s in _SIDES)
            has_track = (row.get(track) or "").strip()
            box = Box(
                (ymin, xmin, ymax, xmax),
                (row[name] or "").strip(),
                track=fields.whole(row[track], f"{where}: {track}") if has_track else -1,
                row_name=f"line {reader.line_num}",
            )
            if place == "time":
                yield _Line(0, fields.number(row["time"], f"{where}: time"), box)
            else:
                yield _Line(_frame(row["frame"], f"{where}: frame"), None, box)
    except csv.Error as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from None


def _frame(said: object, what: str) -> int:
    return fields.whole(said, what, most=limits.FRAMES - 1)


def _medium(table: Path, options: Options, *, alone: bool) -> Path:
    """Returns the video file or folder that belongs to a table."""
    if options.images:
        file = pictures.film_of(options, table.stem, alone=alone)
        own = Path(options.images) / table.stem
        if file is None and not own.is_dir() and not alone:
            raise ValueError(f"{table}: there is neither a video nor a folder {own}")
        return file or (own if own.is_dir() else Path(options.images))
    folder = table.with_suffix("")
    beside = sorted(table.parent.glob(f"{glob.escape(table.stem)}.*"))
    found = [file for file in beside if file.suffix.lower() in pictures.VIDEO_SUFFIXES]
    found += [folder] * folder.is_dir()
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "neither"
        raise ValueError(
            f"{table}: expected one video file or folder named {table.stem} beside it, found "
            f"{names}; say which with --images"
        )
    return found[0]


def _video(
    part: str,
    table: Path,
    lines: Sequence[_Line],
    classes: Classes,
    medium: Path,
    notes: list[str],
) -> LabelledVideo:
    rows: dict[int, list[Box]] = {}
    for line in _numbered(lines, table, medium, notes):
        rows.setdefault(line.frame, []).append(line.box)
    tracks = [line.box.track for line in lines]
    if len(rows) > 2 and min(tracks) >= 0 and len({*tracks}) == len(tracks):
        notes.append(f"{table}: every line has another track id, so that none follows an object")
    numbers, shown = _pictures(medium, rows, table, notes)
    relative = _are_relative(lines)
    if relative:
        notes.append(f"{table}: most sides are between 0 and 1; all are taken for relative ones")
    return LabelledVideo(
        name=f"{part}/{medium.name}" if part else medium.name,
        where=str(table),
        pictures=shown,
        frames=tuple(Labels(rows.get(n, ()), f"{table}, frame {n}") for n in numbers),
        classes=classes,
        has_tracks=any(track >= 0 for track in tracks),
        in_pixels=not relative,
    )


def _numbered(
    lines: Sequence[_Line], table: Path, medium: Path, notes: list[str]
) -> Sequence[_Line]:
    """Returns lines that tell a time with the number of the frame that is nearest to it."""
    if all(line.time is None for line in lines):
        return lines
    if not medium.is_file():
        raise ValueError(f"{table}: it has times, and {medium} is no video file; expected frame")
    fps = video.probe(medium).fps
    notes.append(f"{table}: times are rounded to the nearest of {fps:g} frames a second")
    return [
        line._replace(
            frame=_frame(
                ((line.time or 0) * fps + 0.5) // 1,
                f"{table}, {line.box.row_name}: the frame of time {line.time}",
            )
        )
        for line in lines
    ]


def _are_relative(lines: Sequence[_Line]) -> bool:
    """Whether most boxes are smaller than in pixels, and not all of their sides are whole."""
    sides = np.array([line.box.sides for line in lines], np.float64).reshape(-1, 4)
    small = sides[~(np.abs(sides) > 2).any(axis=1)]
    return bool(2 * len(small) > len(sides) and (small[np.isfinite(small)] % 1 != 0).any())


def _pictures(
    medium: Path, frames: Collection[int], table: Path, notes: list[str]
) -> tuple[Sequence[int], Pictures]:
    """Returns which number in the table each frame has, and its picture, which may be missing."""
    said = max(frames, default=-1) + 1
    where = f"the last label of {medium}"
    if not medium.is_dir():
        count = numbered_frames.count(str(medium))
        limits.check_missing(found=count, said=said, where=where)
        numbers = range(max(count, said))
        return numbers, pictures.of_film(medium, numbers)
    files = [str(file) for file in pictures.in_folder(medium)]
    if not files:
        raise WrongTree(f"{medium}: this folder holds no image; expected\n{TREE}")
    limits.check_missing(found=len(files), said=said, where=where)
    named = [
        frame_names.number(name) for name in frame_names.plain([Path(file).name for file in files])
    ]
    known: dict[int, str] = dict(enumerate(files))
    if _are_numbers(frames, named, files, table):
        known = {n: file for n, file in zip(named, files, strict=True) if n is not None}
        if {*known, *frames} != {*range(len(files))}:
            notes.append(
                f"{table}: frame is the number in the names of the images, such as {files[-1]}"
            )
        every: Sequence[int] = sorted({*known, *frames})
    else:
        every = range(max(len(files), said))
    return every, pictures.of(known.get(n, f"{medium}/(frame {n})") for n in every)


def _are_numbers(
    frames: Collection[int], numbers: Sequence[int | None], files: Sequence[str], table: Path
) -> bool:
    """Whether the frames of a table are the numbers of the images, and not their places.

    Raises:
        ValueError: they may be either, and mean other images.
    """
    if len(set(numbers)) < len(files) or None in numbers:
        return False
    gaps = numbers != [*range(numbers[0] or 0, (numbers[0] or 0) + len(files))]
    known = set(numbers)
    if max(frames, default=0) < len(files):
        other = [n for n in frames if n in known and numbers[n] != n]
        if gaps and other and known.issuperset(frames):
            raise ValueError(
                f"{table}: frame {other[0]} may be the image with this number or the one at this "
                f"place, {files[other[0]]}; number the images of {table.stem} without gaps, or "
                "label one that tells: a frame beyond their count, or a number that none has"
            )
        return False
    return known.issuperset(frames) or (gaps and 2 * len(known.intersection(frames)) >= len(frames))
