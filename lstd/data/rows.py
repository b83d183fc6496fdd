"""The frames of a video, not decoded yet, each with its ground truth cleaned and counted from 0."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lstd.data import clean_boxes, problems
from lstd.data.problems import Policy, Report
from lstd.data.sources import Image, SourceFrame

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
            truth = clean_boxes.clean(
                frame,
                labels=labels,
                policy=self.policy,
                report=report,
                max_boxes=self._max_boxes,
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
