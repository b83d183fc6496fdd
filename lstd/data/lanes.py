"""Lanes: each place of a batch walks through a video of its own, clip by clip.

The clip that lane b shows in one batch is continued by the clip it shows in the next, until the
video ends and the lane is dealt another one. Every batch takes one clip from every lane, in order,
so the lanes stay aligned however long their videos are, and an LSTM state per lane can be carried
along. Only what the lane is walking through is in memory, its images still encoded.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lstd.data.clip import Clip, clip_of
from lstd.data.dealing import Dealer, Shuffle, mixed
from lstd.data.footage import Footage
from lstd.data.walk import ReadClip, Walk, training_pass


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

    Args:
        videos: at least one.
        lanes: how many videos are walked through at a time.
        walk: how each lane goes through its videos.
        shuffle: the order in which videos are dealt, and the clip buffer.
        seed: of all that is drawn.
        skip: clips that are left out at the beginning.
        own: the lanes whose clips are yielded; None: all.

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

    def lane(rng: np.random.Generator) -> Iterator[ReadClip]:
        number, anywhere, vain = dealer.deal(previous=None), walk.random_start, 0
        while True:
            for read in training_pass(videos[number], walk=walk, rng=rng, anywhere=anywhere):
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
                yield clip_of(rows, video=video, frame_index=index, start=not first)
            reel.close()

    for clips in itertools.zip_longest(*(lane() for _ in range(lanes))):
        shown = next(clip for clip in clips if clip is not None)
        padding = shown._replace(frame_index=np.full(unroll_length, -1, np.int32), start=True)
        for clip in clips:
            yield clip or padding
