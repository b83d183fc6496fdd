"""Lanes: each place of a batch walks through a video of its own, clip by clip.

The clip that lane b shows in one batch is continued by the clip it shows in the next, until the
video ends and the lane is dealt another one. Every batch takes one clip from every lane, in order,
so the lanes stay aligned however long their videos are, and an LSTM state per lane can be carried
along. Only what the lane is walking through is in memory, its images still encoded.

Which frames make a clip is worked out from the video's length alone, so a video gives the same
clips from records, however they are cut, and from any other medium.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lstd.data import decode
from lstd.data.dealing import Dealer, Shuffle, mixed
from lstd.data.footage import Footage, Reel
from lstd.data.rows import Row


class Clip(NamedTuple):
    """T frames of a lane. R is the number of boxes in the frame that started the run.

    A run is what the network sees as one video: it starts with a zero state. Augmentation is drawn
    by `seed` and `reference_boxes`, which stay the same all through a run.

    Attributes:
        images: object `[T]` of bytes, see `lstd.data.decode`; so are the next.
        image_sizes: int32 `[T, 2]`.
        boxes: float32 `[T, M, 4]`, padded with 0.
        classes: int32 `[T, M]`, 0-based, padded with -1.
        track_ids: int32 `[T, M]`, padded with -1.
        is_crowd: bool `[T, M]`.
        frame_index: int32 `[T]`, counts the frames of the run from 0; -1: padding, not to be
            evaluated.
        start: whether this clip starts a run.
        video_id: name of the video.
        seed: int64 `[2]`.
        reference_boxes: float32 `[R, 4]`, the boxes of the run's first frame.
        still: whether the video is a single frame.
        wheres: object `[T]` of bytes: names each frame, for messages.
    """

    images: np.ndarray
    image_sizes: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    track_ids: np.ndarray
    is_crowd: np.ndarray
    frame_index: np.ndarray
    start: bool
    video_id: str
    seed: np.ndarray
    reference_boxes: np.ndarray
    still: bool
    wheres: np.ndarray


class Dropping(NamedTuple):
    """Frames left out at random; see `lstd.augmentation_config.FrameDropping`."""

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


def training_clips(
    videos: Sequence[Footage],
    *,
    lanes: int,
    walk: Walk,
    shuffle: Shuffle,
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
    dealing, mixing, *walking = [
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(lanes + 2)
    ]
    dealer = Dealer([video.shard for video in videos], shuffle=shuffle, rng=dealing)
    own = range(lanes) if own is None else own
    is_skipped = _left_out(skip, held=shuffle.clips, rng=copy.deepcopy(mixing))

    def is_left_out(number: int) -> bool:
        return is_skipped(number) or (not shuffle.clips and number % lanes not in own)

    def lane(rng: np.random.Generator) -> Iterator[_ReadClip]:
        number, anywhere, vain = dealer.deal(previous=None), walk.random_start, 0
        while True:
            for read in _training_pass(videos[number], walk=walk, rng=rng, anywhere=anywhere):
                yield read
                vain, anywhere = -1, False
            vain += 1
            if vain > 2 * len(videos):
                raise ValueError("there is no video with frames that can be shown")
            number = dealer.deal(previous=number)

    def in_turn() -> Iterator[Clip | None]:
        generators = [lane(rng) for rng in walking]
        for number in itertools.count():
            read = next(generators[number % lanes])
            yield None if is_left_out(number) else read()

    clips = mixed(in_turn(), held=shuffle.clips, rng=mixing) if shuffle.clips else in_turn()
    for number, clip in enumerate(clips):
        if number >= skip and number % lanes in own and clip is not None:
            yield clip


def _left_out(skip: int, *, held: int, rng: np.random.Generator) -> Callable[[int], bool]:
    """Returns which of the clips, in the order of the lanes, leave the clip buffer among the first.

    Args:
        skip: how many leave first.
        held: by the buffer.
        rng: which is going to mix them; it is used up here.
    """
    if not held:
        return lambda number: number < skip
    is_gone = np.zeros(skip + held + 1, bool)  # Later ones do not enter before the last has left.
    for number in itertools.islice(mixed(itertools.count(), held=held, rng=rng), skip):
        is_gone[number] = True
    return lambda number: number < len(is_gone) and bool(is_gone[number])


def evaluation_clips(
    videos: Sequence[Footage], *, lanes: int, unroll_length: int
) -> Iterator[Clip]:
    """Yields every frame of every video once, in order: lane 0, lane 1, ..., lane 0 again.

    A lane that is done takes the next video; the last frame of a video is repeated until its clip
    is full, and lanes without a video left show frames of another lane. All of these are padding:
    `frame_index` is -1.
    """
    queue = iter(videos)

    def lane() -> Iterator[Clip]:
        for video in queue:
            reel = video.open()
            for first in range(0, video.num_frames, unroll_length):
                numbers = range(first, min(first + unroll_length, video.num_frames))
                index = np.full(unroll_length, -1, np.int32)
                index[: len(numbers)] = numbers
                rows = [reel.row(number) for number in numbers]
                yield _clip(rows, video=video, frame_index=index, start=not first)
            reel.close()

    for clips in itertools.zip_longest(*(lane() for _ in range(lanes))):
        shown = next(clip for clip in clips if clip is not None)
        padding = shown._replace(frame_index=np.full(unroll_length, -1, np.int32), start=True)
        for clip in clips:
            yield clip or padding


class _Run(NamedTuple):
    """What is drawn where a run starts; `drops` is how often a gap is widened."""

    seed: np.ndarray
    stride: int
    drops: float


_ReadClip = Callable[[], Clip]
"""Reads a clip's frames. To be called, if at all, before the lane goes on."""


