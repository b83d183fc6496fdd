"""The frames of SequenceExamples, raw, and where in its video each record stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base import limits
from lstd.base.types import GroundTruth
from lstd.data import record_files, sequence_example
from lstd.data.problems import ProblemError
from lstd.data.record_files import Part
from lstd.data.sources import UNKNOWN_CLASS, SourceFrame

_MOST = np.iinfo(np.int32).max


class Span(NamedTuple):
    """Frames of a video that one record holds, or that none does.

    Attributes:
        part: the record; None: the frames are missing.
        start: number of the first frame.
        stop: of the frame after the last one.
        where: names file and record, for messages.
    """

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
    damaged record in between was left out: there, what follows moves up. Records that do not tell
    their length are read.

    Raises:
        ProblemError: such a record is damaged.
        ValueError: a frame is there twice.
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
        length = part.num_frames or len(frames_of(part))
        result.append(Span(part, end, end + length, where))
        end, expected = end + length, part.first_frame + length
    return result


def sound(parts: Sequence[Part], on_damage: Callable[[ProblemError], None]) -> list[Part]:
    """Returns the records that can be used; all are read; `on_damage` is told of the others."""
    result: list[Part] = []
    damaged = False
    for part in parts:
        try:
            frames_of(part)
        except ProblemError as error:
            on_damage(error)
            damaged = True
            continue
        result.append(part._replace(after_damage=damaged or part.after_damage))
        damaged = False
    return result


def frames_of(part: Part) -> list[SourceFrame]:
    """Returns the frames of a record, raw.

    Raises:
        ProblemError: the record is damaged, has no frames, others than it says, lists that differ
            in length, or a track id that no int32 holds; the message names file and record.
    """
    where = record_files.name_of(part)
    try:
        record = sequence_example.parse(record_files.read(part))
    except tf.errors.InvalidArgumentError as error:
        raise record_files.damage(
            f"{where}: not a usable SequenceExample: {error.message}"
        ) from None
    columns = [
        column.numpy()
        for column in (record.boxes, record.classes, record.track_ids, record.is_crowd)
    ]
    present, with_tracks = record.present.numpy(), bool(record.has_tracks)
    frames = []
    for number, encoded in enumerate(record.encoded.numpy()):
        rows = present[number]
        boxes, stored, tracks, crowd = (column[number][rows] for column in columns)
        if with_tracks and tracks.max(initial=-1) > _MOST:
            raise record_files.damage(
                f"{where}, frame {number}: a track id is {tracks.max()}, expected a whole number "
                f"of at most {_MOST}"
            )
        truth = GroundTruth(
            boxes=boxes,
            classes=np.where((stored >= 1) & (stored <= _MOST), stored - 1, UNKNOWN_CLASS).astype(
                np.int32
            ),
            track_ids=np.maximum(tracks, -1).astype(np.int32) if with_tracks else None,
            is_crowd=crowd.astype(np.bool_),
        )
        texts = tuple(f"{value}" if value > 0 else f"{value} (1 is the first)" for value in stored)
        frames.append(SourceFrame(encoded, truth, f"{where}, frame {number}", class_texts=texts))
    if part.num_frames not in (0, len(frames)):
        raise record_files.damage(f"{where}: {len(frames)} frames, but it says {part.num_frames}")
    return frames
