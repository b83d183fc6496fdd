"""TFRecord files: found, complete, and read record by record."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from lstd.data import readers, record_files, sequence_example
from lstd.data.problems import ProblemError
from tests.data import records


def test_records_without_our_keys_are_videos_of_their_own_with_unique_names(tmp_path: Path) -> None:
    example = tf.train.SequenceExample()
    example.feature_lists.feature_list["image/encoded"].feature.add().bytes_list.value.append(b"x")
    path = str(tmp_path / "a")
    sequence_example.write(path, [example.SerializeToString()] * 2)

    names = [video.name for video in record_files.list_videos([path])]

    assert names == [f"@{path}#0", f"@{path}#1"]


def test_patterns_find_files_once_and_sorted(tmp_path: Path) -> None:
    for name in ("b1", "a1", "a2", "a [1].tfrecord", "a 1.tfrecord"):
        (tmp_path / name).touch()

    def found(*patterns: str) -> list[str]:
        return [Path(p).name for p in record_files.find([f"{tmp_path}/{one}" for one in patterns])]

    assert found("b1", "?1", "a[12]") == ["a1", "a2", "b1"]
    assert found("a [1].tfrecord") == ["a [1].tfrecord"]  # a file's name, though a pattern
    assert found("? [12].tfrecord") == ["a 1.tfrecord"]
    with pytest.raises(ValueError, match=r"data\.train\.input_path is empty"):
        record_files.find([], where="data.train.input_path")
    with pytest.raises(FileNotFoundError, match=r"no file matches '.*x\*'"):
        record_files.find([f"{tmp_path}/x*"])


def test_shards_that_are_missing_are_named(tmp_path: Path) -> None:
    for number in (0, 2, 3):
        name = f"r-{number:05d}-of-00005.tfrecord"
        records.write(tmp_path / name, records.video_of(f"v{number}", 1))
    lost = r"2 of 5 shards are missing: r-00001-of-00005\.tfrecord, r-00004-of-00005\.tfrecord; "
    copy = lost + r"copy them again, or read only some .*, such as r-00000-of-\*"
    with pytest.raises(FileNotFoundError, match=copy):
        record_files.find([f"{tmp_path}/*.tfrecord"])
    for path in (tmp_path, tmp_path / "*.tfrecord"):
        with pytest.raises(FileNotFoundError, match=copy):
            readers.open(path)

    # What is asked for is there.
    assert len(record_files.find([f"{tmp_path}/r-0000[0235]-*"])) == 3
    assert len(readers.open(tmp_path / "r-0000[23]*").videos) == 2
    assert len(readers.open(tmp_path / "r-00000-of-00005.tfrecord").videos) == 1
    record_files.check_shards(["a/part-1-of-2", "a/part-2-of-2", "b/part-0-of-1", "b/part"])
    (tmp_path / record_files.WORK).mkdir()
    with pytest.raises(FileNotFoundError, match=lost + ".*lstd-data convert --resume goes on"):
        record_files.find([f"{tmp_path}/r*"])


def test_a_video_that_begins_in_a_shard_that_is_not_read_begins_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = records.video_of("v", 6)
    for number in range(3):
        part = [video.images[2 * number : 2 * number + 2], video.truths[:2]]
        record = sequence_example.encode(*part, source_id="v", first_frame=2 * number)
        sequence_example.write(tmp_path / f"r-0000{number}-of-00003", [record])
    later = record_files.find([f"{tmp_path}/r-0000[12]-*"])
    [video] = record_files.list_videos(later)

    assert [(s.part is not None, s.start, s.stop) for s in video.spans] == [
        (True, 0, 2),
        (True, 2, 4),
    ]
    assert "video 'v' begins at its frame 2: r-00000-of-00003, which" in caplog.text
    (tmp_path / "r-00001-of-00003").rename(tmp_path / "late")  # a name that says nothing
    [video] = record_files.list_videos([str(tmp_path / "late")])
    assert [span.part is None for span in video.spans] == [True, False]


def test_files_that_hold_no_records_are_named(tmp_path: Path) -> None:
    data = Path(records.write(tmp_path / "whole", records.video_of("v", 12))).read_bytes()
    second = int.from_bytes(data[:8], "little") + 16
    sequence_example.write(tmp_path / "other", [b"\x0a\x05hello", b"hello"])
    cases = {
        "empty": (b"", "the file has no records"),
        "foreign": (b"\x00\x00\x00\x18ftypmp42 and so on", "not a TFRecord file"),
        "cut": (data[:-9], r"ends within record 2 \(from 0\)"),
        "inside": (data[:second] + b"\xff" + data[second + 1 :], r"record 1 \(from 0\) is damaged"),
        "stub": (data[:7], "not a TFRecord file"),
        "stub of the second": (data[: second + 7], r"ends within record 1 \(from 0\)"),
        "other": ((tmp_path / "other").read_bytes(), r"record 0 .* is not a SequenceExample"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=f"{name}: {message}"):
            record_files.list_videos([str(path)])
    alone = tmp_path / "alone.tfrecord"
    alone.write_bytes(data[:100])
    with pytest.raises(ValueError, match=r"no video; left out: .*alone\.tfrecord: ends within rec"):
        readers.open(alone, skip_damaged=True)
