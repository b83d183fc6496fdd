from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import ClipBatch, GroundTruth
from lstd.config import augmentation_config as names
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import decode, pipeline, sequence_example
from lstd.data.problems import Report
from lstd.ops import images
from tests.data import records


def make(split: str, path: str | tuple[str, ...], **settings: object) -> tf.data.Dataset:
    """Returns the split's dataset; settings of `make_dataset` begin with an underscore."""
    options = {name[1:]: settings.pop(name) for name in list(settings) if name[0] == "_"}
    paths = (path,) if isinstance(path, str) else path
    values = {"batch_size": 1, "unroll_length": 4, "input_path": paths, **settings}
    config = DataConfig(**{split: DatasetConfig(**values)})
    return pipeline.make_dataset(config, split, **options)


def numbers(batch: ClipBatch) -> np.ndarray:
    """Returns the value of each frame's first pixel, `[B, T]`."""
    return batch.frames.numpy()[:, :, 0, 0, 0].astype(int)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("records")
    return records.write(
        folder / "abc.tfrecord",
        records.video_of("a", 11, base=0),
        records.video_of("b", 6, base=100),
        records.video_of("c", 3, base=200, boxes=2),
    )


def test_shapes_and_types_are_static(path: str) -> None:
    clips, truth = make("train", path, batch_size=2, max_boxes=5).element_spec

    assert clips.frames == tf.TensorSpec([2, 4, 6, 8, 3], tf.uint8)
    assert clips.starts == tf.TensorSpec([2, 4], tf.bool)
    assert clips.frame_index == tf.TensorSpec([2, 4], tf.int32)
    assert clips.video_id == tf.TensorSpec([2], tf.string)
    assert clips.where == tf.TensorSpec([2, 4], tf.string)
    assert truth.boxes == tf.TensorSpec([2, 4, 5, 4], tf.float32)
    assert truth.classes == tf.TensorSpec([2, 4, 5], tf.int32)
    assert truth.track_ids == tf.TensorSpec([2, 4, 5], tf.int32)
    assert truth.is_crowd == tf.TensorSpec([2, 4, 5], tf.bool)


def test_packed_pixels_are_what_they_were_however_they_lie_in_memory() -> None:
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    assert decode.packed(frame) == b"2 4\n" + bytes(range(24))
    for view in (frame, frame[:, ::-1], np.rot90(frame)):
        np.testing.assert_array_equal(decode.unpacked(decode.packed(view)), view)


def test_batches_after_those_left_out_are_the_same(path: str) -> None:
    steps = (names.HorizontalFlip(), names.SsdRandomCrop(probability=0.5))

    def dataset(skip: int) -> tf.data.Dataset:
        settings = {"augmentation": steps, "batch_size": 2, "reset_probability": 0.3}
        return make("train", path, **settings, _seed=3, _skip_batches=skip)

    wanted = dataset(0).skip(7).take(6)

    for batch, same in zip(dataset(7).take(6), wanted, strict=True):
        for ours, theirs in zip(tf.nest.flatten(batch), tf.nest.flatten(same), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def worker(number: int, *, of: int) -> tf.distribute.InputContext:
    return tf.distribute.InputContext(of, number, num_replicas_in_sync=of)


def test_workers_share_a_batch(path: str) -> None:
    settings = {"batch_size": 4, "reset_probability": 0.3, "_seed": 3}
    shares = [
        make("train", path, **settings, _input_context=worker(number, of=2)) for number in range(2)
    ]

    for whole, *parts in zip(make("train", path, **settings).take(5), *shares, strict=False):
        for wanted, *own in zip(tf.nest.flatten(whole), *map(tf.nest.flatten, parts), strict=True):
            assert [len(part) for part in own] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(own), wanted)


def test_training_repeats_itself_with_the_same_seed_only(path: str) -> None:
    steps = (names.HorizontalFlip(), names.SsdRandomCrop(probability=0.5))

    def dataset(seed: int) -> tf.data.Dataset:
        settings = {"batch_size": 2, "max_frame_stride": 2, "reset_probability": 0.3}
        return make("train", path, augmentation=steps, height=8, width=8, _seed=seed, **settings)

    def taken(dataset: tf.data.Dataset) -> list[bytes]:
        return [
            clips.frames.numpy().tobytes() + truth.boxes.numpy().tobytes()
            for clips, truth in dataset.take(4)
        ]

    first = dataset(1)
    once = taken(first)
    assert taken(first) == once  # each iterator begins anew
    assert taken(dataset(1)) == once
    assert taken(dataset(2)) != once


