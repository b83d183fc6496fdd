"""One video and its table of boxes, strictly: what is wrong with a line is an error.

The table is that of `lstd.data.readers.csv_table`. This is for tables that are known to be right;
`lstd.data.readers.open` hands on what a table says, and leaves the answer to the caller.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from lstd.data import annotated_video
from lstd.data.annotated_video import AnnotatedFrame, AnnotatedVideo
from lstd.data.readers import csv_table
from lstd.data.readers.csv_table import Line
from lstd.types import GroundTruth

_SIDES = ("ymin", "xmin", "ymax", "xmax")


class Box(NamedTuple):
    """A line of the table.

    Attributes:
        line: its number in the file, from 1.
        class_index: 0-based.
        track_id: -1 unknown.
        sides_px: ymin, xmin, ymax, xmax.
    """

    line: int
    class_index: int
    track_id: int
    sides_px: tuple[float, float, float, float]


def convert(
    video: str | os.PathLike[str],
    table: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    labels: Sequence[str],
    image_format: Literal["jpeg", "png"] = "jpeg",
    quality: int = 95,
    frames_per_record: int = 200,
) -> int:
    """Writes a video and its boxes as SequenceExamples; returns the number of records.

    Args:
        video: a video file or a folder of frames.
        table: the CSV file, see the module.
        output: the TFRecord file; it appears when it is whole.
        labels: class names; their order gives the class numbers.
        image_format: see `annotated_video.write`; so are the next two.
        quality: of a JPEG, 1 to 100.
        frames_per_record: 0: one record.

    Raises:
        ValueError: see `read`.
        OSError: the video or the table cannot be opened.
    """
    return annotated_video.write(
        output,
        [read(video, table, labels=labels)],
        labels=labels,
        image_format=image_format,
        quality=quality,
        frames_per_record=frames_per_record,
    )


def read(
    video: str | os.PathLike[str], table: str | os.PathLike[str], *, labels: Sequence[str]
) -> AnnotatedVideo:
    """Returns the video with its boxes; its name is the file's. Frames are read as they are taken.

    Raises:
        ValueError: in the table, with file and line: a column is missing, a value is not a number,
            a class is not among the labels, a box is empty or outside the frame; while the frames
            are taken also: a line is for a frame beyond the end.
        OSError: the table or the video cannot be opened.
    """
    boxes = read_table(table, labels=labels)
    return AnnotatedVideo(Path(video).name, _frames(video, table, boxes))


def read_table(path: str | os.PathLike[str], *, labels: Sequence[str]) -> dict[int, list[Box]]:
    """Returns the boxes of each frame that has any; see `read` for the errors."""
    boxes: dict[int, list[Box]] = {}
    for line in csv_table.read_lines(path):
        box = _checked(line, labels, where=f"{os.fspath(path)}, line {line.number}")
        boxes.setdefault(line.frame, []).append(box)
    return boxes


def _checked(line: Line, labels: Sequence[str], *, where: str) -> Box:
    """Returns a line as a box; raises unless its class is a label and it has an area."""
    if line.label not in labels:
        close = difflib.get_close_matches(line.label, labels, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(labels)}"
        raise ValueError(f"{where}: class {line.label!r} is not among the labels; {hint}")
    for name, side in zip(_SIDES, line.sides_px, strict=True):
        if not np.isfinite(side):
            raise ValueError(f"{where}: {name} is {str(side)!r}, expected a number")
    ymin, xmin, ymax, xmax = line.sides_px
    if not (ymin < ymax and xmin < xmax):
        raise ValueError(
            f"{where}: the box is empty: ymin {ymin:g} to ymax {ymax:g}, "
            f"xmin {xmin:g} to xmax {xmax:g}"
        )
    return Box(
        line=line.number,
        class_index=list(labels).index(line.label),
        track_id=line.track,
        sides_px=line.sides_px,
    )


def _frames(
    video: str | os.PathLike[str], table: str | os.PathLike[str], boxes: Mapping[int, list[Box]]
) -> Iterator[AnnotatedFrame]:
    from lstd.media import video as video_files

    count = 0
    for image in video_files.read_frames(video):
        yield AnnotatedFrame(image, _truth(boxes.get(count, []), image.shape, table))
        count += 1
    beyond = [(rows[0].line, frame) for frame, rows in boxes.items() if frame >= count]
    if beyond:
        line, frame = min(beyond)
        raise ValueError(
            f"{os.fspath(table)}, line {line}: frame {frame} is beyond the end of "
            f"{os.fspath(video)}, which has {count} frames (counted from 0)"
        )


def _truth(
    boxes: Sequence[Box], shape: tuple[int, ...], table: str | os.PathLike[str]
) -> GroundTruth:
    """Returns the boxes of a frame of that shape, relative to it and clipped."""
    height, width = shape[:2]
    sides = np.array([box.sides_px for box in boxes], np.float64).reshape(-1, 4)
    relative = np.clip(sides / [height, width, height, width], 0, 1).astype(np.float32)
    for box, (ymin, xmin, ymax, xmax) in zip(boxes, relative, strict=True):
        if ymin >= ymax or xmin >= xmax:
            raise ValueError(
                f"{os.fspath(table)}, line {box.line}: the box {box.sides_px} "
                "(ymin, xmin, ymax, xmax in pixels) lies outside the frame of "
                f"{height} x {width} pixels"
            )
    return GroundTruth(
        boxes=relative,
        classes=np.array([box.class_index for box in boxes], np.int32),
        track_ids=np.array([box.track_id for box in boxes], np.int32),
    )
