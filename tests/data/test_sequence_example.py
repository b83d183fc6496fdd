from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.data import sequence_example

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


def test_png_frames_come_back_bit_equal() -> None:
    np.testing.assert_array_equal(sequence_example.decode(encode())["image"], FRAMES)


def test_jpeg_frames_come_back_similar_and_better_quality_is_closer() -> None:
    smooth = np.linspace(0, 255, 16 * 16 * 3).reshape(1, 16, 16, 3).astype(np.uint8)

    def error(quality: int) -> float:
        record = sequence_example.encode(smooth, [EMPTY], image_format="jpeg", quality=quality)
        image = sequence_example.decode(record)["image"].numpy()
        return float(np.abs(image.astype(float) - smooth).mean())

    assert error(95) < 8  # chroma is stored at half resolution
    assert error(95) < error(10)


def test_boxes_come_back_padded_with_the_original_s_values() -> None:
    record = sequence_example.parse(encode())

    np.testing.assert_array_equal(
        record.boxes,
        np.array(
            [
                [[0, 0, 0.5, 1], [0.25, 0.5, 0.75, 0.75]],
                [[-1, -1, -1, -1], [-1, -1, -1, -1]],
                [[0, 0, 1, 1], [-1, -1, -1, -1]],
            ]
        ),
    )
    np.testing.assert_array_equal(record.classes, [[2, 1], [0, 0], [3, 0]])  # 1-based
    np.testing.assert_array_equal(record.track_ids, [[7, -1], [-1, -1], [-1, -1]])
    np.testing.assert_array_equal(record.is_crowd, [[1, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(record.present, [[1, 1], [0, 0], [1, 0]])
    # 0.5 * 5 x 1 * 7 pixels, 0.5 * 5 x 0.25 * 7 pixels, 5 x 7 pixels
    np.testing.assert_allclose(record.area, [[17.5, 4.375], [0, 0], [35, 0]], rtol=1e-6)
    assert bool(record.has_tracks)


def test_a_record_has_the_original_s_keys() -> None:
    example = tf.train.SequenceExample.FromString(encode(first_frame=9, filename="v.mp4"))
    context = example.context.feature

    assert context["image/format"].bytes_list.value[0] == b"png"
    assert context["image/filename"].bytes_list.value[0] == b"v.mp4"
    assert context["image/source_id"].bytes_list.value[0] == b"v"
    assert len(context["image/key/sha256"].bytes_list.value[0]) == 64
    assert context["image/height"].int64_list.value[0] == 5
    assert context["image/width"].int64_list.value[0] == 7
    assert context["video/first_frame"].int64_list.value[0] == 9
    lists = example.feature_lists.feature_list
    assert list(lists["bbox/label/string"].feature[0].bytes_list.value) == [b"bee", b"ant"]
    assert {len(value.feature) for value in lists.values()} == {3}


def test_a_record_may_have_nothing_but_images() -> None:
    example = tf.train.SequenceExample.FromString(encode())
    for name in list(example.feature_lists.feature_list):
        if name != "image/encoded":
            del example.feature_lists.feature_list[name]
    record = sequence_example.parse(example.SerializeToString())

    assert record.boxes.shape == (3, 0, 4)
    assert not bool(record.has_tracks)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("image/encoded", "no frames"),
        ("bbox/xmax", "'bbox/xmax' and 'bbox/ymin' differ in length"),
        ("is_crowd", "'is_crowd' and 'image/encoded' differ in their number of frames"),
    ],
)
def test_a_missing_list_is_named(key: str, message: str) -> None:
    example = tf.train.SequenceExample.FromString(encode())
    if key == "is_crowd":
        del example.feature_lists.feature_list[key].feature[2]
    else:
        del example.feature_lists.feature_list[key]

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        sequence_example.parse(example.SerializeToString())


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