def test_augmentation_is_the_same_all_through_a_run(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a", records.video_of("a", 60), frames_per_record=60)
    flip = (names.HorizontalFlip(),)
    dataset = make("train", path, augmentation=flip, reset_probability=0.3)

    run, known = set(), set()
    for clips, truth in dataset.take(45):
        if clips.starts[0, 0]:
            known |= {frozenset(run)} - {frozenset()}
            run = set()
        run |= {tuple(box) for box in truth.boxes[0, :, 0].numpy().tolist()}
        assert len(run) == 1
    assert known == {frozenset({(0.25, 0.5, 0.75, 1.0)}), frozenset({(0.25, 0.0, 0.75, 0.5)})}


def test_evaluation_of_one_lane_is_exactly_this(path: str) -> None:
    batches = list(make("evaluation", path))

    assert [numbers(clips)[0].tolist() for clips, _ in batches] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 10],
        [100, 101, 102, 103], [104, 105, 105, 105],
        [200, 201, 202, 202],
    ]  # fmt: skip
    assert [clips.frame_index.numpy()[0].tolist() for clips, _ in batches] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, -1],
        [0, 1, 2, 3], [4, 5, -1, -1],
        [0, 1, 2, -1],
    ]  # fmt: skip
    starts = np.array([clips.starts.numpy()[0] for clips, _ in batches])
    np.testing.assert_array_equal(starts[:, 0], [1, 0, 0, 1, 0, 1])
    assert not starts[:, 1:].any()
    assert batches[0][0].where[0, 3] == f"{path}: record 0 (from 0), frame 3".encode()


def test_ground_truth_is_padded_with_class_minus_one(path: str) -> None:
    *_, (_, truth) = make("evaluation", path, max_boxes=3)

    np.testing.assert_array_equal(truth.classes[0], [[0, 1, -1]] * 4)
    np.testing.assert_array_equal(truth.track_ids[0], [[10, 11, -1]] * 4)
    box = [0.25, 0.5, 0.75, 1]
    np.testing.assert_array_equal(truth.boxes[0], [[box, box, [0, 0, 0, 0]]] * 4)
    assert not truth.is_crowd.numpy().any()


