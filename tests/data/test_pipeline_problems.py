"""Bad data in the pipeline: each problem meets the answer that the config chooses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import pipeline, sequence_example
from lstd.data.problems import Report
from tests.data import records

BOX = [0.25, 0.25, 0.75, 0.75]
FRAMES = 6


class Shown:
    """What an evaluation dataset shows: the value of each frame's pixels, its boxes, the report."""

    def __init__(self, *paths: str, num_classes: int | None = 3, **settings: object) -> None:
        self.report = Report()
        values = {
            "input_path": paths, "batch_size": 1, "unroll_length": 2, "max_boxes": 4, **settings
        }  # fmt: skip
        config = DataConfig(evaluation=DatasetConfig(**values))
        dataset = pipeline.make_dataset(
            config, "evaluation", num_classes=num_classes, report=self.report
        )
        self.values: list[int] = []
        self.boxes: list[list] = []
        self.videos: list[str] = []
        for clip, truth in dataset:
            for t, number in enumerate(clip.frame_index.numpy()[0]):
                if number >= 0:
                    self.values.append(int(clip.frames.numpy()[0, t, 0, 0, 0]))
                    rows = truth.classes.numpy()[0, t] >= 0
                    self.boxes.append(np.round(truth.boxes.numpy()[0, t][rows], 4).tolist())
                    self.videos.append(clip.video_id.numpy()[0].decode())


def refusal(*paths: str, **settings: object) -> str:
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as error:
        Shown(*paths, **settings)
    return str(error.value)


# Records.

Change = Callable[[tf.train.SequenceExample], None]


def record(path: Path, *changes: Change, boxes: int = 1) -> str:
    """Writes a video of which frame n has the value n, after changes; returns the path."""
    truth = GroundTruth(
        np.tile(np.float32([BOX]), [boxes, 1]),
        np.zeros(boxes, np.int32),
        np.arange(boxes, dtype=np.int32),
    )
    video = records.Video(
        "v", [np.full([8, 8, 3], n, np.uint8) for n in range(FRAMES)], [truth] * FRAMES
    )
    records.write(path, video, frames_per_record=FRAMES)
    (example,) = examples_in(path)
    for change in changes:
        change(example)
    sequence_example.write(path, [example.SerializeToString()])
    return str(path)


def examples_in(path: str | Path) -> list[tf.train.SequenceExample]:
    content = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [*map(tf.train.SequenceExample.FromString, content)]


def changed(name: str, value: float | bytes, *, frames: Sequence[int] = (2,)) -> Change:
    """Returns the change of the first value that some frames have in a list."""

    def change(example: tf.train.SequenceExample) -> None:
        for number in frames:
            feature = example.feature_lists.feature_list[name].feature[number]
            getattr(feature, feature.WhichOneof("kind")).value[0] = value

    return change


def png(height: int, width: int, value: int) -> bytes:
    return tf.io.encode_png(np.full([height, width, 3], value, np.uint8)).numpy()


@pytest.mark.parametrize(
    ("kind", "change", "words", "mended"),
    [
        ("box_inverted", changed("bbox/xmax", 0.125), "is inverted", [0.25, 0.125, 0.75, 0.25]),
        ("unknown_class", changed("bbox/label/index", 9), "class '9' is not among", None),
    ],
)
def test_a_bad_box_is_refused_mended_or_left_out(
    kind: str, change: Change, words: str, mended: list | None, tmp_path: Path
) -> None:
    path = record(tmp_path / "bad.tfrecord", change)

    message = refusal(path)
    assert "bad.tfrecord: record 0 (from 0), frame 2, box 0" in message
    assert words in message
    left_out = Shown(path, problems={kind: "skip"})
    assert left_out.values == list(range(FRAMES))
    assert left_out.boxes == [[BOX]] * 2 + [[]] + [[BOX]] * 3
    assert left_out.report.counts == {(kind, "skip"): 1}
    if mended is not None:
        repaired = Shown(path, problems={kind: "repair"})
        assert repaired.boxes[2] == [mended]
        assert repaired.report.counts == {(kind, "repair"): 1}


