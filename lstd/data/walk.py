"""One walk of training through a video, from clip to clip: where it begins, what it leaves out.

Which frames make a clip is worked out from the video's length alone, so a video gives the same
clips from records, however they are cut, and from any other medium.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from lstd.data.clip import Clip, clip_of
from lstd.data.footage import Footage, Reel


class Dropping(NamedTuple):
    """Frames left out at random; see `lstd.config.augmentation_config.FrameDropping`."""

    probability: float
    rate: float
    max_consecutive: int


class Walk(NamedTuple):
    """How training walks through a video.

    Attributes:
        unroll_length: frames in a clip, T.
        min_frame_stride: bounds of the stride.
        max_frame_stride: likewise.
        reset_probability: how often a run ends within a video.
        random_start: whether the first pass of a lane begins anywhere in its video.
        independent: every clip is a run of its own.
        overlap: frames that an independent clip shares with the one before it.
        reversal: how often a pass goes from the end to the beginning.
        dropping: None: no frame is left out.
    """

    unroll_length: int
    min_frame_stride: int = 1
    max_frame_stride: int = 1
    reset_probability: float = 0.0
    random_start: bool = True
    independent: bool = False
    overlap: int = 0
    reversal: float = 0.0
    dropping: Dropping | None = None


class _Run(NamedTuple):
    """What is drawn where a run starts; `drops` is how often a gap is widened."""

    seed: np.ndarray
    stride: int
    drops: float


ReadClip: TypeAlias = Callable[[], Clip]
"""Reads a clip's frames. To be called, if at all, before the lane goes on."""


def training_pass(
    video: Footage, *, walk: Walk, rng: np.random.Generator, anywhere: bool
) -> Iterator[ReadClip]:
    """Yields the clips of one walk through a video, at least one unless it has no frames.

    Args:
        video: to walk through.
        walk: how.
        rng: draws the direction, the strides and where the runs end; it is used up as clips are.
        anywhere: begin anywhere in the video, else within the first stride.
    """
    length, frames = walk.unroll_length, video.num_frames
    if not frames:
        return
    backwards = bool(walk.reversal) and rng.random() < walk.reversal
    run = _draw_run(rng, walk, frames)
    starts = max(1, frames - (length - 1) * run.stride)  # where a clip can begin
    first = int(rng.integers(starts if anywhere else min(starts, run.stride)))
    first = first if walk.random_start else 0
    keep = walk.overlap * walk.max_frame_stride * _widest(walk)
    reel = video.open(keep=keep)
    try:
        yield from _clips_of_pass(
            video, reel, walk=walk, rng=rng, run=run, first=first, backwards=backwards
        )
    finally:
        reel.close()


def _clips_of_pass(
    video: Footage,
    reel: Reel,
    *,
    walk: Walk,
    rng: np.random.Generator,
    run: _Run,
    first: int,
    backwards: bool,
) -> Iterator[ReadClip]:
    length, frames = walk.unroll_length, video.num_frames
    position = 0
    for clip_number in itertools.count():
        reset = clip_number > 0 and (walk.independent or rng.random() < walk.reset_probability)
        if reset:
            position, run = 0, _draw_run(rng, walk, frames)
        gaps = _gaps(rng, run, walk)
        if not clip_number and first + sum(gaps[:-1]) >= frames:
            gaps = [run.stride] * length
        numbers = [first, *(first + gap for gap in itertools.accumulate(gaps))]
        following = numbers.pop()
        if clip_number and numbers[-1] >= frames:
            return
        shown = [_shown(number, frames, backwards) for number in numbers]
        if not position:
            opening = _Opening(shown[0])
        yield functools.partial(_read, video, reel, opening, shown, position=position, run=run)
        position += length
        first = numbers[-walk.overlap] if walk.overlap else following


class _Opening:
    """The frame that starts a run, and its boxes once they have been read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.boxes: np.ndarray | None = None


def _read(
    video: Footage, reel: Reel, opening: _Opening, shown: list[int], *, position: int, run: _Run
) -> Clip:
    if position and opening.boxes is None:  # the clip it stands in was left out
        opening.boxes = reel.row(opening.number).boxes
    rows = [reel.row(number) for number in shown]
    if not position:
        opening.boxes = rows[0].boxes
    return clip_of(
        rows,
        video=video,
        frame_index=np.arange(position, position + len(shown), dtype=np.int32),
        start=not position,
        seed=run.seed,
        reference_boxes=opening.boxes,
    )


def _draw_run(rng: np.random.Generator, walk: Walk, frames: int) -> _Run:
    drawn = int(rng.integers(walk.min_frame_stride, walk.max_frame_stride + 1))
    seed = rng.integers(np.iinfo(np.int64).max, size=2, dtype=np.int64)
    drops = 0.0
    if walk.dropping is not None and rng.random() < walk.dropping.probability:
        drops = walk.dropping.rate
    return _Run(seed, min(drawn, max(1, frames // walk.unroll_length)), drops)


def _gaps(rng: np.random.Generator, run: _Run, walk: Walk) -> list[int]:
    """Returns how far it is from each frame of a clip to the next, and to the next clip."""
    gaps = np.full(walk.unroll_length, run.stride)
    if run.drops and walk.dropping is not None:
        dropped = rng.integers(1, walk.dropping.max_consecutive + 1, size=len(gaps))
        gaps = gaps * (1 + dropped * (rng.random(len(gaps)) < run.drops))
    return [int(gap) for gap in gaps]


def _widest(walk: Walk) -> int:
    return 1 + (walk.dropping.max_consecutive if walk.dropping is not None else 0)


def _shown(number: int, frames: int, backwards: bool) -> int:
    """Returns the frame to show; beyond the end the last one."""
    number = min(number, frames - 1)
    return frames - 1 - number if backwards else number
