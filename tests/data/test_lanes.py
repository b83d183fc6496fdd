from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from lstd.data import lanes
from lstd.data.clip import Clip
from lstd.data.dealing import Shuffle
from lstd.data.rows import Row
from lstd.data.walk import Dropping, Walk

BUFFER = Shuffle(buffer=8)


class Video:
    """A video whose image is `<video>:<frame>`, with frame % 3 boxes; counts its open reels."""

    has_tracks, sizes = True, frozenset([(0, 0)])

    def __init__(self, name: str, num_frames: int, *, shard: str = "") -> None:
        self.name, self.num_frames, self.shard = name, num_frames, shard
        self.open_reels = self.rows_read = 0

    def open(self, *, keep: int = 0) -> Video:
        self.open_reels += 1
        return self

    def close(self) -> None:
        self.open_reels -= 1

    def row(self, number: int) -> Row:
        if not 0 <= number < self.num_frames:
            raise IndexError(number)
        self.rows_read += 1
        count = number % 3
        boxes = np.full([count, 4], number / 1000, np.float32)
        ones = np.ones(count, np.int32)
        return Row(f"{self.name}:{number}".encode(), boxes, ones, ones, ones > 1, "somewhere")


video_of = Video


def frames_of(clip: Clip) -> list[int]:
    return [int(image.decode().partition(":")[2]) for image in clip.images]


def training(
    videos: list[Video],
    count: int,
    *,
    lanes_: int = 1,
    seed: int = 0,
    shuffle: Shuffle = BUFFER,
    **walk: object,
) -> list[list[Clip]]:
    """Returns the first `count` clips of each lane."""
    clips = lanes.training_clips(
        videos,
        lanes=lanes_,
        walk=Walk(**{"unroll_length": 4, **walk}),
        shuffle=shuffle,
        seed=seed,
    )
    taken = list(itertools.islice(clips, count * lanes_))
    return [taken[lane::lanes_] for lane in range(lanes_)]


def test_a_clip_continues_the_one_before_it() -> None:
    walks = training(
        [video_of("a", 100), video_of("b", 100)],
        60,
        lanes_=2,
        min_frame_stride=1,
        max_frame_stride=3,
    )
    strides = set()
    for lane in walks:
        assert lane[0].start
        for before, clip in itertools.pairwise(lane):
            stride = np.unique(np.diff(frames_of(clip)))
            assert stride.size == 1
            strides.add(int(stride[0]))
            if clip.start:
                assert frames_of(clip)[0] < 3  # a pass begins within the first stride
                assert frames_of(before)[-1] > 100 - 4 * 3 - 1  # and the one before was whole
                assert clip.frame_index.tolist() == [0, 1, 2, 3]
            else:
                assert clip.video_id == before.video_id
                assert frames_of(clip)[0] == frames_of(before)[-1] + stride[0]
                assert clip.frame_index[0] == before.frame_index[-1] + 1
                assert (clip.seed == before.seed).all()
                assert (clip.reference_boxes == before.reference_boxes).all()
    assert strides == {1, 2, 3}


def test_lanes_on_one_video_begin_at_different_places() -> None:
    walks = training([video_of("a", 400)], 1, lanes_=8)

    assert len({frames_of(lane[0])[0] for lane in walks}) >= 7


def test_a_reset_starts_a_run_in_the_middle_of_a_video() -> None:
    (walk,) = training([video_of("a", 4000)], 400, reset_probability=0.25, max_frame_stride=2)
    resets = 0
    for before, clip in itertools.pairwise(walk):
        continues = frames_of(clip)[0] in {frames_of(before)[-1] + 1, frames_of(before)[-1] + 2}
        if clip.start and continues:
            resets += 1
            assert clip.frame_index[0] == 0
            assert not (clip.seed == before.seed).all()
            assert (clip.reference_boxes == video_of("a", 4000).row(frames_of(clip)[0]).boxes).all()
    assert 70 <= resets <= 130  # 100 expected, standard deviation 8.7


def test_without_resets_only_passes_start() -> None:
    (walk,) = training([video_of("a", 40)], 60)

    assert all(clip.start == (frames_of(clip)[0] == 0) for clip in walk[10:])


