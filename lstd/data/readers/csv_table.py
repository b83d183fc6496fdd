"""Reads video files, or folders of frames, that have a CSV file of boxes beside them.

The table has a header and one line for each box:

    frame,class,track_id,ymin,xmin,ymax,xmax
    0,sowbug,1,159.6,279.9,192.0,312.3

`frame` counts from 0 in the order of the video. `class` (or `label`) is a name. `track_id` may be
left out or empty. The sides are in pixels, with the origin at the upper left corner of the upper
left pixel, so that a box over the whole frame is 0, 0, height, width. Other columns are ignored. A
frame without a line has no objects. The video of `street.csv` is `street.mp4` (or any other video
file of that name), or the folder `street/`.
"""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lstd import documents, limits
from lstd.data.readers import natural, pictures, whole_numbers
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
from lstd.data.readers.options import Options, WrongTree
from lstd.data.sources import Source

NAME = "csv"
TREE = """\
street.mp4 (or .avi, .mov, .mkv, ...), or the folder street/ with 0001.jpg ...
street.csv with the header frame,class,track_id,ymin,xmin,ymax,xmax
or a folder of such pairs"""

_SIDES = ("ymin", "xmin", "ymax", "xmax")


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        number: in the file, from 1.
        frame: from 0.
        label: name of the class.
        track: -1 unknown.
        sides_px: ymin, xmin, ymax, xmax; a side may be NaN.
    """

    number: int
    frame: int
    label: str
    track: int
    sides_px: tuple[float, float, float, float]


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
    tables = _tables(path)
    if not tables:
        raise WrongTree(f"{path}: there is no CSV file of boxes; expected\n{TREE}")
    if options.images and len(tables) > 1:
        raise ValueError(f"{path}: there are {len(tables)} tables, and --images names one video")
    lines = {table: [*read_lines(table)] for table in tables}
    names = sorted({line.label for found in lines.values() for line in found})
    classes = Classes(names, options.labels)
    videos = tuple(_video(table, found, classes, options) for table, found in lines.items())
    return Source(NAME, str(path), classes.labels, videos)


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
        if name not in columns:
            wanted = "class (or label)" if name == "label" else name
            raise ValueError(
                f"{os.fspath(path)}, line 1: there is no column {wanted}; expected "
                f"frame,class,track_id,ymin,xmin,ymax,xmax, got {','.join(columns) or 'nothing'}"
            )
    return class_column


def _line(row: Mapping[str, str | None], number: int, class_column: str, where: str) -> Line:
    sides = tuple(_number(row, name, where) for name in _SIDES)
    has_track = (row.get("track_id") or "").strip()
    return Line(
        number=number,
        frame=_whole(row, "frame", where, most=MOST_FRAMES - 1),
        label=(row[class_column] or "").strip(),
        track=_whole(row, "track_id", where) if has_track else -1,
        sides_px=sides,  # type: ignore[arg-type]
    )


def _number(row: Mapping[str, str | None], name: str, where: str) -> float:
    try:
        return float(row[name] or "")
    except ValueError:  # nan is a number here: what becomes of it is not for a reader to say
        raise ValueError(f"{where}: {name} is {row[name]!r}, expected a number") from None


def _whole(
    row: Mapping[str, str | None], name: str, where: str, *, most: int = whole_numbers.MOST
) -> int:
    value = _number(row, name, where)
    return whole_numbers.whole(value, what=f"{where}: {name} is {row[name]!r}", most=most)


def _tables(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() == ".csv":
            return [path] if _has_header(path) else []
        table = path.with_suffix(".csv")
        video = path.suffix.lower() in pictures.VIDEO_SUFFIXES
        return [table] if video and table.is_file() and _has_header(table) else []
    if not path.is_dir():
        return []
    found = [table for table in path.glob("*.csv") if _has_header(table)]
    if not found:
        beside = Path(f"{path}.csv")
        return [beside] if beside.is_file() and _has_header(beside) else []
    return sorted(found, key=lambda table: natural.key(table.name))


def _has_header(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        columns = {column.strip() for column in file.readline().split(",")}
    return "frame" in columns


def _video(table: Path, lines: Sequence[Line], classes: Classes, options: Options) -> LabelledVideo:
    rows: dict[int, list[BoxRow]] = {}
    for line in lines:
        row = BoxRow(
            sides=line.sides_px,
            class_index=classes[line.label],
            track=line.track,
            row_name=f"line {line.number}",
            class_text=line.label,
        )
        rows.setdefault(line.frame, []).append(row)
    medium = Path(options.images) if options.images else _medium(table)
    shown = _pictures(medium, at_least=max(rows, default=-1) + 1)
    height, width = shown.size_of(0) if medium.is_file() else (0, 0)
    return LabelledVideo(
        name=medium.name,
        where=str(table),
        pictures=shown,
        boxes=tuple(
            collect(rows.get(n, []), where=f"{table}, frame {n}") for n in range(len(shown))
        ),
        height=height,
        width=width,
        has_tracks=any(line.track >= 0 for line in lines),
        in_pixels=True,
    )


def _medium(table: Path) -> Path:
    """Returns the video file or folder that belongs to a table."""
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


def _pictures(medium: Path, *, at_least: int) -> Pictures:
    """Returns the frames of a video file or folder, at least so many; some may be missing."""
    if not medium.is_dir():
        return video_frames(medium, at_least=at_least)
    files = [str(file) for file in pictures.in_folder(medium)]
    if not files:
        raise WrongTree(f"{medium}: this folder holds no image; expected\n{TREE}")
    limits.check_missing(found=len(files), said=at_least, where=f"the last label of {medium}")
    beyond = [f"{medium}/(frame {n})" for n in range(len(files), at_least)]
    return ImageFiles((*files, *beyond))
