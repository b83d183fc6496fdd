"""Says where labels give their pictures another height and width than these have.

Of pictures that were scaled after they were labelled, the boxes are right as parts of the size that
is said. Where the labels say at least twice the size of the pictures, and yet all boxes fit these,
the size is wrong and the boxes are pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from lstd.data.readers.labelled_video import LabelledVideo, RawBoxes
from lstd.data.sources import Source

_VIDEOS, _FRAMES, _BOXES = 20, 5, 3


def settled(source: Source) -> Source:
    """Returns the source, with a note and boxes of the right size where no picture has the said.

    Some pictures are looked at, all only if none of these has the size that is said.
    """
    told = ""
    for video, number, raw in _labelled(source, videos=_VIDEOS, frames=_FRAMES):
        shown = video.pictures.size_of(number)
        if raw.size in (shown, shown[::-1]):
            return source
        if all(shown) and not told:
            (height, width), (high, wide) = shown, raw.size
            told = f"{raw.where}: the labels say {wide:g} x {high:g} pixels, the picture has "
            told += f"{width} x {height}; "
    if not told:
        return source
    every = [*_labelled(source)]
    if sum(len(raw.sides) for *_, raw in every) < _BOXES or not all(_fit(*one) for one in every):
        note = f"{told}boxes are taken for parts of the size that is said"
        return source._replace(notes=(*source.notes, note))
    note = f"{told}all boxes fit the pictures and are taken for pixels of these"
    videos = tuple(
        dataclasses.replace(
            video,
            boxes=tuple(_in_pixels(raw, video)._replace(size=(0, 0)) for raw in video.boxes),
            in_pixels=True,
        )
        if isinstance(video, LabelledVideo) and isinstance(video.boxes, tuple)
        else video
        for video in source.videos
    )
    return source._replace(videos=videos, notes=(*source.notes, note))


def _labelled(
    source: Source, *, videos: int = 0, frames: int = 0
) -> Iterator[tuple[LabelledVideo, int, RawBoxes]]:
    """Yields video, number and boxes of the frames, or of about so many, with boxes and a size."""
    for video in source.videos[:: max(1, len(source.videos) // videos if videos else 1)]:
        if isinstance(video, LabelledVideo) and isinstance(video.boxes, tuple):
            step = max(1, len(video.boxes) // frames if frames else 1)
            for number, raw in enumerate(video.boxes):
                if number % step == 0 and all(raw.size) and len(raw.sides):
                    yield video, number, raw


def _fit(video: LabelledVideo, number: int, raw: RawBoxes) -> bool:
    """Whether boxes are within a picture of at most half the said size, or it is not there."""
    shown = np.array(video.pictures.size_of(number))
    fit = np.all(_in_pixels(raw, video).sides[:, 2:] <= shown + 1)
    return bool(not all(shown) or (fit and np.all(np.array(raw.size) >= 2 * shown)))


def _in_pixels(raw: RawBoxes, video: LabelledVideo) -> RawBoxes:
    return raw if video.in_pixels else raw._replace(sides=raw.sides * np.tile(raw.size, 2))
