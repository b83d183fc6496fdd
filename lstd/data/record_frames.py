"""The videos in SequenceExamples: which record holds which of their frames, and these, raw."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import record_files, sequence_example
from lstd.data.problems import ProblemError
from lstd.data.record_files import Part
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_MOST = np.iinfo(np.int32).max


class Video(NamedTuple):
    """A video: its id, which two videos may have, and the records that hold it, in order."""

    name: str
    parts: tuple[Part, ...]


def list_videos(
    paths: Iterable[str], *, on_damage: Callable[[ProblemError], None] | None = None
) -> list[Video]:
    """Returns the videos of TFRecord files, in the order of the files.

    The index that a conversion wrote beside its shards says what is in them. Other files are read
    once. A record with `video/first_frame` above 0 continues the one before it when both have the
    same source id. A video without an id is called by file and record number.

    Args:
        paths: the files.
        on_damage: is told of a record that is left out, and of a file that cannot be read on; all
            records are read for it. None: an error.

    Raises:
        ProblemError: a file is no TFRecord file, is empty or cut off, or holds something other than
            SequenceExamples; the message names file and record.
    """
    videos: list[tuple[str, list[Part]]] = []
    indexes: dict[str, Mapping[str, Any]] = {}
    damaged = False

    def leave_out(error: ProblemError) -> None:
        nonlocal damaged
        if on_damage is None:
            raise error
        on_damage(error)
        damaged = True

    for path in paths:
        folder = os.path.dirname(path)
        if folder not in indexes:
            indexes[folder] = record_files.index_of(folder) if on_damage is None else {}
        found = _indexed(path, indexes[folder])
        for name, part in found or _scanned(path, leave_out, thorough=on_damage is not None):
            part, damaged = part._replace(after_damage=damaged), False
            continues = bool(videos) and part.first_frame > videos[-1][1][-1].first_frame
            if continues and videos[-1][0] == name:
                videos[-1][1].append(part)
            else:
                videos.append((name, [part]))
    return [
        Video(name or f"@{parts[0].path}#{parts[0].number}", tuple(parts)) for name, parts in videos
    ]


class Span(NamedTuple):
    """Frames of a video, from start up to stop, that one record holds; none does: part is None."""

    part: Part | None
    start: int
    stop: int
    where: str

    def frames(self) -> list[SourceFrame]:
        """Returns the frames, without image and boxes where they are missing; see `frames_of`."""
        if self.part is not None:
            return frames_of(self.part)
        nothing = GroundTruth(np.zeros([0, 4], np.float32), np.zeros(0, np.int32))
        return [
            SourceFrame(None, nothing, f"{self.where}, frame {number}")
            for number in range(self.start, self.stop)
        ]


def spans(name: str, parts: Sequence[Part]) -> list[Span]:
    """Returns the frames of a video in order, from 0 on and without a gap.

    Frames are missing where a record begins behind the end of the one before it; not where a
    damaged record in between was left out: there, what follows moves up.

    Raises:
        ValueError: a frame is there twice, or too many are missing.
    """
    result: list[Span] = []
    expected = end = 0
    for part in parts:
        missing = part.first_frame - expected
        where = record_files.name_of(part)
        if missing < 0 or (missing and not part.after_damage):
            gap = f"{where} of video {name!r} begins at frame {part.first_frame}, expected "
            gap += f"{expected}: frames are {'missing' if missing > 0 else 'there twice'}"
            if missing < 0:
                raise ValueError(gap)
            limits.check_missing(found=end, said=end + missing, where=where)
            result.append(Span(None, end, end + missing, gap))
            end += missing
        result.append(Span(part, end, end + part.num_frames, where))
        end, expected = end + part.num_frames, part.first_frame + part.num_frames
    return result


def frames_of(part: Part) -> list[SourceFrame]:
    """Returns the frames of a record, raw.

    Raises:
        ProblemError: the record is damaged, has no frames, others than it says, lists that differ
            in length, or a track id that no int32 holds; the message names file and record.
    """
    return _frames_in(record_files.read(part), part)


def _frames_in(content: bytes, part: Part) -> list[SourceFrame]:
    where = record_files.name_of(part)
    try:
        record = sequence_example.parse(content)
    except tf.errors.InvalidArgumentError as error:
        message = f"{where}: not a usable SequenceExample: {error.message}"
        raise record_files.damage(message) from None
    columns = [
        column.numpy()
        for column in (record.boxes, record.classes, record.track_ids, record.is_crowd)
    ]
    present, with_tracks = record.present.numpy(), bool(record.has_tracks)
    frames = []
    for number, encoded in enumerate(record.encoded.numpy()):
        boxes, stored, tracks, crowd = (column[number][present[number]] for column in columns)
        if with_tracks and tracks.max(initial=-1) > _MOST:
            raise record_files.damage(
                f"{where}, frame {number}: a track id is {tracks.max()}, expected a whole number "
                f"of at most {_MOST}"
            )
        known = (stored >= 1) & (stored <= _MOST)
        truth = GroundTruth(
            boxes=boxes,
            classes=np.where(known, stored - 1, UNKNOWN_CLASS).astype(np.int32),
            track_ids=np.maximum(tracks, -1).astype(np.int32) if with_tracks else None,
            is_crowd=crowd.astype(np.bool_),
        )
        texts = tuple(f"{value}" if value > 0 else f"{value} (1 is the first)" for value in stored)
        frames.append(SourceFrame(encoded, truth, f"{where}, frame {number}", class_texts=texts))
    if part.num_frames != len(frames):
        raise record_files.damage(f"{where}: {len(frames)} frames, but it says {part.num_frames}")
    return frames


def _indexed(path: str, index: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """Returns source id and part of each record as the index says; empty where it does not fit."""
    result, offset = [], 0
    try:
        (records,) = [s["records"] for s in index["shards"] if s["file"] == os.path.basename(path)]
        for number, record in enumerate(records):
            first, height, width, frames = (
                int(record[key]) for key in ("first_frame", "height", "width", "frames")
            )
            part = Part(path, number, offset, first, height, width, frames)
            record_files.check_numbers(part)
            result.append((str(record["video"]), part))
            offset += int(record["bytes"]) + 16
    except (KeyError, TypeError, ValueError, OverflowError):
        return []
    return result if offset == tf.io.gfile.stat(path).length else []


def _scanned(
    path: str, met: Callable[[ProblemError], None], *, thorough: bool
) -> Iterator[tuple[str, Part]]:
    """Yields source id and part of each record, which is read for it; `met` gets the damage.

    If it is thorough, also that of what the record holds.
    """
    for number, offset, content in record_files.read_all(path, met):
        try:
            name, part = _described(path, number, offset, content)
            if thorough:
                _frames_in(content, part)
        except ProblemError as error:
            met(error)
        else:
            yield name, part


def _described(path: str, number: int, offset: int, content: bytes) -> tuple[str, Part]:
    where = record_files.named(path, number)
    record = record_files.sequence_of(content, where=where)
    context = record.context.feature
    frames = len(record.feature_lists.feature_list["image/encoded"].feature)

    def integer(key: str) -> int:
        values = context[key].int64_list.value if key in context else ()
        return int(values[0]) if values else 0

    def text(key: str) -> str:
        values = context[key].bytes_list.value if key in context else ()
        return values[0].decode(errors="replace") if values else ""

    height, width = integer("image/height"), integer("image/width")
    part = Part(path, number, offset, integer("video/first_frame"), height, width, frames)
    record_files.check_numbers(part)
    said = integer("record/num_frames")
    if not frames:
        raise record_files.damage(f"{where} has no frames in 'image/encoded'")
    if said not in (0, frames):
        raise record_files.damage(f"{where}: {frames} frames, but it says {said}")
    return text("image/source_id") or text("image/filename"), part