def _training_pass(
    video: Footage, *, walk: Walk, rng: np.random.Generator, anywhere: bool
) -> Iterator[_ReadClip]:
    """Yields the clips of one walk through a video, at least one unless it has no frames."""
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
) -> Iterator[_ReadClip]:
    length, frames = walk.unroll_length, video.num_frames
    position, opening = 0, _Opening(first)
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
        opening = opening if position else _Opening(shown[0])
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
    return _clip(
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


def _clip(
    rows: Sequence[Row],
    *,
    video: Footage,
    frame_index: np.ndarray,
    start: bool,
    seed: np.ndarray | None = None,
    reference_boxes: np.ndarray | None = None,
) -> Clip:
    """Returns the rows as one clip of `len(frame_index)` frames; the last row fills it up."""
    rows = [*rows, *[rows[-1]] * (len(frame_index) - len(rows))]
    most = max(len(row.classes) for row in rows)

    def stacked(columns: list[np.ndarray], padding: int) -> np.ndarray:
        shape = (len(columns), most, *columns[0].shape[1:])
        result = np.full(shape, padding, columns[0].dtype)
        for number, column in enumerate(columns):
            result[number, : len(column)] = column
        return result

    packed = [decode.packed(row.image, where=row.where) for row in rows]
    return Clip(
        images=np.array([data for data, _ in packed], object),
        image_sizes=np.array([size for _, size in packed], np.int32),
        boxes=stacked([row.boxes for row in rows], 0),
        classes=stacked([row.classes for row in rows], -1),
        track_ids=stacked([row.track_ids for row in rows], -1),
        is_crowd=stacked([row.is_crowd for row in rows], 0),
        frame_index=frame_index,
        start=start,
        video_id=video.name,
        seed=np.zeros(2, np.int64) if seed is None else seed,
        reference_boxes=np.zeros([0, 4], np.float32)
        if reference_boxes is None
        else reference_boxes,
        still=video.num_frames == 1,
        wheres=np.array([row.where.encode() for row in rows], object),
    )
