"""Streams of clips: each place of a batch, a lane, walks through a video of its own, clip by clip.

The clip that a lane shows in one batch is continued by the clip it shows in the next, until the
video ends and the lane gets another one. Every batch takes one clip from every lane, in order, so
that an LSTM state per lane can be carried along, however long the videos are. Which frames make a
clip is worked out from the video's length alone: a video gives the same clips from any medium.
"""

import collections
import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lstd.base.types import GroundTruth
from lstd.config.augmentation_config import FrameDropping, TimeReversal
from lstd.config.data_config import DatasetConfig
from lstd.data.checked_video import CheckedVideo, Reel
from lstd.data.clean_boxes import objects_of
from lstd.data.sources import Image, SourceFrame

_Item = TypeVar("_Item")
_ReadClip = Callable[[], "Clip"]  # to be called, if at all, before the lane goes on


class Clip(NamedTuple):
    """T frames of a lane, still encoded. R is the number of boxes in the run's first frame.

    A run is what the network sees as one video: it starts with a zero state. Augmentation is drawn
    by `seed` and `reference_boxes`, which stay the same all through a run.
    """

    images: Sequence[Image] | np.ndarray
    truth: GroundTruth  # NumPy, [T, M], padded with zeros and -1; no column is None
    frame_index: np.ndarray  # int32 [T], counts the frames of the run; -1: not to be evaluated
    start: bool  # of a run
    video_id: str  # name of the video
    seed: np.ndarray  # int64 [2]
    reference_boxes: np.ndarray  # float32 [R, 4], the boxes of the run's first frame
    still: bool  # the video is a single frame
    wheres: Sequence[str]  # names each frame, for messages


def training_clips(
    videos: Sequence[CheckedVideo],
    config: DatasetConfig,
    *,
    seed: int,
    skip: int = 0,
    own: range | None = None,
) -> Iterator[Clip]:
    """Yields clips without end: lane 0, lane 1, ..., lane 0 again; a clip buffer mixes them.

    With `skip` the first clips are left out, and with `own` those of all other lanes; those that
    are left are the same as without it. The lanes walk past the others without reading a frame;
    only the lengths of the videos must be known. A clip buffer can give any clip to any lane: with
    one, what the others are given is read, too.

    A lane's first pass begins anywhere in its video, so that lanes on one long video differ; later
    passes begin within the first stride. Frames that no longer fill a clip are left out; a video
    with fewer than T frames shows its last one until the clip is full. The stride is drawn where a
    run starts, and is smaller where a video is too short for it.

    Raises:
        ValueError: no video has a frame.
    """
    lanes, held = config.batch_size, config.clip_buffer
    ordering, mixing, *walking = [
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(lanes + 2)
    ]
    order = _VideoOrder(videos, config, ordering)
    own = range(lanes) if own is None else own
    is_skipped = _skipped(skip, held=held, rng=copy.deepcopy(mixing))

    def lane(rng: np.random.Generator) -> Iterator[_ReadClip]:
        number, anywhere, vain = order.next_after(None), config.random_start, 0
        while True:
            for read in _pass(videos[number], config, rng, anywhere=anywhere):
                yield read
                vain, anywhere = -1, False
            vain += 1
            if vain > 2 * len(videos):
                raise ValueError("there is no video with frames that can be shown")
            number = order.next_after(number)

    def in_turn() -> Iterator[Clip | None]:
        generators = [lane(rng) for rng in walking]
        for number in itertools.count():
            read = next(generators[number % lanes])
            is_left_out = is_skipped(number) or (not held and number % lanes not in own)
            yield None if is_left_out else read()

    clips = _mixed(in_turn(), held=held, rng=mixing) if held else in_turn()
    for number, clip in enumerate(clips):
        if number >= skip and number % lanes in own and clip is not None:
            yield clip


