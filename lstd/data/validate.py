"""Finds every problem of a data set, without stopping at the first."""

from __future__ import annotations

from collections.abc import Callable

from lstd.data import problems
from lstd.data.clean_boxes import clean
from lstd.data.problems import KINDS, Policy, ProblemError, Report
from lstd.data.source_checks import FrameOpener
from lstd.data.sources import Source, SourceFrame, SourceVideo


def validate(
    source: Source,
    *,
    policy: Policy | None = None,
    images: bool = True,
    max_boxes: int = 0,
    examples: int | None = 20,
    on_frames: Callable[[int], None] = lambda count: None,
) -> Report:
    """Returns all problems, each counted under its answer; none of them is raised.

    Args:
        source: the data set; damaged records that it left out are counted, too.
        policy: the answers; None: each its own.
        images: whether every image is decoded, too; without, missing and damaged ones stay unseen.
        max_boxes: boxes that a frame may have; 0: any number.
        examples: places that are kept for each kind; None: all.
        on_frames: gets how many more frames were looked at.
    """
    policy = problems.policy() if policy is None else policy
    # Where the answer is error, a conversion would stop; here all else is to be found, too.
    going_on: Policy = {
        kind: answer if answer != "error" else KINDS[kind].answers[-1]  # type: ignore[misc]
        for kind, answer in policy.items()
    }
    found = Report(examples=examples)
    for message in source.damaged:
        found.add("damaged_record", "skip", message)

    def is_shown(frame: SourceFrame, opener: FrameOpener) -> bool:
        """Returns whether a frame has an image, after counting what is wrong with it."""
        _, kind, message = opener.look(frame) if images else (None, "", "")
        if kind:
            found.add(kind, "skip", message)
        shown = not kind or (kind == "frame_size" and policy[kind] != "skip")
        if shown or policy[kind] == "error":
            labels = source.labels or None
            clean(frame, labels=labels, policy=going_on, report=found, max_boxes=max_boxes)
        return shown

    def check(video: SourceVideo) -> None:
        opener = FrameOpener(video, policy=going_on, report=found)
        told, number, shown = "", 0, 0
        while number < video.num_frames:
            try:
                for frame in video.read(number, images=images):
                    shown += is_shown(frame, opener)
                    number += 1
                    on_frames(1)
                break
            except (ValueError, OSError) as error:
                # The frame cannot be read; those behind it perhaps can. A file is told of once.
                if str(error) != told:
                    told = str(error)
                    unreadable(error)
                number, shown = number + 1, shown + 1
                on_frames(1)
        if not shown:
            message = f"{video.where}: video {video.name!r} has no frames"
            message += " that can be shown" if number else ""
            found.add("empty_video", "skip", message)

    def unreadable(error: Exception) -> None:
        kind, message = ("unreadable", str(error))
        if isinstance(error, ProblemError):
            kind, message = error.kind, error.message
        found.add(kind, "error", message)

    names: set[str] = set()
    for video in source.videos:
        if video.name in names:
            message = f"{video.where}: another video has the name {video.name!r}, too"
            found.add("doubled_video", "skip", message)
            if policy["doubled_video"] == "skip":
                continue
        names.add(video.name)
        try:
            check(video)
        except (ValueError, OSError) as error:  # not even its length
            unreadable(error)
    counts = found.counts.copy()
    found.counts.clear()
    for (kind, _), count in counts.items():
        found.counts[kind, policy[kind]] += count
    return found