def test_what_the_original_dropped_in_silence_is_counted(tmp_path: Path) -> None:
    path = record(tmp_path / "bad.tfrecord", changed("bbox/xmax", float("nan")), boxes=5)
    shown = Shown(path)
    assert shown.report.counts == {
        ("box_not_a_number", "skip"): 1,
        ("too_many_boxes", "skip"): 5,  # of six frames, one has a box less
    }
    assert "frame 0: 5 boxes, max_boxes is 4" in refusal(path, problems={"too_many_boxes": "error"})
    assert [len(boxes) for boxes in Shown(path, max_boxes=0).boxes] == [5, 5, 4, 5, 5, 5]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("corrupt_image", b"\xff\xd8\xffnothing", "the image is not a JPEG or PNG, or damaged"),
        ("frame_size", png(8, 12, 2), "the frame is 8 x 12 pixels, expected 8 x 8"),
    ],
)
def test_a_bad_picture_is_refused_replaced_or_left_out(
    kind: str, data: bytes, words: str, tmp_path: Path
) -> None:
    path = record(tmp_path / "bad.tfrecord", changed("image/encoded", data))

    message = refusal(path)
    assert "bad.tfrecord: record 0 (from 0), frame 2" in message
    assert words in message
    left_out = Shown(path, problems={kind: "skip"})
    assert left_out.values == [0, 1, 3, 4, 5]
    assert left_out.report.counts == {(kind, "skip"): 1}
    repaired = Shown(path, problems={kind: "repair"})
    assert repaired.values == ([0, 1, 1, 3, 4, 5] if kind == "corrupt_image" else list(range(6)))
    assert repaired.report.counts == {(kind, "repair"): 1}


def shard(path: Path) -> str:
    """Writes video a in records of 5, 5 and 2 frames, and video b of 3."""
    return records.write(path, records.video_of("a", 12), records.video_of("b", 3, base=100))


def records_in(path: str) -> list[int]:
    """Returns where each record ends."""
    data, ends = Path(path).read_bytes(), [0]
    while ends[-1] < len(data):
        length = int.from_bytes(data[ends[-1] : ends[-1] + 8], "little")
        ends.append(ends[-1] + length + 16)
    return ends[1:]


@pytest.mark.parametrize("place", [1, 0])
def test_a_record_with_a_wrong_checksum_is_refused_or_left_out(place: int, tmp_path: Path) -> None:
    path = shard(tmp_path / "bad.tfrecord")
    data = bytearray(Path(path).read_bytes())
    data[records_in(path)[place] - 20] ^= 1
    Path(path).write_bytes(data)

    assert f"bad.tfrecord: record {place} (from 0) is damaged" in refusal(path)
    shown = Shown(path, problems={"damaged_record": "skip"})
    expected = [*range(5), 10, 11] if place == 1 else [*range(5, 12)]
    assert shown.values == [*expected, 100, 101, 102]
    assert shown.report.counts == {("damaged_record", "skip"): 1}


def test_a_truncated_file_is_refused_or_read_up_to_there(tmp_path: Path) -> None:
    path = shard(tmp_path / "bad.tfrecord")
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: records_in(path)[1] + 30])

    assert "bad.tfrecord: ends within record 2 (from 0)" in refusal(path)
    shown = Shown(path, problems={"damaged_record": "skip"})
    assert shown.values == list(range(10))
    assert shown.report.counts == {("damaged_record", "skip"): 1}


def test_a_lost_shard_is_refused_or_stepped_over(tmp_path: Path) -> None:
    path = shard(tmp_path / "bad.tfrecord")
    ends, data = records_in(path), Path(path).read_bytes()
    Path(path).write_bytes(data[: ends[0]] + data[ends[1] :])

    message = refusal(path)
    assert "bad.tfrecord: record 1 (from 0) of video 'a' begins at frame 10, expected 5" in message
    shown = Shown(path, problems={"missing_frame": "skip"})
    assert shown.values == [*range(5), 10, 11, 100, 101, 102]
    assert shown.report.counts == {("missing_frame", "skip"): 5}
    shown = Shown(path, problems={"missing_frame": "repair"})
    assert shown.values == [*range(5), 4, 4, 4, 4, 4, 10, 11, 100, 101, 102]
    assert shown.report.counts == {("missing_frame", "repair"): 5}
    # What damage explains is counted as damage, what it does not is not swallowed by it.
    assert "expected 5" in refusal(path, problems={"damaged_record": "skip"})


def test_a_record_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path / "bad.tfrecord")
    first, second, *_ = examples_in(path)
    second.context.feature["video/first_frame"].int64_list.value[0] = 3
    sequence_example.write(path, [first.SerializeToString(), second.SerializeToString()])

    assert "begins at frame 3, expected 5: frames are there twice" in refusal(path)


