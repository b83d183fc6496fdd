"""Looks the training data over before the first step: what would else be found out after weeks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lstd.config.config import Config
from lstd.data.checked_video import CheckedVideo
from lstd.data.problems import ProblemError
from lstd.ops import anchors as anchor_ops
from lstd.ops import boxes as box_ops

_ROWS = 4096  # of the table of overlaps that is made at once


def check(videos: Sequence[CheckedVideo], config: Config, *, say: Callable[[str], None]) -> None:
    """Raises where training on these videos could not go well; says how well the anchors fit.

    Looks at `train.check_frames` frames, evenly spread over the videos.

    Raises:
        ValueError: there are fewer clips than a batch has; a class that the config does not have,
            or another problem of the boxes whose answer is error; too few boxes have an anchor.
    """
    _refuse_small_data(videos, config)
    if not config.train.check_frames:
        return
    try:
        frames = _boxes_of(videos, config.train.check_frames)
    except ProblemError as error:
        if error.kind != "unknown_class":
            raise
        raise ValueError(
            f"{error}; do model.num_classes and model.labels fit the training data?"
        ) from None
    boxes = np.concatenate([np.zeros([0, 4], np.float32), *frames])
    if not len(boxes):
        say(f"training data: no boxes at all in the {len(frames)} frames looked at")
        return
    anchors = anchor_ops.from_config(config.model)
    threshold = config.model.matching.matched_threshold
    parts = [box_ops.iou(boxes[i : i + _ROWS], anchors) for i in range(0, len(boxes), _ROWS)]
    share = np.concatenate([np.max(part, axis=1) >= threshold for part in parts]).mean()
    text = (
        f"{share:.0%} of the {len(boxes)} boxes in {len(frames)} frames looked at have an anchor "
        f"of IoU {threshold:g} or more"
    )
    if share < config.train.min_anchor_share:
        raise ValueError(
            f"training data: only {text}, train.min_anchor_share is "
            f"{config.train.min_anchor_share:g}; set model.anchors.min_scale, max_scale and "
            "lowest_scale near the sides of your boxes, divided by the side of the frame "
            "(lstd-data inspect shows them), or --set train.min_anchor_share=0"
        )
    say(f"training data: {text}")


def _refuse_small_data(videos: Sequence[CheckedVideo], config: Config) -> None:
    batch_size, unroll_length = config.data.train.batch_size, config.data.train.unroll_length
    clips = 0
    for video in videos:
        clips += -(-video.num_frames // unroll_length)
        if clips >= batch_size:  # looked at no longer than needed: a length may have to be read
            return
    raise ValueError(
        f"data.train: a batch has {batch_size} clips of {unroll_length} frames, but all the data, "
        f"{sum(video.num_frames for video in videos)} frames of {len(videos)} video(s), makes no "
        f"more than {clips}; lower data.train.batch_size or unroll_length, or give more data"
    )


def _boxes_of(videos: Sequence[CheckedVideo], count: int) -> list[np.ndarray]:
    """Returns the boxes of each of `count` frames: the same number from videos evenly spread."""
    chosen = _spread(len(videos), count)
    each = max(1, count // len(chosen))
    frames = []
    for video in (videos[place] for place in chosen):
        if video.num_frames:
            reel = video.open()
            frames += [reel.frame(n).truth.boxes for n in _spread(video.num_frames, each)]
            reel.close()
    return frames


def _spread(length: int, count: int) -> list[int]:
    """Returns so many places of a row, from its beginning to its end; all if there are fewer."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int)).tolist()