def test_lanes_walk_different_videos() -> None:
    videos = [
        video_of(name, length) for name, length in zip("abcde", (9, 30, 17, 50, 4), strict=True)
    ]
    walks = training(videos, 300, lanes_=3)

    seen: set[str] = set()
    for clips in zip(*walks, strict=True):
        names = [clip.video_id for clip in clips]
        assert len(set(names)) == 3
        seen.update(names)
    assert seen == set("abcde")


def test_more_lanes_than_videos_share_them_evenly() -> None:
    walks = training([video_of("a", 30), video_of("b", 50)], 50, lanes_=4)
    for clips in zip(*walks, strict=True):
        assert collections.Counter(clip.video_id for clip in clips) == {"a": 2, "b": 2}


@pytest.mark.parametrize(("buffer", "ordered"), [(0, True), (2, False), (50, False)])
def test_each_epoch_shows_every_video_once(buffer: int, ordered: bool) -> None:
    videos = [video_of(f"{number:02d}", 4) for number in range(20)]
    (walk,) = training(videos, 60, shuffle=Shuffle(buffer=buffer))
    names = [clip.video_id for clip in walk]

    for epoch in range(3):
        part = names[epoch * 20 : epoch * 20 + 20]
        assert len(set(part)) == 20
        assert (part == sorted(part)) == ordered


def test_a_video_shorter_than_a_clip_is_filled_with_its_last_frame() -> None:
    (walk,) = training([video_of("a", 2)], 3, max_frame_stride=3, min_frame_stride=3)

    for clip in walk:
        assert frames_of(clip) == [0, 1, 1, 1]
        assert clip.start
        assert clip.frame_index.tolist() == [0, 1, 2, 3]


def test_a_stride_shrinks_to_what_a_video_can_fill() -> None:
    (walk,) = training([video_of("a", 9)], 5, max_frame_stride=5, min_frame_stride=5)

    assert all(set(np.diff(frames_of(clip))) == {2} for clip in walk)


def test_one_seed_is_one_order_and_another_seed_another() -> None:
    videos = [video_of(name, 40) for name in "abcdef"]

    def order(seed: int) -> list[tuple[str, list[int]]]:
        walks = training(videos, 40, lanes_=2, seed=seed, max_frame_stride=3)
        return [(c.video_id, frames_of(c)) for lane in walks for c in lane]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_boxes_are_padded_within_a_clip() -> None:
    (walk,) = training([video_of("a", 4)], 1)
    clip = walk[0]

    np.testing.assert_array_equal(clip.classes, [[-1, -1], [1, -1], [1, 1], [-1, -1]])
    np.testing.assert_array_equal(clip.boxes[1], np.float32([[0.001] * 4, [0] * 4]))
    np.testing.assert_array_equal(clip.track_ids, clip.classes)


@pytest.mark.parametrize("lanes_", [1, 2, 5])
def test_evaluation_shows_every_frame_once_and_in_order(lanes_: int) -> None:
    videos = [video_of("a", 10), video_of("b", 4), video_of("c", 1), video_of("d", 7)]
    clips = list(lanes.evaluation_clips(videos, lanes=lanes_, unroll_length=4))

    assert len(clips) % lanes_ == 0
    shown = collections.defaultdict(list)
    for number, clip in enumerate(clips):
        for image, index in zip(clip.images, clip.frame_index, strict=True):
            if index >= 0:
                assert image == f"{clip.video_id}:{index}".encode()
                shown[clip.video_id].append(int(index))
        if clip.frame_index[0] >= 0:
            assert clip.start == (clip.frame_index[0] == 0)
            if not clip.start:  # the lane's clip before it belongs to the same video
                assert clips[number - lanes_].video_id == clip.video_id
    assert shown == {"a": [*range(10)], "b": [*range(4)], "c": [0], "d": [*range(7)]}


def test_the_last_clip_of_a_video_repeats_its_last_frame_as_padding() -> None:
    clips = list(lanes.evaluation_clips([video_of("a", 5)], lanes=1, unroll_length=4))

    assert frames_of(clips[1]) == [4, 4, 4, 4]
    assert clips[1].frame_index.tolist() == [4, -1, -1, -1]


