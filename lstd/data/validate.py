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
    on_frames: Callable[[int], None] | None = None,
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
    found = Report(examples=examples)
    for message in source.damaged:
        found.add("damaged_record", "skip", message)
    checker = _Checker(source.labels, policy, found, images=images, max_boxes=max_boxes)
    names: set[str] = set()
    for video in source.videos:
        if video.name in names:
            message = f"{video.where}: another video has the name {video.name!r}, too"
            found.add("doubled_video", "skip", message)
            if policy["doubled_video"] == "skip":
                continue
        names.add(video.name)
        checker.check(video, on_frames)
    return _answered(found, policy)


class _Checker:
    """Looks at the frames of videos; what is found is counted, and nothing raised."""

    def __init__(
        self,
        labels: tuple[str, ...],
        policy: Policy,
        report: Report,
        *,
        images: bool,
        max_boxes: int,
    ) -> None:
        self._labels: tuple[str, ...] | None = labels or None
        self._policy, self._report = policy, report
        self._images, self._max_boxes = images, max_boxes
        # Where the answer is error, a conversion would stop; here all else is to be found, too.
        self._going_on: Policy = {
            kind: answer if answer != "error" else KINDS[kind].answers[-1]  # type: ignore[misc]
            for kind, answer in policy.items()
        }

    def check(self, video: SourceVideo, on_frames: Callable[[int], None] | None) -> None:
        """Counts the problems of a video."""
        try:
            frames = video.num_frames
        except (ValueError, OSError) as error:
            self._unreadable(error)
            return
        opener = FrameOpener(video, policy=self._going_on, report=self._report)
        told, number, shown = "", 0, 0
        while number < frames:
            try:
                for frame in video.read(number, images=self._images):
                    shown += self._is_shown(frame, opener)
                    number += 1
                    if on_frames is not None:
                        on_frames(1)
                break
            except (ValueError, OSError) as error:
                # The frame cannot be read; those behind it perhaps can. A file is told of once.
                if str(error) != told:
                    told = str(error)
                    self._unreadable(error)
                number, shown = number + 1, shown + 1
                if on_frames is not None:
                    on_frames(1)
        if not shown:
            message = f"{video.where}: video {video.name!r} has no frames"
            message += " that can be shown" if frames else ""
            self._report.add("empty_video", "skip", message)

    def _is_shown(self, frame: SourceFrame, opener: FrameOpener) -> bool:
        """Returns whether a frame has an image, after counting what is wrong with it."""
        _, kind, message = opener.look(frame) if self._images else (None, "", "")
        if kind:
            self._report.add(kind, "skip", message)
        shown = not kind or (kind == "frame_size" and self._policy[kind] != "skip")
        if shown or self._policy[kind] == "error":
            clean(
                frame,
                labels=self._labels,
                policy=self._going_on,
                report=self._report,
                max_boxes=self._max_boxes,
            )
        return shown

    def _unreadable(self, error: Exception) -> None:
        if isinstance(error, ProblemError):
            self._report.add(error.kind, "error", error.message)
        else:
            self._report.add("unreadable", "error", str(error))


def _answered(found: Report, policy: Policy) -> Report:
    """Returns the report with each problem under the answer that the policy gives it."""
    result = Report(examples=None)
    for (kind, _), count in found.counts.items():
        result.counts[kind, policy[kind]] += count
    result.examples = found.examples
    return result
