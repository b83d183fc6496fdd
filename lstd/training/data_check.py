"""Looks the training data over before the first step: what would else be found out after weeks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lstd.data import inspect
from lstd.data.checked_video import CheckedVideo
from lstd.data.problems import ProblemError


class _Boxes(NamedTuple):
    """The true boxes of some frames: how many frames, float32 `[N, 4]`."""

    num_frames: int
    sides: np.ndarray


class AnchorCheck(NamedTuple):
    """What the true boxes must have.

    Attributes:
        anchors: float32 `[A, 4]`.
        threshold: the IoU at which an anchor fits a box.
        min_share: of the boxes that must have an anchor that fits.
    """

    anchors: np.ndarray
    threshold: float
    min_share: float


def check(
    videos: Sequence[CheckedVideo],
    *,
    batch_size: int,
    unroll_length: int,
    num_frames: int,
    anchors: AnchorCheck,
    say: Callable[[str], None],
) -> None:
    """Raises where training on these videos could not go well; says how well the anchors fit.

    Args:
        videos: of `data.train`.
        batch_size: clips in a batch.
        unroll_length: frames in a clip.
        num_frames: how many are looked at, evenly spread over the videos; 0: none.
        anchors: what their boxes must have.
        say: is told what was found.

    Raises:
        ValueError: there are fewer clips than a batch has; a class that the config does not have,
            or another problem of the boxes whose answer is error; too few boxes have an anchor.
    """
    _refuse_small_data(videos, batch_size=batch_size, unroll_length=unroll_length)
    if not num_frames:
        return
    try:
        found = _sample(videos, num_frames)
    except ProblemError as error:
        if error.kind != "unknown_class":
            raise
        raise ValueError(
            f"{error}; do model.num_classes and model.labels fit the training data?"
        ) from None
    if len(found.sides):
        _refuse_bad_anchors(found, anchors, say=say)
    else:
        say(f"training data: no boxes at all in the {found.num_frames} frames looked at")


def _refuse_small_data(
    videos: Sequence[CheckedVideo], *, batch_size: int, unroll_length: int
) -> None:
    clips = frames = 0
    for video in videos:
        frames += video.num_frames
        clips += -(-video.num_frames // unroll_length)
        if clips >= batch_size:  # looked at no longer than needed: a length may have to be read
            return
    raise ValueError(
        f"data.train: a batch has {batch_size} clips of {unroll_length} frames, but all the data, "
        f"{frames} frames of {len(videos)} video(s), makes no more than {clips}; lower "
        "data.train.batch_size or unroll_length, or give more data"
    )


def _sample(videos: Sequence[CheckedVideo], count: int) -> _Boxes:
    """Returns the boxes of about `count` frames: the same number from videos evenly spread."""
    chosen = np.unique(np.linspace(0, len(videos) - 1, min(count, len(videos))).astype(int))
    each = max(1, count // len(chosen))
    boxes, frames = [np.zeros([0, 4], np.float32)], 0
    for video in (videos[place] for place in chosen):
        length = video.num_frames
        if not length:
            continue
        reel = video.open()
        for number in np.unique(np.linspace(0, length - 1, min(each, length)).astype(int)):
            boxes.append(reel.frame(int(number)).truth.boxes)
            frames += 1
        reel.close()
    return _Boxes(frames, np.concatenate(boxes))


def _refuse_bad_anchors(found: _Boxes, check: AnchorCheck, *, say: Callable[[str], None]) -> None:
    overlaps = inspect.best_overlaps(found.sides, check.anchors)
    share = float((overlaps >= check.threshold).mean())
    text = (
        f"{share:.0%} of the {len(overlaps)} boxes in {found.num_frames} frames looked at have an "
        f"anchor of IoU {check.threshold:g} or more"
    )
    if share < check.min_share:
        raise ValueError(
            f"training data: only {text}, train.min_anchor_share is {check.min_share:g}; set "
            "model.anchors.min_scale, max_scale and lowest_scale near the sides of your boxes, "
            "divided by the side of the frame (lstd-data inspect shows them), or --set "
            "train.min_anchor_share=0"
        )
    say(f"training data: {text}")
