from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config.augmentation_config import FrameDropping, TimeReversal
from lstd.config.data_config import DatasetConfig
from lstd.data.clip_streams import Clip, evaluation_clips, training_clips
from lstd.data.sources import SourceFrame


class Video:
    """A video whose image is `<video>:<frame>`, with frame % 3 boxes; counts its open reels."""

    def __init__(self, name: str, num_frames: int, *, where: str = "") -> None:
        self.name, self.num_frames, self.where = name, num_frames, where
        self.open_reels = self.frames_read = 0

    def open(self, *, keep: int = 0) -> Video:
        self.open_reels += 1
        return self

    def close(self) -> None:
        self.open_reels -= 1

    def frame(self, number: int) -> SourceFrame:
        if not 0 <= number < self.num_frames:
            raise IndexError(number)
        self.frames_read += 1
        count = number % 3
        ones = np.ones(count, np.int32)
        boxes = np.full([count, 4], number / 1000, np.float32)
        image = f"{self.name}:{number}".encode()
        return SourceFrame(image, GroundTruth(boxes, ones, ones, ones > 1), "somewhere")


def videos_of(*lengths: int) -> list[Video]:
    return [Video("abcdef"[number], length) for number, length in enumerate(lengths)]


def frames_of(clip: Clip) -> list[int]:
    return [int(image.decode().partition(":")[2]) for image in clip.images]


def streams(
    videos: list[Video],
    *,
    seed: int = 0,
    skip: int = 0,
    own: range | None = None,
    **settings: object,
) -> Iterator[Clip]:
    values = {"batch_size": 1, "unroll_length": 4, "shuffle_buffer": 8, **settings}
    return training_clips(videos, DatasetConfig(**values), seed=seed, skip=skip, own=own)


def training(
    videos: list[Video], count: int, *, batch_size: int = 1, **settings
) -> list[list[Clip]]:
    """Returns the first `count` clips of each lane."""
    clips = streams(videos, batch_size=batch_size, **settings)
    taken = list(itertools.islice(clips, count * batch_size))
    return [taken[lane::batch_size] for lane in range(batch_size)]


def assert_equal(clip: Clip, other: Clip) -> None:
    tf.nest.map_structure(np.testing.assert_array_equal, clip, other)


def test_a_clip_continues_the_one_before_it() -> None:
    strides = set()
    for lane in training(videos_of(100, 100), 60, batch_size=2, max_frame_stride=3):
        assert lane[0].start
        for before, clip in itertools.pairwise(lane):
            (stride,) = np.unique(np.diff(frames_of(clip)))
            strides.add(int(stride))
            if clip.start:
                assert frames_of(clip)[0] < 3  # a pass begins within the first stride
                assert frames_of(before)[-1] > 100 - 4 * 3 - 1  # and the one before was whole
                assert clip.frame_index.tolist() == [0, 1, 2, 3]
            else:
                assert clip.video_id == before.video_id
                assert frames_of(clip)[0] == frames_of(before)[-1] + stride
                assert clip.frame_index[0] == before.frame_index[-1] + 1
                assert (clip.seed == before.seed).all()
                assert (clip.reference_boxes == before.reference_boxes).all()
    assert strides == {1, 2, 3}


def test_lanes_on_one_video_begin_at_different_places() -> None:
    walks = training(videos_of(400), 1, batch_size=8)

    assert len({frames_of(lane[0])[0] for lane in walks}) >= 7


def test_a_reset_starts_a_run_in_the_middle_of_a_video() -> None:
    (walk,) = training(videos_of(4000), 400, reset_probability=0.25, max_frame_stride=2)
    resets = 0
    for before, clip in itertools.pairwise(walk):
        if clip.start and frames_of(clip)[0] - frames_of(before)[-1] in (1, 2):
            resets += 1
            assert clip.frame_index[0] == 0
            assert not (clip.seed == before.seed).all()
            assert len(clip.reference_boxes) == frames_of(clip)[0] % 3
    assert 70 <= resets <= 130  # 100 expected, standard deviation 8.7


def test_lanes_walk_different_videos() -> None:
    seen: set[str] = set()
    for clips in zip(*training(videos_of(9, 30, 17, 50, 4), 300, batch_size=3), strict=True):
        names = {clip.video_id for clip in clips}
        assert len(names) == 3
        seen |= names
    assert seen == set("abcde")


