"""TFRecord files that were written by others."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.data import readers, sequence_example
from lstd.data.problems import ProblemError
from lstd.data.source_images import pixels
from lstd.data.sources import UNKNOWN_CLASS
from tests.data import records

Image = pytest.importorskip("PIL.Image")


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full([50, 100, 3], value, np.uint8)).save(file, format="PNG")
    return file.getvalue()


def feature(*values: float | int | bytes | str) -> tf.train.Feature:
    values = tuple(v.encode() if isinstance(v, str) else v for v in values)
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**changes: tf.train.Feature) -> bytes:
    """Returns a record as the Object Detection API's own tutorial builds it."""
    features = {
        "image/height": feature(50),
        "image/width": feature(100),
        "image/filename": feature("a.png"),
        "image/source_id": feature("a.png"),
        "image/encoded": feature(png(7)),
        "image/format": feature("png"),
        "image/object/bbox/xmin": feature(0.1, 0.6),
        "image/object/bbox/xmax": feature(0.3, 1.0),
        "image/object/bbox/ymin": feature(0.1, 0.0),
        "image/object/bbox/ymax": feature(0.5, 1.0),
        "image/object/class/text": feature("bee", "ant"),
        "image/object/class/label": feature(2, 1),
        **changes,
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(path: Path, *records: bytes) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize(
    "name", ["a.tfrecord", "train.record", "train.record-00000-of-00001", "A.TFRecord-0-of-1"]
)
def test_tf_examples_are_videos_of_one_frame(tmp_path: Path, name: str) -> None:
    none = feature()
    empty = {f"image/object/bbox/{side}": none for side in ("xmin", "xmax", "ymin", "ymax")}
    write(
        tmp_path / name,
        example(),
        example(
            **empty,
            **{
                "image/source_id": feature("b.png"),
                "image/object/class/text": none,
                "image/object/class/label": none,
                "image/encoded": feature(png(9)),
            },
        ),
    )
    source = readers.open(tmp_path)

    assert (source.format, source.labels) == ("tf_example", ("ant", "bee"))
    assert [(v.name, v.num_frames, v.height, v.width) for v in source.videos] == [
        ("a.png", 1, 50, 100),
        ("b.png", 1, 50, 100),
    ]
    one, two = (next(video.read()) for video in source.videos)
    np.testing.assert_array_equal(
        one.truth.boxes, np.float32([[0.1, 0.1, 0.5, 0.3], [0.0, 0.6, 1.0, 1.0]])
    )
    assert one.truth.classes.tolist() == [1, 0]
    assert one.truth.track_ids is None
    assert two.truth.boxes.shape == (0, 4)
    assert [int(pixels(f.image, where="")[0, 0, 0]) for f in (one, two)] == [7, 9]
    assert next(source.videos[0].read(images=False)).image is None
    assert [*source.videos[0].read(1, 1)] == []


@pytest.mark.parametrize(
    ("tracks", "crowds", "expected"),
    [((4, 9), (1, 0), ([4, 9], [True, False])), ((), (), (None, [False, False]))],
)
def test_tf_examples_may_have_tracks_and_crowds_and_wrong_classes(
    tmp_path: Path, tracks: tuple[int, ...], crowds: tuple[int, ...], expected: tuple
) -> None:
    changes = {"is_crowd": crowds, "track/label": tracks, "class/label": (0, 1)}
    record = example(**{f"image/object/{key}": feature(*value) for key, value in changes.items()})
    path = write(tmp_path / "a.tfrecord", record)
    frame = next(readers.open(path, labels=["ant"]).videos[0].read())

    assert frame.truth.classes.tolist() == [UNKNOWN_CLASS, 0]
    assert frame.class_texts[0] == "0 (1 is the first)"
    ids = frame.truth.track_ids
    assert (None if ids is None else ids.tolist(), frame.truth.is_crowd.tolist()) == expected


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("image/encoded", 7, "holds numbers, expected text"),
        ("image/filename", 1, "holds numbers, expected text"),
        ("image/height", b"9", "image/height holds text, expected numbers"),
        ("image/object/bbox/ymin", "7", "bbox/ymin holds text, expected numbers"),
        ("image/width", float("inf"), "holds [inf], expected whole numbers"),
        ("image/object/class/label", float("nan"), "holds [nan], expected whole numbers"),
        ("image/height", 10**12, "1000000000000 pixels"),
    ],
)
def test_a_feature_of_another_kind_is_damage(
    tmp_path: Path, key: str, value: bytes | str | float, told: str
) -> None:
    path = write(tmp_path / "a.tfrecord", example(**{key: feature(value)}))
    with pytest.raises(ProblemError, match=rf"record 0 .*{re.escape(told)}"):
        readers.open(path)


