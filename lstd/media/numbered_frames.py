"""Frames of a video file by their number, from any place on, without decoding all before it."""

import bisect
import functools
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lstd.media import optional, video


class FrameIndex(NamedTuple):
    """What the first frame and the packets of a video say.

    Attributes:
        times: time stamps of the frames in the order of showing, in the stream's clock; empty where
            a packet has none, two have the same, or they are those of decoding (B-frames in AVI):
            then frames are counted from the start.
        keys: by their rising time stamps, the bytes of the key frames, which tell them apart.
        num_frames: how many frames there are.
        size: width and height as coded.
        turns: by 90 degrees, counterclockwise, that frames take to be shown.
    """

    times: tuple[int, ...]
    keys: dict[int, int]
    num_frames: int
    size: tuple[int, int]
    turns: int


def index(path: str) -> FrameIndex:
    """Returns the index of a video file, remembered until the file changes.

    Errors are those of `video.probe`.
    """
    try:
        stamp = os.stat(path).st_mtime_ns
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such video") from None
    return _index(path, stamp)


def count(path: str) -> int:
    """Returns how many frames a video file has; raises as `index` does."""
    return index(path).num_frames


def quarter_turns(path: str) -> int:
    """Returns how often frames are turned by 90 degrees, counterclockwise, to be shown."""
    return index(path).turns


def read(path: str, start: int, stop: int) -> Iterator[np.ndarray | None]:
    """Yields frames `start` up to `stop`, uint8 RGB `[H, W, 3]`, None for one that cannot be had.

    They are the frames that `lstd.media.video.read_frames` gives, turned upright and of one size.

    Raises: see `index`.
    """
    known = index(path)
    expected = start
    for number, image in _decoded(path, start, known):
        if number < expected:
            continue
        yield from [None] * (min(number, stop) - expected)
        if number >= stop:
            return
        yield image()
        expected = number + 1
        if expected == stop:
            return
    yield from [None] * (stop - expected)


def _decoded(path: str, start: int, known: FrameIndex) -> Iterator[tuple[int, Any]]:
    """Yields number and picture (made on demand) of the frames from a key frame before start on."""
    av = optional.load("av")
    wanted = known.times[min(start, len(known.times) - 1)] if known.times and start else None
    for place in _places(known, wanted):
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            packets = container.demux(stream)
            if place is not None:
                container.seek(place, stream=stream)
                first = next((packet for packet in packets if packet.is_keyframe), None)
                # Program streams may give a packet the time of another.
                if first is None or known.keys.get(first.pts) != first.size or first.pts > wanted:
                    continue
                packets = itertools.chain([first], packets)
            for counted, frame in enumerate(video.sound_frames(packets)):
                times = known.times
                number = bisect.bisect_left(times, frame.pts) if times else counted
                yield (
                    number,
                    functools.partial(video.upright, frame, size=known.size, turns=known.turns),
                )
            return


def _places(known: FrameIndex, wanted: int | None) -> Iterator[int | None]:
    """Yields time stamps to begin at for that of a frame, the best first; None: the file's start.

    MPEG streams are searched by the time of decoding. With B-frames that is before the time of
    showing, so that the search for a key frame ends behind it; then the one before will do.
    """
    if wanted is not None:
        times = list(known.keys)
        last = bisect.bisect_right(times, wanted)
        # Without the first of all: reading starts there anyway.
        yield from reversed(times[max(last - 3, 1) : last])
    yield None


@functools.lru_cache(maxsize=256)
def _index(path: str, stamp: int) -> FrameIndex:
    av = optional.load("av")
    with video.VideoReader(path, skip_damaged=True) as reader:
        size, turns = reader.coded_size, reader.turns
    times: list[int] = []
    num_frames = 0
    keys: dict[int, int] = {}
    with av.open(path) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            num_frames += 1
            if packet.pts is not None:
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys[packet.pts] = packet.size
        coded = container.format.name == "avi" and stream.codec_context.has_b_frames
    if coded or len(set(times)) < num_frames:
        times, keys = [], {}
    shown = tuple(sorted(times))
    return FrameIndex(shown, dict(sorted(keys.items())), num_frames, size, turns)
