from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tensorflow as tf

from lstd.data import record_files, sequence_example
from lstd.data.problems import ProblemError
from tests.data import records


def test_parts_of_a_video_are_one_video(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a", records.video_of("v", 12), records.video_of("w", 3))

    videos = record_files.list_videos([path])

    assert [video.name for video in videos] == ["v", "w"]
    assert [(part.number, part.first_frame) for part in videos[0].parts] == [
        (0, 0),
        (1, 5),
        (2, 10),
    ]
    (part,) = videos[1].parts
    assert part == record_files.Part(path, 3, part.offset, 0, 6, 8, 3)
    size = Path(path).stat().st_size
    assert part.offset + 16 + len(record_files.read(part)) == size  # it stands last


def test_a_record_is_read_by_its_number(tmp_path: Path) -> None:
    path = records.write(tmp_path / "a", records.video_of("v", 12), records.video_of("w", 3))
    stored = list(tf.data.TFRecordDataset(path).as_numpy_iterator())

    parts = [part for video in record_files.list_videos([path]) for part in video.parts]

    assert [record_files.read(part) for part in parts] == stored


def test_records_without_our_keys_are_videos_of_their_own_with_unique_names(tmp_path: Path) -> None:
    example = tf.train.SequenceExample()
    example.feature_lists.feature_list["image/encoded"].feature.add().bytes_list.value.append(b"x")
    path = str(tmp_path / "a")
    sequence_example.write(path, [example.SerializeToString()] * 2)

    names = [video.name for video in record_files.list_videos([path])]

    assert names == [f"@{path}#0", f"@{path}#1"]


def test_a_context_that_stands_last_or_is_long_is_read(tmp_path: Path) -> None:
    example = tf.train.SequenceExample()
    example.context.feature["image/source_id"].bytes_list.value.append(b"v")
    context = example.SerializeToString()
    frames = tf.train.SequenceExample()
    frames.feature_lists.feature_list["image/encoded"].feature.add()
    example.context.feature["notes"].bytes_list.value.append(b"n" * 40000)
    example.context.feature["image/source_id"].bytes_list.value[0] = b"w"
    path = str(tmp_path / "a")
    sequence_example.write(
        path, [frames.SerializeToString() + context, example.SerializeToString()]
    )

    assert [video.name for video in record_files.list_videos([path])] == ["v", "w"]


def test_patterns_find_files_once_and_sorted(tmp_path: Path) -> None:
    for name in ("b1", "a1", "a2"):
        (tmp_path / name).touch()

    found = record_files.find([f"{tmp_path}/b1", f"{tmp_path}/?1", f"{tmp_path}/a*"])

    assert found == [f"{tmp_path}/{name}" for name in ("a1", "a2", "b1")]


def test_file_with_brackets_in_its_name_is_found(tmp_path: Path) -> None:
    for name in ("a [1].tfrecord", "a 1.tfrecord"):
        (tmp_path / name).touch()

    found = record_files.find([f"{tmp_path}/a [1].tfrecord"])

    assert found == [f"{tmp_path}/a [1].tfrecord"]
    assert record_files.find([f"{tmp_path}/? [12].tfrecord"]) == [f"{tmp_path}/a 1.tfrecord"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.train\.input_path is empty"):
        record_files.find([], where="data.train.input_path")
    with pytest.raises(FileNotFoundError, match=r"no file matches '.*x\*'"):
        record_files.find([f"{tmp_path}/x*"])


def test_files_that_hold_no_records_are_named(tmp_path: Path) -> None:
    whole = Path(records.write(tmp_path / "whole", records.video_of("v", 12)))
    data = whole.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    second = length + 16
    cases = {
        "empty": (b"", "the file has no records"),
        "foreign": (b"\x00\x00\x00\x18ftypmp42 and so on", "not a TFRecord file"),
        "stub": (data[:7], "not a TFRecord file"),
        "cut": (data[:-9], r"ends within record 2 \(from 0\)"),
        "inside": (data[:second] + b"\xff" + data[second + 1 :], "damaged at record 1"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            record_files.list_videos([str(path)])


def test_a_record_of_something_else_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    sequence_example.write(path, [b"\x0a\x05hello", b"hello"])

    with pytest.raises(ValueError, match=r"a: record 0 .* is not a SequenceExample"):
        record_files.list_videos([path])


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = Path(records.write(tmp_path / "a", records.video_of("v", 12)))
    data = bytearray(path.read_bytes())
    data[-20] ^= 1  # in the last record; only its checksum can tell
    path.write_bytes(data)
    (video,) = record_files.list_videos([str(path)])

    record_files.read(video.parts[0])
    with pytest.raises(ValueError, match=r"a: record 2 \(from 0\) is damaged"):
        record_files.read(video.parts[2])


def test_what_stands_behind_damage_is_marked(tmp_path: Path) -> None:
    paths = [
        records.write(tmp_path / name, records.video_of(name, 12), frames_per_record=4)
        for name in "ab"
    ]
    data = bytearray(Path(paths[0]).read_bytes())
    data[-20] ^= 1  # in the last record
    data[14] = 0xFF  # in the context of the first
    Path(paths[0]).write_bytes(data)
    told: list[ProblemError] = []
    first, other = record_files.list_videos(paths, on_damage=told.append, check=record_files.read)

    assert [error.message.partition(":")[2][:18] for error in told] == [
        " record 0 (from 0)",
        " record 2 (from 0)",
    ]
    assert [(part.number, part.after_damage) for part in first.parts] == [(1, True)]
    assert [(part.number, part.after_damage) for part in other.parts] == [
        (0, True), (1, False), (2, False)
    ]  # fmt: skip
