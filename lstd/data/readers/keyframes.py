"""Tracks that are given only at keyframes, and the frames between them."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Pose = tuple[float, float, float, float, float]
"""Where an object is: four numbers as the tool defines them, and the rotation in degrees."""


class Key(NamedTuple):
    """A keyframe of a track; frames count from 0.

    `seen`: in this frame; `stays`: from here up to the next key, or the end.
    """

    frame: int
    pose: Pose
    seen: bool = True
    stays: bool = True


def poses(keys: Sequence[Key], frames: range) -> Iterator[tuple[int, Pose]]:
    """Yields the frames that show the object, and its pose, interpolated linearly.

    >>> first, last = Key(0, (0, 0, 4, 4, 0)), Key(2, (6, 2, 4, 4, 0), seen=False, stays=False)
    >>> [*poses([first, last], range(5))]
    [(0, (0, 0, 4, 4, 0)), (1, (3.0, 1.0, 4.0, 4.0, 0.0))]
    """
    if not keys:
        return
    keys = sorted(keys, key=lambda key: key.frame)
    places = [key.frame for key in keys]
    end = len(frames) if keys[-1].stays else bisect.bisect_right(frames, places[-1])
    for frame in frames[bisect.bisect_left(frames, places[0]) : end]:
        at = bisect.bisect_right(places, frame) - 1
        key, after = keys[at], keys[min(at + 1, len(keys) - 1)]
        if frame == key.frame or after is key:
            if key.seen if frame == key.frame else key.stays:
                yield frame, key.pose
        elif key.stays:
            share = (frame - key.frame) / (after.frame - key.frame)
            mixed = (a + (b - a) * share for a, b in zip(key.pose, after.pose, strict=True))
            yield frame, tuple(mixed)  # type: ignore[misc]


def enclosing(pose: Pose, *, ellipse: bool = False) -> tuple[float, float, float, float]:
    """Returns ymin, xmin, ymax, xmax of a turned rectangle or ellipse.

    Its pose is x and y of the centre, half the width, half the height, and degrees.

    >>> enclosing((10.0, 20.0, 4.0, 2.0, 0.0))
    (18.0, 6.0, 22.0, 14.0)
    """
    x, y, across, along, turned = pose
    degrees = turned % 360  # NaN of what is infinite
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    wide, high = across * cos + along * sin, across * sin + along * cos
    if ellipse:
        wide, high = math.hypot(across * cos, along * sin), math.hypot(across * sin, along * cos)
    return y - high, x - wide, y + high, x + wide