def evaluation_clips(videos: Sequence[CheckedVideo], config: DatasetConfig) -> Iterator[Clip]:
    """Yields every frame of every video once, in order: lane 0, lane 1, ..., lane 0 again.

    A lane that is done takes the next video; the last frame of a video is repeated until its clip
    is full, and lanes without a video left show frames of another lane. All of these are padding:
    `frame_index` is -1.
    """
    queue, length = iter(videos), config.unroll_length

    def lane() -> Iterator[Clip]:
        for video in queue:
            reel = video.open()
            for first in range(0, video.num_frames, length):
                numbers = range(first, min(first + length, video.num_frames))
                index = np.full(length, -1, np.int32)
                index[: len(numbers)] = numbers
                frames = [reel.frame(number) for number in numbers]
                yield _clip_of(frames, video, index, start=not first)
            reel.close()

    for clips in itertools.zip_longest(*(lane() for _ in range(config.batch_size))):
        shown = next(clip for clip in clips if clip is not None)
        padding = shown._replace(frame_index=np.full(length, -1, np.int32), start=True)
        for clip in clips:
            yield clip or padding


def _skipped(skip: int, *, held: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Returns which clips, in the order of the lanes, leave the clip buffer among the first.

    `rng` is a copy of the one that is going to mix them.
    """
    if not held:
        return lambda number: number < skip
    is_gone = np.zeros(skip + held + 1, bool)  # Later ones do not enter before the last has left.
    is_gone[[*itertools.islice(_mixed(itertools.count(), held=held, rng=rng), skip)]] = True
    return lambda number: number < len(is_gone) and bool(is_gone[number])


@dataclasses.dataclass
class _Run:
    """What is drawn where a run starts, the frame that starts it, and its boxes once read."""

    seed: np.ndarray
    stride: int
    drop_rate: float
    opening: int = 0
    reference: Any = None


def _pass(
    video: CheckedVideo, config: DatasetConfig, rng: np.random.Generator, *, anywhere: bool
) -> Iterator[_ReadClip]:
    """Yields the clips of one walk through a video, at least one unless it has no frames.

    The first clip begins anywhere in the video, or else within the first stride.
    """
    length, frames = config.unroll_length, video.num_frames
    if not frames:
        return
    reversal, dropping = _step(config, TimeReversal), _step(config, FrameDropping)
    turns = reversal.probability if reversal else 0.0
    backwards = turns > 0 and rng.random() < turns
    run = _draw_run(rng, config, dropping, frames)
    starts = max(1, frames - (length - 1) * run.stride)  # where a clip can begin
    first = int(rng.integers(starts if anywhere else min(starts, run.stride)))
    first, position = first if config.random_start else 0, 0
    widest = config.max_frame_stride * (1 + (dropping.max_consecutive if dropping else 0))
    reel = video.open(keep=config.overlap * widest)
    try:
        for number in itertools.count():
            if number and (
                config.clips == "independent" or rng.random() < config.reset_probability
            ):
                position, run = 0, _draw_run(rng, config, dropping, frames)
            gaps = _gaps(rng, run, dropping, length)
            if not number and first + sum(gaps[:-1]) >= frames:
                gaps = [run.stride] * length
            *numbers, following = itertools.accumulate(gaps, initial=first)
            if number and numbers[-1] >= frames:
                return
            shown = [min(place, frames - 1) for place in numbers]
            if backwards:
                shown = [frames - 1 - place for place in shown]
            if not position:
                run.opening = shown[0]
            yield functools.partial(_read, video, reel, run, shown, position)
            position += length
            first = numbers[-config.overlap] if config.overlap else following
    finally:
        reel.close()


def _read(video: CheckedVideo, reel: Reel, run: _Run, shown: list[int], position: int) -> Clip:
    if position and run.reference is None:  # the clip that starts the run was left out
        run.reference = objects_of(reel.frame(run.opening).truth).boxes
    frames = [reel.frame(number) for number in shown]
    if not position:
        run.reference = objects_of(frames[0].truth).boxes
    index = np.arange(position, position + len(shown), dtype=np.int32)
    clip = _clip_of(frames, video, index, start=not position)
    return clip._replace(seed=run.seed, reference_boxes=run.reference)


def _step(config: DatasetConfig, kind: type[_Item]) -> _Item | None:
    return next((step for step in config.augmentation if isinstance(step, kind)), None)


def _draw_run(
    rng: np.random.Generator, config: DatasetConfig, dropping: FrameDropping | None, frames: int
) -> _Run:
    drawn = int(rng.integers(config.min_frame_stride, config.max_frame_stride + 1))
    seed = rng.integers(np.iinfo(np.int64).max, size=2, dtype=np.int64)
    drops = dropping is not None and rng.random() < dropping.probability
    stride = min(drawn, max(1, frames // config.unroll_length))
    return _Run(seed, stride, dropping.rate if dropping and drops else 0.0)


def _gaps(
    rng: np.random.Generator, run: _Run, dropping: FrameDropping | None, length: int
) -> list[int]:
    """Returns how far it is from each frame of a clip to the next, and to the next clip."""
    gaps = np.full(length, run.stride)
    if run.drop_rate and dropping is not None:
        dropped = rng.integers(1, dropping.max_consecutive + 1, size=length)
        gaps = gaps * (1 + dropped * (rng.random(length) < run.drop_rate))
    return [int(gap) for gap in gaps]


def _clip_of(
    frames: Sequence[SourceFrame], video: CheckedVideo, index: np.ndarray, *, start: bool
) -> Clip:
    """Returns the frames as one clip of `len(index)` frames; the last one fills it up."""
    frames = [*frames, *[frames[-1]] * (len(index) - len(frames))]
    most = max(len(frame.truth.classes) for frame in frames)

    def stacked(columns: Sequence[np.ndarray], padding: int) -> np.ndarray:
        shape = (len(columns), most, *columns[0].shape[1:])
        result = np.full(shape, padding, columns[0].dtype)
        for number, column in enumerate(columns):
            result[number, : len(column)] = column
        return result

    columns = zip(*(frame.truth for frame in frames), strict=True)
    return Clip(
        images=[frame.image for frame in frames],
        truth=GroundTruth(*map(stacked, columns, (0, -1, -1, 0))),
        frame_index=index,
        start=start,
        video_id=video.name,
        seed=np.zeros(2, np.int64),
        reference_boxes=np.zeros([0, 4], np.float32),
        still=video.num_frames == 1,
        wheres=[frame.where for frame in frames],
    )


class _VideoOrder:
    """Gives shuffled videos to lanes, never one that is walked while there is one that is not.

    `shuffle` buffer: each video leaves a buffer at random; shards: so, with the files in random
    order; videos: all of them in random order.
    """

    def __init__(
        self, videos: Sequence[CheckedVideo], config: DatasetConfig, rng: np.random.Generator
    ) -> None:
        self._walking = collections.Counter(dict.fromkeys(range(len(videos)), 0))
        self._pending: list[int] = []
        self._config, self._rng = config, rng
        self._shards: dict[str, list[int]] = {}
        for number, video in enumerate(videos):
            self._shards.setdefault(video.where, []).append(number)

    def next_after(self, previous: int | None) -> int:
        """Returns the number of the video that follows another one in its lane."""
        if previous is not None:
            self._walking[previous] -= 1
        least = min(self._walking.values())
        while True:
            for place, video in enumerate(self._pending):
                if self._walking[video] == least:
                    self._walking[video] += 1
                    return self._pending.pop(place)
            self._pending.extend(self._epoch())

    def _epoch(self) -> Iterator[int]:
        """Yields every video once."""
        if self._config.shuffle == "videos":
            return iter(self._rng.permutation(len(self._walking)).tolist())
        shards = list(self._shards.values())
        if self._config.shuffle == "shards":
            shards = [shards[place] for place in self._rng.permutation(len(shards))]
        order = itertools.chain.from_iterable(shards)
        return _mixed(order, held=self._config.shuffle_buffer, rng=self._rng)


def _mixed(items: Iterable[_Item], *, held: int, rng: np.random.Generator) -> Iterator[_Item]:
    """Yields the items in another order: so many are held, of which a random one goes next."""
    holding: list[_Item] = []
    for item in items:
        holding.append(item)
        if len(holding) > held:
            yield holding.pop(rng.integers(len(holding) - 1) if held else 0)
    for place in rng.permutation(len(holding)):
        yield holding[place]
