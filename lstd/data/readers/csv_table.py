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
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstd.base import documents, limits, natural
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
from lstd.data.readers.options import Options, WrongTree, all_taken, chosen
from lstd.data.sources import Source
from lstd.media import video

NAME = "csv"
TREE = """\
street.mp4 (or .avi, .mov, .mkv, ...), or the folder street/ with 0001.jpg ...
street.csv with the header frame,class,track_id,ymin,xmin,ymax,xmax
or a folder of such pairs, or of train/, val/ and so on with such pairs"""

_TRACKS = ("track_id", "id", "trackid", "track", "object_id")
_SIDES = ("ymin", "xmin", "ymax", "xmax")


class Line(NamedTuple):
    """A line of a table; `time` in seconds where it says no frame.

    Attributes:
        number: in the file, from 1.
        frame: from 0.
        label: name of the class.
        track: -1 unknown.
        sides: ymin, xmin, ymax, xmax, pixels or relative; a side may be NaN.
    """

    number: int
    frame: int
    label: str
    track: int
    sides: tuple[float, float, float, float]
    time: float | None = None


def matches(path: Path) -> bool:
    """Whether a path is a table, a video with a table, or a folder with tables."""
    return bool(_tables(path))


def read(path: Path, options: Options) -> Source:
    """Returns the videos, one for each table; labels not given are all names, sorted.

    Raises:
        ValueError: no table, a table without its video, a column that is missing, or a value that
            is no number; the message names file and line.
        OSError: a video cannot be opened.
    """
    found = _tables(path)
    if not found:
        raise WrongTree(f"{path}: there is no CSV file of boxes; expected\n{TREE}")
    parts = chosen(options.subset, found, where=str(path)) if "" not in found else [""]
    tables = [(part, table) for part in parts for table in found[part]]
    lines = [[*read_lines(table)] for _, table in tables]
    names = {one.label for told in lines for one in told} - {""}  # none is an unknown class
    classes = Classes(sorted(names), options.labels)
    notes = [*all_taken(parts)]
    videos = tuple(
        _video(part, table, told, classes, _medium(table, options, alone=len(tables) == 1), notes)
        for (part, table), told in zip(tables, lines, strict=True)
    )
    return Source(NAME, str(path), classes.labels, videos, tuple(notes))


def read_lines(path: str | os.PathLike[str]) -> Iterator[Line]:
    """Yields the lines of a table; see `read` for the errors."""
    text = io.StringIO(documents.read_text(path), newline="")
    reader = csv.DictReader(text, skipinitialspace=True)
    try:
        class_column = _check_header(reader.fieldnames or (), path)
        for row in reader:
            where = f"{os.fspath(path)}, line {reader.line_num}"
            yield _line(row, reader.line_num, class_column, where)
    except csv.Error as error:
        raise ValueError(f"{os.fspath(path)}: not a CSV file: {error}") from None


def _check_header(columns: Sequence[str], path: str | os.PathLike[str]) -> str:
    """Returns the column of the class names; raises if a column is missing."""
    class_column = "class" if "class" in columns else "label"
    for name in ("frame", class_column, *_SIDES):
        if name not in columns and not (name == "frame" and "time" in columns):
            wanted = "class (or label)" if name == "label" else name
            raise ValueError(
                f"{os.fspath(path)}, line 1: there is no column {wanted}; expected "
                f"frame,class,track_id,ymin,xmin,ymax,xmax, got {','.join(columns) or 'nothing'}"
            )
    return class_column


def _line(row: Mapping[str, str | None], number: int, class_column: str, where: str) -> Line:
    sides = tuple(_number(row, name, where) for name in _SIDES)
    track = next((name for name in _TRACKS if name in row), "")
    has_track = (row.get(track) or "").strip()
    return Line(
        number=number,
        frame=_whole(row, "frame", where, most=MOST_FRAMES - 1) if "frame" in row else 0,
        label=(row[class_column] or "").strip(),
        track=_whole(row, track, where) if has_track else -1,
        sides=sides,  # type: ignore[arg-type]
        time=None if "frame" in row else _number(row, "time", where),
    )


def _number(row: Mapping[str, str | None], name: str, where: str) -> float:
    try:
        return float(row[name] or "")
    except ValueError:  # nan is a number here: what becomes of it is not for a reader to say
        raise ValueError(f"{where}: {name} is {row[name]!r}, expected a number") from None


def _whole(
    row: Mapping[str, str | None], name: str, where: str, *, most: int = limits.WHOLE
) -> int:
    value = _number(row, name, where)
    return whole_numbers.whole(value, what=f"{where}: {name} is {row[name]!r}", most=most)


def _tables(path: Path) -> dict[str, list[Path]]:
    """Returns the tables by subset: with the empty one, or with the names of folders."""
    if path.is_file():
        if path.suffix.lower() == ".csv":
            return {"": [path]} if _has_header(path) else {}
        table = path.with_suffix(".csv")
        video = path.suffix.lower() in pictures.VIDEO_SUFFIXES
        return {"": [table]} if video and table.is_file() and _has_header(table) else {}
    if not path.is_dir():
        return {}
    beside = Path(f"{path}.csv")
    for tables in (path.glob("*.csv"), [beside] * beside.is_file(), path.glob("*/*.csv")):
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


