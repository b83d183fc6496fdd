"""Finds every problem of a data set, without stopping at the first."""

from __future__ import annotations

from collections.abc import Callable

from lstd.data.clean_boxes import clean
from lstd.data.problems import KINDS, Policy, Report
from lstd.data.source_checks import FrameOpener
from lstd.data.sources import Source, SourceVideo

_NOTE_ALL: Policy = {kind: "skip" if "skip" in KINDS[kind].answers else "repair" for kind in KINDS}


def validate(
    source: Source,
    *,
    images: bool = True,
    max_boxes: int = 0,
    examples: int | None = 20,
    on_frames: Callable[[int], None] | None = None,
) -> Report:
    """Returns all problems, each counted as "skip"; a report without any is a sound data set.

    Args:
        source: the data set.
        images: whether every image is decoded, too; without, missing and damaged ones stay unseen.
        max_boxes: boxes that a frame may have; 0: any number.
        examples: places that are kept for each kind; None: all.
        on_frames: gets how many more frames were looked at.
    """
    report = Report(examples=examples)
    names: set[str] = set()
    for video in source.videos:
        frames = _number_of_frames(video, report)
        if frames == 0:
            report.add("empty_video", "skip", f"{video.where}: video {video.name!r} has no frames")
        if video.name in names:
            message = f"{video.where}: another video has the name {video.name!r}, too"
            report.add("doubled_video", "skip", message)
        names.add(video.name)
        _check_frames(
            video, frames, source.labels, report, images=images, max_boxes=max_boxes, tell=on_frames
        )
    return report


def _number_of_frames(video: SourceVideo, report: Report) -> int:
    try:
        return video.num_frames
    except (ValueError, OSError) as error:
        report.add("unreadable", "error", str(error))
        return -1


def _check_frames(
    video: SourceVideo,
    frames: int,
    labels: tuple[str, ...],
    report: Report,
    *,
    images: bool,
    max_boxes: int,
    tell: Callable[[int], None] | None,
) -> None:
    opener = FrameOpener(video, policy=_NOTE_ALL, report=report)
    told, number = "", 0
    while number < frames:
        try:
            for frame in video.read(number, images=images):
                clean(frame, labels=labels or None, policy=_NOTE_ALL, report=report)
                boxes = len(frame.truth.classes)
                if max_boxes and boxes > max_boxes:
                    message = f"{frame.where}: {boxes} boxes, more than {max_boxes}"
                    report.add("too_many_boxes", "skip", message)
                _, kind, message = opener.look(frame) if images else (None, "", "")
                if kind:
                    report.add(kind, "skip", message)
                number += 1
                if tell is not None:
                    tell(1)
            return
        except (ValueError, OSError) as error:
            # The frame cannot be read; those behind it perhaps can. A record is told of once.
            if str(error) != told:
                told = str(error)
                report.add("unreadable", "error", told)
            number += 1
            if tell is not None:
                tell(1)


def answered(report: Report, policy: Policy) -> Report:
    """Returns the report with each problem under the answer that a policy gives it."""
    result = Report(examples=None)
    for (kind, _), count in report.counts.items():
        result.counts[kind, policy[kind]] += count
    result.examples = report.examples
    return result
