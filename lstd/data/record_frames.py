"""The videos in SequenceExamples: which record holds which of their frames, and these, raw."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import record_files
from lstd.data.problems import ProblemError
from lstd.data.record_files import Part
from lstd.data.sequence_example import RECORD_OVERHEAD, SIDES
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_TRACKS = "bbox/track_id"


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
        where = part.where
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
    record = record_files.sequence_of(record_files.read(part), where=part.where)
    return _frames_in(record, part)


def _frames_in(record: tf.train.SequenceExample, part: Part) -> list[SourceFrame]:
    where = part.where

    def column(name: str, kind: str, dtype: type) -> list[np.ndarray]:
        lists = record.feature_lists.feature_list
        features = lists[name].feature if name in lists else ()
        if len(features) != part.num_frames and (features or name == "image/encoded"):
            raise record_files.damage(
                f"{where}: {name!r} has {len(features)} frames of {part.num_frames}"
            )
        if any(feature.WhichOneof("kind") not in (None, kind) for feature in features):
            raise record_files.damage(f"{where}: {name!r} is no {kind}")
        found: list[np.ndarray] = [
            np.array([*getattr(feature, kind).value], dtype) for feature in features
        ]
        return found or [np.zeros(0, dtype)] * part.num_frames

    encoded = column("image/encoded", "bytes_list", object)
    sides = [column(name, "float_list", np.float32) for name in SIDES]
    classes, tracks, crowds = (
        column(name, "int64_list", np.int64) for name in ("bbox/label/index", _TRACKS, "is_crowd")
    )
    has_tracks = _TRACKS in record.feature_lists.feature_list
    frames = []
    for number in range(part.num_frames):
        *corners, stored = (values[number] for values in (*sides, classes))
        track, crowd = (
            values[number] if values[number].size else np.full(len(stored), missing)
            for values, missing in ((tracks, -1), (crowds, 0))
        )
        lengths = [len(values) for values in (*corners, stored, track, crowd)]
        if len(set(lengths)) > 1 or len(encoded[number]) != 1:
            raise record_files.damage(
                f"{where}, frame {number}: the lists of its boxes differ in length: {lengths}, or "
                f"it has {len(encoded[number])} images"
            )
        if track.max(initial=-1) > limits.WHOLE:
            raise record_files.damage(
                f"{where}, frame {number}: a track id is {track.max()}, expected a whole number "
                f"of at most {limits.WHOLE}"
            )
        known = (stored >= 1) & (stored <= limits.WHOLE)
        truth = GroundTruth(
            boxes=np.stack(corners, axis=-1),
            classes=np.where(known, stored - 1, UNKNOWN_CLASS).astype(np.int32),
            track_ids=np.maximum(track, -1).astype(np.int32) if has_tracks else None,
            is_crowd=crowd.astype(np.bool_),
        )
        texts = tuple(f"{value}" if value > 0 else f"{value} (1 is the first)" for value in stored)
        place = f"{where}, frame {number}"
        frames.append(SourceFrame(encoded[number][0], truth, place, class_texts=texts))
    return frames


def _indexed(path: str, index: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """Returns source id and part of each record as the index says; empty where it does not fit."""
    keys = ("first_frame", "height", "width", "frames", "bytes")
    result, offset = [], 0
    try:
        (records,) = [s["records"] for s in index["shards"] if s["file"] == os.path.basename(path)]
        for number, record in enumerate(records):
            first, height, width, frames, length = (int(record[key]) for key in keys)
            part = Part(path, number, offset, first, height, width, frames)
            record_files.check_numbers(part)
            if not 0 < frames <= length:
                return []
            result.append((str(record["video"]), part))
            offset += length + RECORD_OVERHEAD
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
            record = record_files.sequence_of(content, where=record_files.named(path, number))
            name, part = _described(path, number, offset, record)
            if thorough:
                _frames_in(record, part)
        except ProblemError as error:
            met(error)
        else:
            yield name, part


def _described(
    path: str, number: int, offset: int, record: tf.train.SequenceExample
) -> tuple[str, Part]:
    context = record.context.feature

    def first(key: str, kind: str) -> list:
        return [*getattr(context[key], kind).value][:1] if key in context else []

    def integer(key: str) -> int:
        return sum(first(key, "int64_list"))

    names = (first(f"image/{key}", "bytes_list") for key in ("source_id", "filename"))
    name = next((name[0].decode(errors="replace") for name in names if name and name[0]), "")
    frames = len(record.feature_lists.feature_list["image/encoded"].feature)
    height, width = integer("image/height"), integer("image/width")
    part = Part(path, number, offset, integer("video/first_frame"), height, width, frames)
    record_files.check_numbers(part)
    said = integer("record/num_frames")
    if not frames or said not in (0, frames):
        told = f"; it says {said}" if said else " in 'image/encoded'"
        raise record_files.damage(f"{part.where} has {frames} frames{told}")
    return name, part
