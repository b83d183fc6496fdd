"""Reads video files or folders of frames with a CSV file of boxes beside them.

`docs/data.md` says what a table holds. One in which most boxes have no side beyond 2, and some are
fractions, has relative ones.
"""

import csv
import glob
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstd.base import documents, limits
from lstd.data.readers import frame_names, frame_pictures, label_files
from lstd.data.readers.frame_pictures import Pictures
from lstd.data.readers.label_files import Found, Options, WrongTree
from lstd.data.readers.labelled_video import Box, Classes, LabelledVideo, by_frame
from lstd.media import numbered_frames, video

_TRACKS = ("track_id", "id", "trackid", "track", "object_id")
_SIDES = ("ymin", "xmin", "ymax", "xmax")

Rows = list[tuple[int, Box]]


def read(path: Path, options: Options) -> Found:
    """Returns the videos, one for each table; raises as `readers.open`."""
    found = tables_of(path)
    parts = [""] if "" in found else label_files.chosen(options.subset, found, where=str(path))
    tables = [(part, table) for part in parts for table in found[part]]
    options.notes.extend(label_files.all_taken(parts))
    read = []
    for part, table in tables:
        medium = _medium(table, options, alone=len(tables) == 1)
        read.append((part, table, medium, _rows(table, medium, options.notes)))
    names = {box.label for *_, rows in read for _, box in rows} - {""}  # none is unknown
    classes = Classes(sorted(names), options.labels)
    return classes.labels, [_video(*one, classes, options.notes) for one in read]


def tables_of(path: Path) -> dict[str, list[Path]]:
    """Returns the table that a path or a video's name is, or those of a folder by subset."""
    if path.is_file():
        is_video = path.suffix.lower() in frame_pictures.VIDEO_SUFFIXES
        table = path.with_suffix(".csv") if is_video else path
        return {"": [table]} if _has_header(table) else {}
    beside = Path(f"{path}.csv")
    if _has_header(beside) and not any(map(_has_header, path.glob("*.csv"))):
        return {"": [beside]}
    return label_files.by_subset(path, ("*.csv",), _has_header)


def _has_header(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        columns = {column.strip() for column in file.readline().split(",")}
    return "frame" in columns or {"time", *_SIDES} <= columns


def _rows(table: Path, medium: Path, notes: list[str]) -> Rows:
    """Returns frame and box of each line."""
    text = io.StringIO(documents.read_text(table), newline="")
    reader = csv.DictReader(text, skipinitialspace=True)
    rows: Rows = []
    try:
        columns = reader.fieldnames or ()
        name = "class" if "class" in columns else "label"
        place = "time" if "time" in columns and "frame" not in columns else "frame"
        for column in (place, name, *_SIDES):
            if column not in columns:
                wanted = "class (or label)" if column == "label" else column
                raise ValueError(
                    f"{table}, line 1: there is no column {wanted}; expected frame,class,track_id,"
                    f"ymin,xmin,ymax,xmax, got {','.join(columns) or 'nothing'}"
                )
        fps = 0.0
        if place == "time":
            if not medium.is_file():
                raise ValueError(
                    f"{table}: it has times, and {medium} is no video file; expected frame"
                )
            fps = video.probe(medium).fps
            notes.append(f"{table}: times are rounded to the nearest of {fps:g} frames a second")
        track = next((column for column in _TRACKS if column in columns), "")
        for row in reader:
            where = f"{table}, line {reader.line_num}"
            said = map(row.get, _SIDES)
            ymin, xmin, ymax, xmax = label_files.numbers(said, " ".join(_SIDES), where)
            has_track = (row.get(track) or "").strip()
            box = Box(
                (ymin, xmin, ymax, xmax),
                (row[name] or "").strip(),
                track=label_files.whole(row[track], f"{where}: {track}") if has_track else -1,
                row_name=f"line {reader.line_num}",
            )
            number: Any = row[place]
            if place == "time":
                number = (label_files.number(number, f"{where}: time") * fps + 0.5) // 1
            frame = label_files.whole(number, f"{where}: frame", most=limits.FRAMES - 1)
            rows.append((frame, box))
    except csv.Error as error:
        raise ValueError(f"{table}: not a CSV file: {error}") from None
    return rows


def _medium(table: Path, options: Options, *, alone: bool) -> Path:
    """Returns the video file or folder that belongs to a table."""
    if options.images:
        file = frame_pictures.film_of(options, table.stem, alone=alone)
        own = Path(options.images) / table.stem
        if file is None and not own.is_dir() and not alone:
            raise ValueError(f"{table}: there is neither a video nor a folder {own}")
        return file or (own if own.is_dir() else Path(options.images))
    folder = table.with_suffix("")
    beside = sorted(table.parent.glob(f"{glob.escape(table.stem)}.*"))
    found = [file for file in beside if file.suffix.lower() in frame_pictures.VIDEO_SUFFIXES]
    found += [folder] * folder.is_dir()
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "neither"
        raise ValueError(
            f"{table}: expected one video file or folder named {table.stem} beside it, found "
            f"{names}; say which with --images"
        )
    return found[0]


def _video(
    part: str, table: Path, medium: Path, rows: Rows, classes: Classes, notes: list[str]
) -> LabelledVideo:
    tracks = [box.track for _, box in rows]
    named = {frame for frame, _ in rows}
    if len(named) > 2 and min(tracks) >= 0 and len({*tracks}) == len(tracks):
        notes.append(f"{table}: every line has another track id, so that none follows an object")
    numbers, shown = _pictures(medium, named, table, notes)
    # Most boxes are smaller than in pixels, and not all of their sides are whole.
    sides = np.array([box.sides for _, box in rows], np.float64).reshape(-1, 4)
    small = sides[~(np.abs(sides) > 2).any(axis=1)]
    relative = 2 * len(small) > len(sides) and (small[np.isfinite(small)] % 1 != 0).any()
    if relative:
        notes.append(f"{table}: most sides are between 0 and 1; all are taken for relative ones")
    return LabelledVideo(
        f"{part}/{medium.name}" if part else medium.name,
        str(table),
        shown,
        by_frame(rows, numbers, str(table)),
        classes,
        has_tracks=any(track >= 0 for track in tracks),
        in_pixels=not relative,
    )


def _pictures(
    medium: Path, frames: Collection[int], table: Path, notes: list[str]
) -> tuple[Sequence[int], Pictures]:
    """Returns each frame's number in the table, and its picture, which may be missing."""
    said = max(frames, default=-1) + 1
    where = f"the last label of {medium}"
    if not medium.is_dir():
        count = numbered_frames.count(str(medium))
        limits.check_missing(found=count, said=said, where=where)
        numbers = range(max(count, said))
        return numbers, frame_pictures.of_film(medium, numbers)
    files = [str(file) for file in frame_pictures.in_folder(medium)]
    if not files:
        raise WrongTree(f"{medium}: this folder holds no image")
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
    return every, frame_pictures.of(known.get(n, f"{medium}/(frame {n})") for n in every)


def _are_numbers(
    frames: Collection[int], numbers: Sequence[int | None], files: Sequence[str], table: Path
) -> bool:
    """Whether frames in a table are the numbers in the image names rather than their places.

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