def test_what_is_no_tf_example_or_has_no_image_is_named(tmp_path: Path) -> None:
    broken = tf.train.Example.FromString(example())
    del broken.features.feature["image/encoded"]
    path = write(tmp_path / "a.tfrecord", example(), broken.SerializeToString())
    with pytest.raises(ValueError, match=r"a\.tfrecord: record 1 \(from 0\) has no 'image/"):
        readers.open(path)
    write(path, b"\xff\xff\xff")
    with pytest.raises(ValueError, match=r"a\.tfrecord: record 0 \(from 0\) is not a"):
        readers.open(path)
    write(path, example())
    with pytest.raises(ProblemError, match=r"record 0 \(from 0\) is a tf\.Example, expected a Seq"):
        readers.open(path, format="sequence_example")


@pytest.mark.parametrize("encoded", [feature(), feature(b"")])
def test_an_empty_image_is_a_frame_that_is_missing(
    tmp_path: Path, encoded: tf.train.Feature
) -> None:
    path = write(tmp_path / "a.tfrecord", example(**{"image/encoded": encoded}))
    [frame] = readers.open(path).videos[0].read()
    with pytest.raises(ProblemError, match=r"record 0 .*there is no image .*missing_frame; repair"):
        pixels(frame.image, where=frame.where)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bbox/xmin", (0.5,)),
        ("class/label", (2, 1, 1)),
        ("is_crowd", (0,)),
        ("track/label", (4, 5, 6)),
    ],
)
def test_lists_of_several_lengths_are_named(
    tmp_path: Path, name: str, values: tuple[float, ...]
) -> None:
    path = write(
        tmp_path / "a.tfrecord", example(), example(**{f"image/object/{name}": feature(*values)})
    )
    with pytest.raises(
        ProblemError, match=rf"record 1 \(from 0\): the lists .* {name} {len(values)}"
    ) as caught:
        readers.open(path)

    assert caught.value.kind == "damaged_record"
    assert readers.open(path, skip_damaged=True).damaged == (caught.value.message,)


def test_tf_examples_are_grouped_by_the_names_of_frames_of_videos(tmp_path: Path) -> None:
    for part, number in (("train", 2), ("valid", 1)):
        (tmp_path / part).mkdir()
        name = feature(f"a_mp4-{number}_jpg.rf.{part}.jpg")
        changes = {"image/encoded": feature(png(number)), "image/filename": name}
        write(
            tmp_path / part / "bugs.tfrecord",
            example(**changes, **{"image/source_id": feature(f"{number}")}),
        )
    apart = readers.open(tmp_path, stills=True)
    joined = readers.open(tmp_path)

    assert [one.num_frames for one in apart.videos] == [1, 1]
    assert "all subsets are taken: train, valid" in apart.notes[0]
    assert "taken for 1 videos, by their names; if they are single" in joined.notes[1]
    assert readers.open(tmp_path, folders=True).videos == joined.videos
    [note] = readers.open(write(tmp_path / "nameless", example(), example())).notes
    assert "every record is a video of one frame; if their names, such as " in note
    assert [(one.name, one.num_frames) for one in joined.videos] == [("a_mp4", 2)]
    frames = [*joined.videos[0].read()]
    assert [int(pixels(frame.image, where="")[0, 0, 0]) for frame in frames] == [1, 2]
    assert next(joined.videos[0].read(1, 2)).where == frames[1].where
    assert len(readers.open(tmp_path, subset="val").videos) == 1


def test_a_frame_whose_names_cannot_be_read_keeps_those_of_the_others(tmp_path: Path) -> None:
    video = records.video_of("v", 3, boxes=2)
    content = sequence_example.encode(video.images, video.truths, labels=["ant", "bee"])
    record = tf.train.SequenceExample.FromString(content)
    names = record.feature_lists.feature_list["bbox/label/string"].feature
    names[0].CopyFrom(feature(1, 2))
    path = tmp_path / "a.tfrecord"
    sequence_example.write(path, [record.SerializeToString()])

    source = readers.open(path)

    assert source.labels == ("ant", "bee")
    assert next(source.videos[0].read()).truth.classes.tolist() == [0, 1]
    told = f"class names of 1 frames cannot be read, such as {path}: record 0 (from 0), frame 0: "
    assert source.notes == (f"{told}bbox/label/string holds numbers, expected text",)
    record.feature_lists.feature_list["bbox/label/index"].feature[2].CopyFrom(feature("x"))
    path = tmp_path / "b.tfrecord"  # what was read of a.tfrecord is kept
    sequence_example.write(path, [record.SerializeToString()])
    with pytest.raises(ProblemError, match=r"record 0 .*, frame 2: bbox/label/index holds text"):
        [*readers.open(path).videos[0].read()]
