"""What a bootstrap draws: whole videos, or blocks of them where there are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from lstd.evaluation.frames import FrameId

MIN_UNITS = 10
"""Below this a percentile interval is hardly more than the range of the units."""
BLOCK_SECONDS = 5.0


class Units(NamedTuple):
    """What is drawn: frames that belong together.

    Attributes:
        unit_of: the number of each frame's unit.
        num_units: how many there are.
        text: what they are, for a reader.
        missing: what an interval still needs, for a reader; "" where there is enough.
    """

    unit_of: dict[FrameId, int]
    num_units: int
    text: str
    missing: str = ""


def units_of(frames: Sequence[FrameId], *, fps: float | None) -> Units:
    """Returns videos where there are ten or more, else blocks of at least five seconds.

    Each video is cut into equal blocks, as many as it has whole five seconds; shorter videos share
    a block with the next.

    Args:
        frames: all that are scored.
        fps: frames a second; needed for blocks.

    Raises:
        ValueError: fewer than ten videos and no fps.
    """
    videos = sorted({video for video, _ in frames})
    if len(videos) >= MIN_UNITS:
        number_of = {video: number for number, video in enumerate(videos)}
        return Units(
            {frame: number_of[frame[0]] for frame in frames}, len(videos), f"{len(videos)} videos"
        )
    if fps is None or not fps > 0:
        raise ValueError(
            f"intervals over {len(videos)} videos are drawn from blocks of at least "
            f"{BLOCK_SECONDS:g} seconds, which needs fps (frames a second) above 0"
        )
    unit_of = _blocks(sorted(frames), least=math.ceil(BLOCK_SECONDS * fps - 1e-9))
    count = max(unit_of.values()) + 1
    text = (
        f"{count} block{'s' * (count > 1)} of at least {BLOCK_SECONDS:g} s "
        f"from {len(videos)} video{'s' * (len(videos) > 1)} (fewer than ten videos)"
    )
    lacking = MIN_UNITS - count
    missing = (
        f"an interval needs {MIN_UNITS} of them; score {lacking * BLOCK_SECONDS:g} s more video, "
        f"or {MIN_UNITS} videos"
    )
    return Units(unit_of, count, text, missing if lacking > 0 else "")


def _blocks(frames: Sequence[FrameId], *, least: int) -> dict[FrameId, int]:
    """Returns the block of each frame; none is shorter than `least` frames if all are not."""
    pieces: list[tuple[list[FrameId], int]] = []  # frames, and how long they last
    for _, group in groupby(frames, key=lambda frame: frame[0]):
        mine = list(group)
        first, length = mine[0][1], mine[-1][1] - mine[0][1] + 1
        blocks = max(1, length // least)
        for number, part in groupby(mine, key=lambda frame: (frame[1] - first) * blocks // length):
            begin, end = -(-number * length // blocks), -(-(number + 1) * length // blocks)
            pieces.append((list(part), end - begin))
    unit_of: dict[FrameId, int] = {}
    unit, lasted = 0, 0
    for number, (mine, length) in enumerate(pieces):  # short videos share a block
        unit_of.update(dict.fromkeys(mine, unit))
        lasted += length
        rest = sum(length for _, length in pieces[number + 1 :])
        if lasted >= least and rest >= least:
            unit, lasted = unit + 1, 0
    return unit_of
