"""The frames of a video, not decoded yet, each with its ground truth cleaned and counted from 0."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lstd.data import clean_boxes, problems, record_files, sequence_example
from lstd.data.problems import Policy, Report
from lstd.data.record_files import Part
from lstd.data.sources import UNKNOWN_CLASS, Image, SourceFrame
from lstd.types import GroundTruth

_LOG = logging.getLogger(__name__)

DEFAULT_ANSWERS: dict[str, str] = {
    # As the original, which said nothing.
    "box_not_a_number": "skip",
    "too_many_boxes": "skip",
    "doubled_video": "repair",
}
"""Answers to problems that the pipeline chooses where the config does not."""


class Row(NamedTuple):
    """One frame; N boxes, all real.

    Attributes:
        image: see `lstd.data.sources.Image`.
        boxes: float32 `[N, 4]`, ymin, xmin, ymax, xmax in [0, 1].
        classes: int32 `[N]`, 0-based.
        track_ids: int32 `[N]`, -1 unknown.
        is_crowd: bool `[N]`.
        where: names file and frame, for messages.
    """

    image: Image
    boxes: np.ndarray
    classes: np.ndarray
    track_ids: np.ndarray
    is_crowd: np.ndarray
    where: str


class Cleaner:
    """Makes rows of raw frames: every problem of a box meets its answer, and is counted once.

    Args:
        max_boxes: boxes kept in a frame, the first ones; 0: all.
        labels: class names, or how many classes there are; None: any number of classes.
        answers: see `problems.policy`.
        report: counts what is repaired or skipped.
    """

    def __init__(
        self,
        *,
        max_boxes: int = 0,
        labels: tuple[str, ...] | int | None = None,
        answers: Policy | None = None,
        report: Report | None = None,
    ) -> None:
        """Starts without having counted anything."""
        self.policy = problems.policy(DEFAULT_ANSWERS) if answers is None else answers
        self.report = Report() if report is None else report
        self.labels = labels
        self._max_boxes = max_boxes
        self._counted: set[tuple[str, int]] = set()

    def rows(
        self,
        frames: Iterable[SourceFrame],
        *,
        place: tuple[str, int],
        labels: tuple[str, ...] | int | None = None,
    ) -> Iterator[Row]:
        """Yields the rows of consecutive frames.

        Args:
            frames: raw.
            place: what they are a part of, and which frame of it is the first; problems of a frame
                are counted once, however often it is read.
            labels: what the classes are called here; None: as everywhere.

        Raises:
            ProblemError: a problem whose answer is error.
        """
        name, first = place
        labels = self.labels if labels is None else labels
        for number, frame in enumerate(frames, first):
            report = Report()
            truth = self._limited(
                frame,
                clean_boxes.clean(frame, labels=labels, policy=self.policy, report=report),
                report,
            )
            self._count(report, (name, number))
            count = len(truth.classes)
            yield Row(
                frame.image,
                truth.boxes,
                truth.classes,
                np.full(count, -1, np.int32) if truth.track_ids is None else truth.track_ids,
                np.zeros(count, np.bool_) if truth.is_crowd is None else truth.is_crowd,
                frame.where,
            )

    def _limited(self, frame: SourceFrame, truth: GroundTruth, report: Report) -> GroundTruth:
        beyond = len(truth.classes) - self._max_boxes if self._max_boxes else 0
        if beyond <= 0:
            return truth
        problems.meet(
            "too_many_boxes",
            f"{frame.where}: {len(truth.classes)} boxes, max_boxes is {self._max_boxes}",
            policy=self.policy,
            report=report,
            count=beyond,
        )
        kept = [None if column is None else column[: self._max_boxes] for column in truth]
        return GroundTruth(*kept)

    def _count(self, report: Report, place: tuple[str, int]) -> None:
        if not report or place in self._counted:
            return
        self._counted.add(place)
        known = set(self.report.counts)
        self.report.merge(report)
        for kind, answer in set(report.counts) - known:
            _LOG.warning(
                "%s: %s; answer: %s. More of this kind are counted without a word.",
                kind,
                report.examples[kind][0],
                answer,
            )


class RowReader:
    """Reads the frames of records.

    Args:
        cleaner: None: one that accepts all classes and any number of boxes.
    """

    def __init__(self, cleaner: Cleaner | None = None) -> None:
        self.cleaner = Cleaner() if cleaner is None else cleaner

    def __call__(self, part: Part) -> list[Row]:
        """Returns the frames of a record.

        Raises:
            ProblemError: the record is damaged, has no frames, lists that differ in length, or a
                problem of a box whose answer is error; the message names file and record.
        """
        count = self.cleaner.labels
        labels = tuple(str(n + 1) for n in range(count)) if isinstance(count, int) else count
        place = (f"{part.path}#{part.number}", 0)
        return list(self.cleaner.rows(frames_of(part), place=place, labels=labels))


def frames_of(part: Part) -> list[SourceFrame]:
    """Returns the frames of a record, raw.

    Raises:
        ProblemError: the record is damaged, has no frames, or lists that differ in length.
    """
    where = f"{part.path}: record {part.number} (from 0)"
    serialized = record_files.read(part)
    try:
        record = sequence_example.parse(serialized)
    except tf.errors.InvalidArgumentError as error:
        raise problems.ProblemError(
            "damaged_record", f"{where}: not a usable SequenceExample: {error.message}"
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
        truth = GroundTruth(
            boxes=boxes,
            classes=np.where(stored >= 1, stored - 1, UNKNOWN_CLASS).astype(np.int32),
            track_ids=tracks.astype(np.int32) if with_tracks else None,
            is_crowd=crowd.astype(np.bool_),
        )
        texts = tuple(f"{value}" if value > 0 else f"{value} (1 is the first)" for value in stored)
        frames.append(SourceFrame(encoded, truth, f"{where}, frame {number}", class_texts=texts))
    return frames