def test_more_lanes_than_videos_share_them_evenly() -> None:
    for clips in zip(*training(videos_of(30, 50), 50, batch_size=4), strict=True):
        assert collections.Counter(clip.video_id for clip in clips) == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("settings", "in_order", "files_together"),
    [
        ({"shuffle_buffer": 0}, True, True),
        ({"shuffle_buffer": 2}, False, False),
        ({"shuffle_buffer": 50}, False, False),
        ({"shuffle": "videos"}, False, False),
        ({"shuffle": "shards", "shuffle_buffer": 0}, False, True),
    ],
)
def test_each_epoch_shows_every_video_once(
    settings: dict, in_order: bool, files_together: bool
) -> None:
    videos = [Video(f"{n:02d}", 4, where=str(n // 4)) for n in range(20)]
    (walk,) = training(videos, 60, **settings)
    names = [clip.video_id for clip in walk]
    epochs = [names[first : first + 20] for first in (0, 20, 40)]

    assert all(sorted(epoch) == [video.name for video in videos] for epoch in epochs)
    assert all((epoch == sorted(epoch)) == in_order for epoch in epochs)
    assert (epochs[0] == epochs[1]) == in_order
    files = [[int(name) // 4 for name in epoch] for epoch in epochs]
    switches = [sum(a != b for a, b in itertools.pairwise(epoch)) for epoch in files]
    assert (switches == [4, 4, 4]) == files_together


def test_short_videos_are_filled_or_shrink_the_stride() -> None:
    strides = {"min_frame_stride": 5, "max_frame_stride": 5}
    (walk,) = training(videos_of(2), 3, **strides)
    for clip in walk:
        assert frames_of(clip) == [0, 1, 1, 1]
        assert clip.start
        assert clip.frame_index.tolist() == [0, 1, 2, 3]
    (walk,) = training(videos_of(9), 5, **strides)
    assert all(set(np.diff(frames_of(clip))) == {2} for clip in walk)


def test_one_seed_is_one_order_and_another_seed_another() -> None:
    def order(seed: int) -> list[tuple[str, list[int]]]:
        settings = {"batch_size": 2, "seed": seed, "max_frame_stride": 3}
        walks = training(videos_of(*[40] * 6), 40, **settings)
        return [(c.video_id, frames_of(c)) for lane in walks for c in lane]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_boxes_are_padded_within_a_clip() -> None:
    ((clip,),) = training(videos_of(4), 1)

    np.testing.assert_array_equal(clip.truth.classes, [[-1, -1], [1, -1], [1, 1], [-1, -1]])
    np.testing.assert_array_equal(clip.truth.boxes[1], np.float32([[0.001] * 4, [0] * 4]))
    np.testing.assert_array_equal(clip.truth.track_ids, clip.truth.classes)
    assert not clip.truth.is_crowd.any()


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_evaluation_shows_every_frame_once_and_in_order(lanes: int) -> None:
    config = DatasetConfig(batch_size=lanes, unroll_length=4)
    clips = list(evaluation_clips(videos_of(10, 4, 1, 7), config))

    assert len(clips) % lanes == 0
    shown = collections.defaultdict(list)
    for number, clip in enumerate(clips):
        for image, index in zip(clip.images, clip.frame_index, strict=True):
            if index >= 0:
                assert image == f"{clip.video_id}:{index}".encode()
                shown[clip.video_id].append(int(index))
        if clip.frame_index[0] >= 0:
            assert clip.start == (clip.frame_index[0] == 0)
            if not clip.start:  # the lane's clip before it belongs to the same video
                assert clips[number - lanes].video_id == clip.video_id
    assert shown == {"a": [*range(10)], "b": [*range(4)], "c": [0], "d": [*range(7)]}
    if lanes == 1:
        assert frames_of(clips[2]) == [8, 9, 9, 9]
        assert clips[2].frame_index.tolist() == [8, 9, -1, -1]


def test_without_random_start_every_pass_begins_with_the_first_frame() -> None:
    settings = {"random_start": False, "shuffle_buffer": 0}
    strides = {"max_frame_stride": 3, "min_frame_stride": 3}
    for walk in training(videos_of(20), 5, batch_size=2, **settings, **strides):
        assert [frames_of(clip)[0] for clip in walk] == [0, 0, 0, 0, 0]
    (walk,) = training(videos_of(12), 3, **settings)
    assert [frames_of(clip) for clip in walk] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_independent_clips_start_by_themselves_and_overlap() -> None:
    (walk,) = training(videos_of(14), 5, clips="independent", overlap=2, random_start=False)

    assert [frames_of(clip) for clip in walk] == [
        [0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9], [8, 9, 10, 11]
    ]  # fmt: skip
    assert all(clip.start for clip in walk)
    assert all(clip.frame_index.tolist() == [0, 1, 2, 3] for clip in walk)
    assert len({tuple(clip.seed) for clip in walk}) == 5
    for clip in walk:
        assert len(clip.reference_boxes) == frames_of(clip)[0] % 3


def test_a_clip_buffer_mixes_and_loses_nothing() -> None:
    settings = {"clips": "independent", "random_start": False, "shuffle_buffer": 0}

    def shown(count: int, held: int) -> list[tuple]:
        (walk,) = training(videos_of(400, 400), count, clip_buffer=held, **settings)
        return [(clip.video_id, *frames_of(clip)) for clip in walk]

    plain, mixed = shown(60, 0), shown(50, 10)
    assert len(set(mixed)) == 50
    assert set(mixed) <= set(plain)
    assert mixed != plain[:50]


def test_a_reversed_pass_goes_from_the_end_to_the_beginning() -> None:
    steps = (TimeReversal(probability=0.5),)
    (walk,) = training(videos_of(12), 60, augmentation=steps, random_start=False)
    frames = [frame for clip in walk for frame in frames_of(clip)]
    passes = [frames[first : first + 12] for first in range(0, len(frames), 12)]
    forward = list(range(12))

    assert all(shown in (forward, forward[::-1]) for shown in passes)
    assert 4 <= sum(shown == forward for shown in passes) <= 16  # 10 of 20 expected
    assert all(clip.start == (clip.frame_index[0] == 0) for clip in walk)


def test_dropped_frames_widen_gaps_and_never_break_the_order() -> None:
    (walk,) = training(
        videos_of(4000),
        200,
        min_frame_stride=2,
        max_frame_stride=2,
        reset_probability=0.1,
        random_start=False,
        augmentation=(FrameDropping(probability=0.5, rate=0.25, max_consecutive=3),),
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
    steps = (FrameDropping(probability=1.0, rate=1.0, max_consecutive=3),)
    (walk,) = training(videos_of(5), 20, augmentation=steps, random_start=False)
    assert all(frames_of(clip) == [0, 1, 2, 3] for clip in walk)


def test_videos_without_frames_are_passed_over() -> None:
    (walk,) = training(videos_of(0, 8), 6)
    assert {clip.video_id for clip in walk} == {"b"}
    with pytest.raises(ValueError, match="no video with frames"):
        training(videos_of(0, 0), 1)


def test_a_still_is_marked() -> None:
    (walk,) = training(videos_of(1, 2), 8)
    assert {(clip.video_id, clip.still) for clip in walk} == {("a", True), ("b", False)}
    assert all(frames_of(clip) == [0] * 4 for clip in walk if clip.still)


def test_every_lane_holds_one_open_reel() -> None:
    videos = videos_of(9, 9, 9, 9)
    for _ in itertools.islice(streams(videos, batch_size=2), 40):
        assert sum(video.open_reels for video in videos) <= 2


LENGTHS = (9, 30, 17, 50, 4, 1)
TIMES = (TimeReversal(), FrameDropping(probability=0.5, rate=0.5, max_consecutive=2))


@pytest.mark.parametrize("skip", [1, 7, 60, 301])
@pytest.mark.parametrize(
    "settings",
    [
        {"max_frame_stride": 3, "reset_probability": 0.3},
        {"augmentation": TIMES, "shuffle": "videos"},
        {"clips": "independent", "overlap": 2, "shuffle_buffer": 2, "clip_buffer": 5},
        {"clips": "independent", "max_frame_stride": 2, "shuffle": "shards", "clip_buffer": 40},
    ],
)
def test_clips_after_those_left_out_are_the_same(skip: int, settings: dict) -> None:
    def clips(skip: int) -> Iterator[Clip]:
        return streams(videos_of(*LENGTHS), batch_size=3, seed=5, skip=skip, **settings)

    wanted = itertools.islice(clips(0), skip, skip + 50)

    for clip, same in zip(itertools.islice(clips(skip), 50), wanted, strict=True):
        assert_equal(clip, same)


@pytest.mark.parametrize(
    "settings", [{}, {"clips": "independent", "shuffle_buffer": 2, "clip_buffer": 5}]
)
@pytest.mark.parametrize("own", [range(0, 2), range(2, 4), range(3, 4)])
def test_own_lanes_are_the_same_as_among_all(own: range, settings: dict) -> None:
    def clips(own: range | None) -> Iterator[Clip]:
        choices = {"max_frame_stride": 2, "seed": 5, "skip": 8, **settings}
        return streams(videos_of(*LENGTHS), batch_size=4, own=own, **choices)

    wanted = [clip for n, clip in enumerate(itertools.islice(clips(None), 80)) if n % 4 in own]

    for clip, same in zip(itertools.islice(clips(own), len(wanted)), wanted, strict=True):
        assert_equal(clip, same)


def test_frames_of_clips_left_out_and_of_other_lanes_are_not_read() -> None:
    video = Video("a", 1000)
    next(streams([video], batch_size=50, own=range(49, 50)))
    assert video.frames_read <= 5  # a clip, and the frame after it where there is one

    video = Video("a", 1000)
    next(streams([video], skip=100))
    assert video.frames_read == 5  # a clip, and the frame whose boxes the augmentation looks at