def _video(
    part: str,
    table: Path,
    lines: Sequence[Line],
    classes: Classes,
    medium: Path,
    notes: list[str],
) -> LabelledVideo:
    rows: dict[int, list[BoxRow]] = {}
    lines = _numbered(lines, table, medium, notes)
    tracks = _tracks(lines, table, notes)
    for line, track in zip(lines, tracks, strict=True):
        row = BoxRow(
            sides=line.sides,
            class_index=classes[line.label],
            track=track,
            row_name=f"line {line.number}",
            class_text=line.label,
        )
        rows.setdefault(line.frame, []).append(row)
    numbers, shown = _pictures(medium, rows, table, notes)
    relative = _are_relative(lines)
    if relative:
        notes.append(f"{table}: most sides are between 0 and 1; all are taken for relative ones")
    return LabelledVideo(
        name=f"{part}/{medium.name}" if part else medium.name,
        where=str(table),
        pictures=shown,
        boxes=tuple(collect(rows.get(n, []), where=f"{table}, frame {n}") for n in numbers),
        has_tracks=any(track >= 0 for track in tracks),
        in_pixels=not relative,
    )


def _numbered(lines: Sequence[Line], table: Path, medium: Path, notes: list[str]) -> Sequence[Line]:
    """Returns lines that tell a time with the number of the frame that is nearest to it."""
    if all(line.time is None for line in lines):
        return lines
    if not medium.is_file():
        raise ValueError(f"{table}: it has times, and {medium} is no video file; expected frame")
    fps = video.probe(medium).fps
    notes.append(f"{table}: times are rounded to the nearest of {fps:g} frames a second")
    return [
        line._replace(
            frame=whole_numbers.whole(
                ((line.time or 0) * fps + 0.5) // 1,
                what=f"{table}, line {line.number}: time is {line.time}",
                most=MOST_FRAMES - 1,
            )
        )
        for line in lines
    ]


def _tracks(lines: Sequence[Line], table: Path, notes: list[str]) -> list[int]:
    """Returns the track of each line; notes where every line of a longer video has its own."""
    tracks = [line.track for line in lines]
    frames = {line.frame for line in lines}
    if len(frames) > 2 and min(tracks) >= 0 and len(set(tracks)) == len(tracks):
        notes.append(f"{table}: every line has another track id, so that none follows an object")
    return tracks


def _are_relative(lines: Sequence[Line]) -> bool:
    """Whether most boxes are smaller than in pixels, and not all of their sides are whole."""
    sides = np.array([line.sides for line in lines], np.float64).reshape(-1, 4)
    small = sides[~(np.abs(sides) > 2).any(axis=1)]
    return bool(2 * len(small) > len(sides) and (small[np.isfinite(small)] % 1 != 0).any())


def _medium(table: Path, options: Options, *, alone: bool) -> Path:
    """Returns the video file or folder that belongs to a table."""
    if options.images:
        file = pictures.video_of(options.images, table.stem, alone=alone)
        own = Path(options.images) / table.stem
        if file is None and not own.is_dir() and not alone:
            raise ValueError(f"{table}: there is neither a video nor a folder {own}")
        return file or (own if own.is_dir() else Path(options.images))
    folder = table.with_suffix("")
    files = sorted(
        file
        for file in table.parent.glob(f"{glob.escape(table.stem)}.*")
        if file.suffix.lower() in pictures.VIDEO_SUFFIXES
    )
    found = [*files, *([folder] if folder.is_dir() else [])]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "neither"
        raise ValueError(
            f"{table}: expected one video file or folder named {table.stem} beside it, found "
            f"{names}; say which with --images"
        )
    return found[0]


def _pictures(
    medium: Path, frames: Collection[int], table: Path, notes: list[str]
) -> tuple[Sequence[int], Pictures]:
    """Returns which number in the table each frame has, and its picture, which may be missing.

    Args:
        medium: a video file or a folder.
        frames: numbers of the labelled frames.
        table: for messages.
        notes: gets what is not usual.
    """
    at_least = max(frames, default=-1) + 1
    if not medium.is_dir():
        film = video_frames(medium, at_least=at_least)
        return range(len(film)), film
    files = [str(file) for file in pictures.in_folder(medium)]
    if not files:
        raise WrongTree(f"{medium}: this folder holds no image; expected\n{TREE}")
    limits.check_missing(found=len(files), said=at_least, where=f"the last label of {medium}")
    said = frame_names.plain([Path(file).name for file in files])
    numbered = {frame_names.number(name): file for name, file in zip(said, files, strict=True)}
    if _are_numbers(frames, [frame_names.number(name) for name in said], files, table):
        numbers = sorted({n for n in numbered if n is not None}.union(frames))
        if numbers != [*range(len(files))]:
            notes.append(
                f"{table}: frame is the number in the names of the images, such as {files[-1]}"
            )
        return numbers, ImageFiles(tuple(numbered.get(n, f"{medium}/(frame {n})") for n in numbers))
    beyond = [f"{medium}/(frame {n})" for n in range(len(files), at_least)]
    return range(len(files) + len(beyond)), ImageFiles((*files, *beyond))


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
    known, places = set(numbers), range(len(files))
    if all(frame in places for frame in frames):
        other = [n for n in frames if n in known and numbers[n] != n]
        if gaps and other and known.issuperset(frames):
            raise ValueError(
                f"{table}: frame {other[0]} may be the image with this number or the one at this "
                f"place, {files[other[0]]}; number the images of {table.stem} without gaps, or "
                "label one that tells: a frame beyond their count, or a number that none has"
            )
        return False
    if known.issuperset(frames):
        return True
    return gaps and 2 * len(known.intersection(frames)) >= len(frames)