def test_two_videos_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    one = records.write(tmp_path / "one", records.video_of("v", 2))
    other = records.write(tmp_path / "two", records.video_of("v", 2, base=50))

    shown = Shown(one, other)
    assert shown.videos == ["v", "v", "v~2", "v~2"]
    assert shown.report.counts == {("doubled_video", "repair"): 1}
    assert Shown(one, other, problems={"doubled_video": "skip"}).values == [0, 1]
    message = refusal(one, other, problems={"doubled_video": "error"})
    assert f"{other}: another video has the name 'v', too" in message


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.tfrecord").touch()
    for path in ("folder", "empty.tfrecord"):
        assert path in refusal(str(tmp_path / path))
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes(Path(shard(tmp_path / "whole")).read_bytes()[:100])
    message = refusal(str(cut), problems={"damaged_record": "skip"})
    assert "data.evaluation.input_path: there is no video in these files" in message


def test_a_video_whose_frames_are_all_bad_is_passed_over(tmp_path: Path) -> None:
    nothing = changed("image/encoded", b"nothing", frames=range(FRAMES))
    bad = record(tmp_path / "a.tfrecord", nothing)
    good = records.write(tmp_path / "b.tfrecord", records.video_of("w", 2, size=(8, 8)))

    answers = {"corrupt_image": "skip", "empty_video": "skip"}
    shown = Shown(bad, good, problems=answers)
    assert shown.values == [0, 1]
    assert shown.report.counts == {("corrupt_image", "skip"): 6, ("empty_video", "skip"): 1}
    assert "video 'v' has no frames" in refusal(bad, good, problems={"corrupt_image": "skip"})


def test_numbers_that_no_int32_holds_are_told(tmp_path: Path) -> None:
    track = record(tmp_path / "track", changed("bbox/track_id", 2**31))
    label = record(tmp_path / "label", changed("bbox/label/index", 2**32 + 1))

    message = refusal(track)
    assert "track: record 0 (from 0), frame 2: a track id is 2147483648, expected" in message
    assert f"class '{2**32 + 1}'" in refusal(label)
    assert Shown(label, problems={"unknown_class": "skip"}).report.counts == {
        ("unknown_class", "skip"): 1
    }


# A folder of frames, read without conversion.


def mot(path: Path, *, frames: int = FRAMES, line: str = "") -> str:
    """Writes a sequence of MOT Challenge of which frame n has the value 10 n; returns its path."""
    (path / "img1").mkdir(parents=True)
    (path / "gt").mkdir()
    (path / "seqinfo.ini").write_text(
        f"[Sequence]\nname={path.name}\nimDir=img1\nframeRate=10\nseqLength={frames}\n"
        "imWidth=16\nimHeight=8\nimExt=.png\n",
        encoding="utf-8",
    )
    for number in range(frames):
        (path / "img1" / f"{number + 1:06d}.png").write_bytes(png(8, 16, 10 * number))
    lines = [f"{number + 1},1,5,3,8,4,1,1,1.0" for number in range(frames)]
    (path / "gt" / "gt.txt").write_text("\n".join([*lines, line]).strip(), encoding="utf-8")
    return str(path)


def test_a_folder_of_frames_needs_no_conversion(tmp_path: Path) -> None:
    shown = Shown(mot(tmp_path / "walk"), num_classes=None)
    assert shown.values == [0, 10, 20, 30, 40, 50]
    assert shown.boxes == [[[0.25, 0.25, 0.75, 0.75]]] * FRAMES  # MOT counts pixels from 1
    assert set(shown.videos) == {"walk"}


def test_a_missing_and_a_corrupt_frame_of_a_folder_are_named_replaced_or_left_out(
    tmp_path: Path,
) -> None:
    path = mot(tmp_path / "walk")
    (tmp_path / "walk" / "img1" / "000001.png").write_bytes(b"nothing")
    (tmp_path / "walk" / "img1" / "000004.png").unlink()

    message = refusal(path, num_classes=None)
    assert "000001.png" in message
    answers = {"corrupt_image": "skip"}
    assert "000004.png" in refusal(path, num_classes=None, problems=answers)
    left_out = Shown(path, num_classes=None, problems={**answers, "missing_frame": "skip"})
    assert left_out.values == [10, 20, 40, 50]
    repaired = Shown(
        path, num_classes=None, problems={"corrupt_image": "repair", "missing_frame": "repair"}
    )
    assert repaired.values == [10, 10, 20, 20, 40, 50]
    assert repaired.report.counts == {
        ("corrupt_image", "repair"): 1,
        ("missing_frame", "repair"): 1,
    }


def test_a_bad_box_of_a_folder_is_named_with_its_line(tmp_path: Path) -> None:
    path = mot(tmp_path / "walk", line="3,2,40,3,8,4,1,1,1.0")
    message = refusal(path, num_classes=None)
    assert "gt.txt" in message
    assert "7" in message
    assert "outside" in message
    assert Shown(path, num_classes=None, problems={"box_outside": "skip"}).boxes == [
        [[0.25, 0.25, 0.75, 0.75]]
    ] * FRAMES  # fmt: skip