def test_too_many_boxes_are_cut_counted_and_told_of(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    report = Report()
    dataset = make("evaluation", path, max_boxes=1, _report=report)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            *_, (_, truth) = dataset

    assert truth.classes.shape == (1, 4, 1)
    first, summary = [record.getMessage() for record in caplog.records]
    assert "abc.tfrecord: record 5 (from 0), frame 0: 2 boxes, max_boxes is 1" in first
    assert "too_many_boxes: 3 x skip" in summary
    assert report.counts == {("too_many_boxes", "skip"): 3}  # once, however often it is read


def test_frames_are_resized_as_the_original_does(path: str) -> None:
    gradient = np.random.default_rng(0).integers(0, 256, [4, 6, 8, 3], np.uint8)
    empty = GroundTruth(np.zeros([0, 4]), np.zeros([0]))
    record = sequence_example.encode(gradient, [empty] * 4, image_format="png")
    file = Path(path).parent / "gradient.tfrecord"
    sequence_example.write(file, [record])

    clips, _ = next(iter(make("evaluation", str(file), height=5, width=7)))

    assert clips.frames.dtype == tf.float32
    np.testing.assert_array_equal(clips.frames[0], images.resize(gradient, 5, 7))


def test_videos_of_several_sizes_need_a_size(path: str) -> None:
    other = records.write(Path(path).parent / "other", records.video_of("d", 4, size=(6, 6)))

    with pytest.raises(
        ValueError, match=r"'a' is 6 x 8 pixels, 'd' is 6 x 6; set data\.train\.height"
    ):
        make("train", (path, other))
    clips, _ = next(iter(make("train", (path, other), height=12, width=12, batch_size=4)))
    assert clips.frames.shape == (4, 4, 12, 12, 3)


def test_tracks_are_none_unless_the_data_has_them(path: str, tmp_path: Path) -> None:
    truth = GroundTruth(np.float32([[0, 0, 1, 1]]), np.array([0]))
    record = sequence_example.encode(np.zeros([1, 6, 8, 3], np.uint8), [truth])
    sequence_example.write(tmp_path / "a", [record])

    def tracks(file: str, wanted: bool | None) -> tf.Tensor | None:
        return next(iter(make("evaluation", file, max_boxes=1, _with_tracks=wanted)))[1].track_ids

    assert tracks(str(tmp_path / "a"), None) is None
    assert tracks(path, False) is None
    np.testing.assert_array_equal(tracks(path, None)[0], [[10]] * 4)
    np.testing.assert_array_equal(tracks(str(tmp_path / "a"), True)[0], [[-1]] * 4)


def test_without_limit_the_padding_is_what_the_batch_needs(path: str) -> None:
    _, truth = next(iter(make("evaluation", path, max_boxes=0, batch_size=3)))
    np.testing.assert_array_equal(truth.track_ids[:, 0], [[10, -1], [10, -1], [10, 11]])


def test_a_class_out_of_range_is_named(path: str, tmp_path: Path) -> None:
    make("train", path, _num_classes=2)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"record 5 .*frame 0, box 1: class '2' .*expected 1 to 1 ",
    ):
        list(make("evaluation", path, _num_classes=1))  # the third video has a second class
    zero = tf.train.SequenceExample.FromString(
        next(tf.data.TFRecordDataset(path).as_numpy_iterator())
    )
    zero.feature_lists.feature_list["bbox/label/index"].feature[1].int64_list.value[0] = 0
    sequence_example.write(tmp_path / "zero", [zero.SerializeToString()])
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"zero: record 0 .*frame 1, box 0: class '0 .1 is the first.'",
    ):
        list(make("evaluation", str(tmp_path / "zero")))


@pytest.mark.parametrize(
    ("split", "settings", "message"),
    [
        ("train", {"input_path": ()}, r"data\.train\.input_path is empty"),
        (
            "train",
            {"batch_size": 3, "_input_context": worker(0, of=2)},
            "3 cannot be divided among 2",
        ),
        ("evaluation", {"_input_context": worker(0, of=2)}, "input_context is for training"),
        ("evaluation", {"_skip_batches": 2}, "skip_batches is for training, got 2"),
        ("evaluation", {"reset_probability": 0.1}, r"data\.evaluation\.reset_probability is 0\.1"),
        ("evaluation", {"max_frame_stride": 2}, r"data\.evaluation\.max_frame_stride is 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    path: str, split: str, settings: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(split, path, **settings)


def test_transposition_needs_square_frames(path: str) -> None:
    steps = (names.Transpose(probability=1.0),)

    with pytest.raises(ValueError, match="square frames, got 6 x 8"):
        make("train", path, augmentation=steps)
    clips, truth = next(iter(make("train", path, augmentation=steps, height=8, width=8)))
    assert clips.frames.shape == (1, 4, 8, 8, 3)
    np.testing.assert_array_equal(truth.boxes[0, 0, 0], [0.5, 0.25, 1, 0.75])


def test_an_opened_split_tells_how_long_its_videos_are(path: str, tmp_path: Path) -> None:
    silent = tmp_path / "silent.tfrecord"  # of a writer that does not tell how long a record is
    kept = [raw.numpy() for raw in tf.data.TFRecordDataset(path)]
    examples = [tf.train.SequenceExample.FromString(raw) for raw in kept]
    for example in examples:
        del example.context.feature["record/num_frames"]
    sequence_example.write(silent, [example.SerializeToString() for example in examples])

    def lengths(file: str | Path, **settings: object) -> dict[str, int | None]:
        values = DatasetConfig(input_path=(str(file),), batch_size=1, **settings)
        videos = pipeline.open_split(DataConfig(evaluation=values), "evaluation").videos
        return {video.name: video.known_frames for video in videos}

    assert lengths(path) == {"a": 11, "b": 6, "c": 3}
    assert lengths(silent) == {"a": 11, "b": 6, "c": 3}
    # Only reading tells. The first video has been read: a data set must have a frame to show.
    assert lengths(path, problems={"corrupt_image": "skip"}) == {"a": 11, "b": None, "c": None}
