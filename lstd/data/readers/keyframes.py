"""Tracks that are given only at keyframes, and the frames between them."""

import bisect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lstd.data.readers.labelled_video import Box

Pose = tuple[float, ...]
"""Where an object is: four numbers as the tool defines them, and the rotation in degrees."""


class Key(NamedTuple):
    """A keyframe of a track; frames count from 0.

    `seen`: in this frame; `stays`: from here up to the next key, or the end.
    """

    frame: int
    pose: Pose
    seen: bool = True
    stays: bool = True


Sides = tuple[float, float, float, float]


class Track(NamedTuple):
    """An object: class, keyframes, where it stands in its file, and the sides of a pose."""

    label: str
    keys: Sequence[Key]
    row_name: str
    sides: Callable[[Pose], Sides]


def boxes(tracks: Iterable[Track], frames: range) -> Iterator[tuple[int, Box]]:
    """Yields frame and box wherever an object is seen; tracks are numbered from 0.

    >>> keys = [Key(0, (9, 9, 2, 1, 0)), Key(2, (5, 9, 2, 1, 0), seen=False, stays=False)]
    >>> track = Track("ant", keys, "track 7", enclosing)
    >>> [(frame, box.sides) for frame, box in boxes([track], range(5))]
    [(0, (8.0, 7.0, 10.0, 11.0)), (1, (8.0, 5.0, 10.0, 9.0))]
    """
    for number, track in enumerate(tracks):
        for frame, pose in _poses(sorted(track.keys, key=lambda key: key.frame), frames):
            box = Box(track.sides(pose), track.label, track=number, row_name=track.row_name)
            yield frame, box


def _poses(keys: Sequence[Key], frames: range) -> Iterator[tuple[int, Pose]]:
    """Yields the frames that show the object, and its pose, interpolated linearly."""
    if not keys:
        return
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
            both = zip(key.pose, after.pose, strict=True)
            yield frame, tuple(a + (b - a) * share for a, b in both)


def enclosing(pose: Pose, *, ellipse: bool = False) -> Sides:
    """Returns ymin, xmin, ymax, xmax of a turned rectangle or ellipse.

    Its pose is x and y of the centre, half the width, half the height, and degrees.
    """
    x, y, across, along, turned = pose
    angle = math.radians(turned % 360)  # NaN of what is infinite
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    wide, high = across * cos + along * sin, across * sin + along * cos
    if ellipse:
        wide, high = math.hypot(across * cos, along * sin), math.hypot(across * sin, along * cos)
    return y - high, x - wide, y + high, x + wide