def test_labels_in_another_order_than_that_of_records_are_refused(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("a", 2))
    (tmp_path / "index.json").write_text('{"labels": ["ant", "bee"]}')
    config = DataConfig(evaluation=DatasetConfig(input_path=(path,)))

    with pytest.raises(ValueError, match=r"ant is class 0, in model\.labels .* class 1; take the"):
        pipeline.make_dataset(config, "evaluation", num_classes=2, labels=("bee", "ant"))
    for labels in (("ant", "bee"), ("ant", "wasp"), ("x", "y"), ("ant", "bee", "fly")):
        pipeline.make_dataset(config, "evaluation", num_classes=len(labels), labels=labels)


@pytest.mark.parametrize(
    ("choice", "value", "unset"),
    [
        ("subset", "train", "''"),
        ("images", "pictures", "''"),
        ("stills", True, "false"),
        ("folders", True, "false"),
    ],
)
def test_choice_that_means_nothing_for_a_record_file_is_refused(
    tmp_path: Path, choice: str, value: object, unset: str
) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("v", 2))

    message = refusal(path, **{choice: value})

    assert message == (
        f"data.evaluation.{choice} is {value!r}, which means nothing for the TFRecord file {path}; "
        f'leave it out, or --set "data.evaluation.{choice}={unset}"'
    )


def test_choice_for_another_input_leaves_a_record_file_alone(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("v", 2, size=(8, 16)))
    mot(tmp_path / "mot" / "train" / "walk")

    shown = Shown(path, str(tmp_path / "mot"), num_classes=None, subset="train")

    assert shown.values == [0, 1, 0, 10, 20, 30, 40, 50]


def test_label_map_that_is_not_there_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("v", 2))
    evaluation = DatasetConfig(input_path=(path,), batch_size=1)
    data = DataConfig(evaluation=evaluation, label_map_path="/nowhere/map.pbtxt")

    with caplog.at_level(logging.WARNING):
        pipeline.make_dataset(data, "evaluation")
    assert "data.label_map_path: there is no file /nowhere/map.pbtxt" in caplog.text
    caplog.clear()
    pipeline.make_dataset(data, "evaluation", labels=records.LABELS)  # which need no label map
    assert "label_map" not in caplog.text


def test_data_sets_that_number_their_classes_each_in_its_way_need_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, label in (("a", "bee"), ("b", "ant")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(png(8, 8, 0))
        (tmp_path / f"{name}.csv").write_text(
            f"frame,class,ymin,xmin,ymax,xmax\n0,{label},2,2,6,6\n", encoding="utf-8"
        )
    tables = str(tmp_path / "*.csv")

    message = refusal(tables)
    assert "a.csv has the classes bee, " in message
    assert "b.csv has ant; say in model.labels (or data.label_map_path) which is which" in message
    with caplog.at_level(logging.WARNING):
        Shown(str(tmp_path / "a.csv"))
    assert "taken is that of this data set: bee" in caplog.text
    config = DataConfig(
        evaluation=DatasetConfig(input_path=(tables,), batch_size=1, unroll_length=1)
    )
    dataset = pipeline.make_dataset(config, "evaluation", num_classes=2, labels=("ant", "bee"))
    assert [int(truth.classes[0, 0, 0]) for _, truth in dataset] == [1, 0]


def test_videos_of_a_folder_that_differ_in_size_need_a_size(tmp_path: Path) -> None:
    folder = mot(tmp_path / "b_walk")
    shards = records.write(tmp_path / "a", records.video_of("v", 3, size=(8, 8)))
    message = refusal(folder, shards, num_classes=None)
    assert "b_walk/gt/gt.txt, frame 1: the frame is 8 x 16 pixels, expected 8 x 8" in message
    assert "height and width of the data's config give all of them one" in message
    assert len(Shown(folder, shards, num_classes=None, height=8, width=8).values) == 9


def test_videos_of_damaged_records_alone_are_left_out_with_them(tmp_path: Path) -> None:
    paths = [
        records.write(tmp_path / name, records.video_of(name, 2), frames_per_record=2)
        for name in "abc"
    ]
    for path in paths[1:]:
        data = bytearray(Path(path).read_bytes())
        data[-20] ^= 1
        Path(path).write_bytes(data)
    shown = Shown(*paths, problems={"damaged_record": "skip"})
    assert set(shown.videos) == {"a"}
    assert shown.report.counts == {("damaged_record", "skip"): 2}