@pytest.mark.parametrize("shuffle", [Shuffle(by="videos"), Shuffle(by="shards", buffer=0)])
def test_videos_and_shards_are_shuffled_as_chosen(shuffle: Shuffle) -> None:
    videos = [video_of(f"{n:02d}", 4, shard=str(n // 4)) for n in range(20)]
    (walk,) = training(videos, 60, shuffle=shuffle)
    names = [clip.video_id for clip in walk]

    epochs = [names[first : first + 20] for first in (0, 20, 40)]
    assert all(sorted(epoch) == [f"{n:02d}" for n in range(20)] for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    together = all(
        [int(name) // 4 for name in epoch[first : first + 4]] == [int(epoch[first]) // 4] * 4
        for epoch in epochs
        for first in range(0, 20, 4)
    )
    assert together == (shuffle.by == "shards")


def test_without_random_start_every_pass_begins_with_the_first_frame() -> None:
    walks = training(
        [video_of("a", 20)],
        5,
        lanes_=2,
        shuffle=Shuffle(),
        random_start=False,
        max_frame_stride=3,
        min_frame_stride=3,
    )
    for walk in walks:
        assert [frames_of(clip)[0] for clip in walk] == [0, 0, 0, 0, 0]
    (walk,) = training([video_of("a", 12)], 3, random_start=False)
    assert [frames_of(clip) for clip in walk] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_independent_clips_start_by_themselves_and_overlap() -> None:
    (walk,) = training([video_of("a", 14)], 5, independent=True, overlap=2, random_start=False)

    assert [frames_of(clip) for clip in walk] == [
        [0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9], [8, 9, 10, 11]
    ]  # fmt: skip
    assert all(clip.start for clip in walk)
    assert all(clip.frame_index.tolist() == [0, 1, 2, 3] for clip in walk)
    assert len({tuple(clip.seed) for clip in walk}) == 5
    for clip in walk:
        assert len(clip.reference_boxes) == frames_of(clip)[0] % 3


def test_a_clip_buffer_mixes_and_loses_nothing() -> None:
    videos = [video_of(name, 400) for name in "ab"]
    options = {"independent": True, "random_start": False}
    plain = training(videos, 60, shuffle=Shuffle(), **options)[0]
    mixed = training(videos, 50, shuffle=Shuffle(clips=10), **options)[0]
    shown = [(clip.video_id, *frames_of(clip)) for clip in mixed]
    order = [(clip.video_id, *frames_of(clip)) for clip in plain]

    assert len(set(shown)) == 50
    assert set(shown) <= set(order)
    assert shown != order[:50]


def test_a_reversed_pass_goes_from_the_end_to_the_beginning() -> None:
    (walk,) = training([video_of("a", 12)], 60, reversal=0.5, random_start=False)
    frames = [frame for clip in walk for frame in frames_of(clip)]
    passes = [frames[first : first + 12] for first in range(0, len(frames), 12)]
    forward = list(range(12))

    assert all(shown in (forward, forward[::-1]) for shown in passes)
    assert 4 <= sum(shown == forward for shown in passes) <= 16  # 10 of 20 expected
    for clip in walk:
        assert clip.start == (clip.frame_index[0] == 0)


def test_dropped_frames_widen_gaps_and_never_break_the_order() -> None:
    (walk,) = training(
        [video_of("a", 4000)],
        200,
        min_frame_stride=2,
        max_frame_stride=2,
        reset_probability=0.1,
        random_start=False,
        dropping=Dropping(0.5, 0.25, 3),
    )
    gaps: dict[bytes, list[int]] = collections.defaultdict(list)
    for before, clip in itertools.pairwise(walk):
        frames = frames_of(before)
        between = [] if clip.start else [frames_of(clip)[0] - frames[-1]]
        gaps[before.seed.tobytes()] += [*np.diff(frames), *between]
    assert {gap for run in gaps.values() for gap in run} == {2, 4, 6, 8}
    runs = [np.array(run) for run in gaps.values() if len(run) > 20]
    dropping = [run for run in runs if (run > 2).any()]
    assert 0 < len(dropping) < len(runs)
    share = np.concatenate([run > 2 for run in dropping]).mean()
    assert 0.15 <= share <= 0.35


def test_dropping_never_leaves_a_short_video_without_its_clip() -> None:
    (walk,) = training([video_of("a", 5)], 20, dropping=Dropping(1.0, 1.0, 3), random_start=False)
    assert all(frames_of(clip) == [0, 1, 2, 3] for clip in walk)


def test_videos_without_frames_are_passed_over() -> None:
    (walk,) = training([video_of("a", 0), video_of("b", 8)], 6)
    assert {clip.video_id for clip in walk} == {"b"}
    with pytest.raises(ValueError, match="no video with frames"):
        training([video_of("a", 0), video_of("b", 0)], 1)


def test_a_still_is_marked() -> None:
    (walk,) = training([video_of("a", 1), video_of("b", 2)], 8)
    assert {(clip.video_id, clip.still) for clip in walk} == {("a", True), ("b", False)}
    assert all(frames_of(clip) == [0] * 4 for clip in walk if clip.still)


def test_every_lane_holds_one_open_reel() -> None:
    videos = [video_of(name, 9) for name in "abcd"]
    clips = lanes.training_clips(videos, lanes=2, walk=Walk(4), shuffle=Shuffle(buffer=4), seed=0)
    for _ in range(40):
        next(clips)
        assert sum(video.open_reels for video in videos) <= 2


LENGTHS = (9, 30, 17, 50, 4, 1)


@pytest.mark.parametrize("skip", [1, 2, 7, 60, 301])
@pytest.mark.parametrize(
    ("walk", "shuffle"),
    [
        (Walk(4, min_frame_stride=1, max_frame_stride=3, reset_probability=0.3), BUFFER),
        (Walk(4, reversal=0.5, dropping=Dropping(0.5, 0.5, 2)), Shuffle(by="videos")),
        (Walk(4, independent=True, overlap=2), Shuffle(buffer=2, clips=5)),
        (Walk(4, independent=True, max_frame_stride=2), Shuffle(by="shards", clips=40)),
    ],
)
def test_clips_after_those_left_out_are_the_same(skip: int, walk: Walk, shuffle: Shuffle) -> None:
    def clips(skip: int) -> Iterator[Clip]:
        videos = [video_of("abcdef"[n], length) for n, length in enumerate(LENGTHS)]
        return lanes.training_clips(videos, lanes=3, walk=walk, shuffle=shuffle, seed=5, skip=skip)

    wanted = itertools.islice(clips(0), skip, skip + 50)

    for clip, same in zip(itertools.islice(clips(skip), 50), wanted, strict=True):
        for name, ours, theirs in zip(Clip._fields, clip, same, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.parametrize("shuffle", [BUFFER, Shuffle(buffer=2, clips=5)])
@pytest.mark.parametrize("own", [range(0, 2), range(2, 4), range(3, 4)])
def test_own_lanes_are_the_same_as_among_all(own: range, shuffle: Shuffle) -> None:
    def clips(own: range | None) -> Iterator[Clip]:
        videos = [video_of("abcdef"[n], length) for n, length in enumerate(LENGTHS)]
        walk = Walk(4, independent=bool(shuffle.clips), max_frame_stride=2)
        return lanes.training_clips(
            videos, lanes=4, walk=walk, shuffle=shuffle, seed=5, skip=8, own=own
        )

    wanted = [clip for n, clip in enumerate(itertools.islice(clips(None), 80)) if n % 4 in own]

    for clip, same in zip(itertools.islice(clips(own), len(wanted)), wanted, strict=True):
        for name, ours, theirs in zip(Clip._fields, clip, same, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_frames_of_the_lanes_of_others_are_not_read() -> None:
    video = video_of("a", 1000)
    clips = lanes.training_clips(
        [video], lanes=50, walk=Walk(4), shuffle=BUFFER, seed=0, own=range(49, 50)
    )

    next(clips)

    assert video.rows_read <= 5  # a clip, and the frame after it where there is one


def test_frames_of_clips_left_out_are_not_read() -> None:
    video = video_of("a", 1000)

    next(lanes.training_clips([video], lanes=1, walk=Walk(4), shuffle=BUFFER, seed=0, skip=100))

    assert video.rows_read == 5  # a clip, and the frame whose boxes the augmentation looks at
