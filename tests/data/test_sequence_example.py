"""Records as they are written and read, and what is told of records that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.data import record_files, sequence_example
from lstd.data.problems import ProblemError
from lstd.data.sources import SourceFrame
from lstd.ops import images

EMPTY = GroundTruth(np.zeros([0, 4], np.float32), np.zeros([0], np.int32))
FRAMES = np.random.default_rng(0).integers(0, 256, [3, 5, 7, 3], np.uint8)
TRUTHS = [
    GroundTruth(
        boxes=np.array([[0, 0, 0.5, 1], [0.25, 0.5, 0.75, 0.75], [0, 0, 0, 0]], np.float32),
        classes=np.array([1, 0, -1], np.int32),
        track_ids=np.array([7, -1, -1], np.int32),
        is_crowd=np.array([True, False, False]),
    ),
    EMPTY,
    GroundTruth(np.array([[0, 0, 1, 1]], np.float32), np.array([2], np.int32)),
]
LABELS = ("ant", "bee", "cat")


def encode(**changes: object) -> bytes:
    options = {"labels": LABELS, "source_id": "v", "image_format": "png", **changes}
    return sequence_example.encode(list(FRAMES), TRUTHS, **options)


def frames_of(folder: Path, record: bytes) -> list[SourceFrame]:
    sequence_example.write(folder / "a", [record])
    (video,) = record_files.list_videos([str(folder / "a")])
    return record_files.frames_of(video.parts[0])


def test_regions_to_ignore_are_stored_as_class_0_and_come_back(tmp_path: Path) -> None:
    truth = TRUTHS[0]._replace(classes=np.array([-1, 2, -1], np.int32))
    record = sequence_example.encode(list(FRAMES[:1]), [truth], labels=LABELS, image_format="png")
    lists = tf.train.SequenceExample.FromString(record).feature_lists.feature_list
    assert lists["bbox/label/index"].feature[0].int64_list.value == [0, 3]
    assert lists["bbox/label/string"].feature[0].bytes_list.value == [b"", b"cat"]

    [frame] = frames_of(tmp_path, record)
    assert frame.truth.classes.tolist() == [-1, 2]
    assert frame.truth.is_crowd.tolist() == [True, False]


def test_frames_and_boxes_come_back_bit_equal(tmp_path: Path) -> None:
    frames = frames_of(tmp_path, encode())

    for frame, pixels, boxes, classes, tracks, crowd in zip(
        frames,
        FRAMES,
        [TRUTHS[0].boxes[:2], EMPTY.boxes, TRUTHS[2].boxes],
        [[1, 0], [], [2]],
        [[7, -1], [], [-1]],
        [[True, False], [], [False]],
        strict=True,
    ):
        np.testing.assert_array_equal(images.decode(frame.image), pixels)
        np.testing.assert_array_equal(frame.truth.boxes, boxes)
        assert frame.truth.classes.tolist() == classes
        assert frame.truth.track_ids.tolist() == tracks
        assert frame.truth.is_crowd.tolist() == crowd


def test_jpeg_frames_come_back_similar_and_better_quality_is_closer() -> None:
    smooth = np.linspace(0, 255, 16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)

    def error(quality: int) -> float:
        image = images.decode(images.encode(smooth, "jpeg", quality=quality)).numpy()
        return float(np.abs(image.astype(float) - smooth).mean())

    assert error(95) < 8  # chroma is stored at half resolution
    assert error(95) < error(10)


def test_a_record_has_the_original_s_keys() -> None:
    example = tf.train.SequenceExample.FromString(encode(first_frame=9, filename="v.mp4"))
    context = example.context.feature

    texts = {"image/format": b"png", "image/filename": b"v.mp4", "image/source_id": b"v"}
    for name, text in texts.items():
        assert context[name].bytes_list.value[0] == text
    assert len(context["image/key/sha256"].bytes_list.value[0]) == 64
    numbers = {"image/height": 5, "image/width": 7, "video/first_frame": 9}
    for name, number in numbers.items():
        assert context[name].int64_list.value[0] == number
    lists = example.feature_lists.feature_list
    assert list(lists["bbox/label/string"].feature[0].bytes_list.value) == [b"bee", b"ant"]
    assert list(lists["bbox/label/index"].feature[0].int64_list.value) == [2, 1]  # 1-based
    # 0.5 * 5 x 1 * 7 pixels, 0.5 * 5 x 0.25 * 7 pixels
    np.testing.assert_allclose(lists["area"].feature[0].float_list.value, [17.5, 4.375], rtol=1e-6)
    for name in ("difficult", "group_of"):
        assert list(lists[name].feature[0].int64_list.value) == [0, 0]
    assert {len(value.feature) for value in lists.values()} == {3}


def test_a_record_may_have_nothing_but_images(tmp_path: Path) -> None:
    example = tf.train.SequenceExample.FromString(encode())
    for name in list(example.feature_lists.feature_list):
        if name != "image/encoded":
            del example.feature_lists.feature_list[name]

    frames = frames_of(tmp_path, example.SerializeToString())

    assert [frame.truth.boxes.shape for frame in frames] == [(0, 4)] * 3
    assert frames[0].truth.track_ids is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lists: lists.pop("image/encoded"), "0 frames in 'image/encoded'"),
        (lambda lists: lists.pop("bbox/xmax"), r"frame 0: the lists .* bbox/xmax 0, .*is_crowd 2"),
        (lambda lists: lists.pop("bbox/label/index"), "bbox/ymax 2, .*bbox/label/index 0"),
        (lambda lists: lists["is_crowd"].feature.pop(), "'is_crowd' has 2 frames of 3"),
        (lambda lists: lists["is_crowd"].feature[0].Clear(), ""),
        (lambda lists: lists["image/encoded"].feature[0].Clear(), ""),
        (
            lambda lists: lists["image/encoded"].feature[1].bytes_list.value.append(b"0"),
            "frame 1: .* several images: image/encoded 2",
        ),
        (
            lambda lists: lists["bbox/xmin"].feature[0].bytes_list.value.append(b"0"),
            "bbox/xmin holds text, expected numbers",
        ),
    ],
)
def test_lists_that_do_not_fit_are_named(spoil: Callable, message: str, tmp_path: Path) -> None:
    example = tf.train.SequenceExample.FromString(encode())
    del example.context.feature["record/num_frames"]
    spoil(example.feature_lists.feature_list)
    if not message:  # may be empty
        assert len(frames_of(tmp_path, example.SerializeToString())) == 3
        return
    with pytest.raises(ProblemError, match=rf"a: record 0 \(from 0\).* {message}"):
        frames_of(tmp_path, example.SerializeToString())


@pytest.mark.parametrize(
    ("frames", "truths", "options", "message"),
    [
        ([], [], {}, "at least one frame"),
        (list(FRAMES), TRUTHS[:2], {}, "3 frames and 2 truths"),
        ([FRAMES[0], FRAMES[1, :4]], TRUTHS[:2], {}, "frames of one size"),
        ([FRAMES[0] / 255.0], TRUTHS[:1], {}, "got float64"),
        ([FRAMES[0]], TRUTHS[:1], {"labels": ("ant",)}, "class 1 has no label"),
        ([FRAMES[0]], TRUTHS[:1], {"image_format": "gif"}, "'jpeg' or 'png', got 'gif'"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    frames: list, truths: list, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sequence_example.encode(frames, truths, **options)


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.tfrecord"

    def broken() -> object:
        yield encode()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        sequence_example.write(path, broken())
    assert list(path.parent.iterdir()) == []
    with pytest.raises(ValueError, match="no examples"):
        sequence_example.write(path, [])
    assert sequence_example.write(path, [encode(), encode()]) == 2
    assert [file.name for file in path.parent.iterdir()] == ["a.tfrecord"]
