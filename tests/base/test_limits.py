"""One number that would fill the memory: in labels, records, configs and flags."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.base import limits
from lstd.cli import data
from lstd.config import config_io
from lstd.config.config import Config
from lstd.data import readers, record_content, record_files
from lstd.data.problems import ProblemError
from lstd.data.readers import tfrecords
from tests.data import records

Image = pytest.importorskip("PIL.Image")

_SEQUENCE = "[Sequence]\nname=s\nimDir=img1\nseqLength={}\nimExt=.png\n"


def _mot(folder: Path, *, length: int, frame: int) -> Path:
    for name in ("gt", "img1"):
        (folder / name).mkdir(parents=True)
    (folder / "seqinfo.ini").write_text(_SEQUENCE.format(length))
    (folder / "gt" / "gt.txt").write_text(f"{frame},1,3,4,10,8,1,1,1.0\n")
    Image.new("RGB", (32, 24)).save(folder / "img1" / "000001.png")
    return folder


@pytest.mark.parametrize(("length", "frame"), [(10**12, 1), (1, 9_999_999), (1, 10**12)])
def test_mot_far_behind_its_pictures_is_refused(tmp_path: Path, length: int, frame: int) -> None:
    folder = _mot(tmp_path / "s", length=length, frame=frame)
    with pytest.raises(ValueError, match=r"and 1 have a picture|from 1 to 10000000"):
        readers.open(folder)


def test_a_table_far_behind_its_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    Image.new("RGB", (32, 24)).save(tmp_path / "s" / "0.png")
    table = tmp_path / "s.csv"
    table.write_text("frame,class,ymin,xmin,ymax,xmax\n9999999,car,2,3,12,14\n")
    with pytest.raises(ValueError, match="10000000 frames, and 1 have a picture"):
        readers.open(table)
    table.write_text("frame,class,ymin,xmin,ymax,xmax\n999,car,2,3,12,14\n")
    assert readers.open(table).videos[0].num_frames == 1000


@pytest.mark.parametrize(
    ("key", "number"),
    [("record/num_frames", 10**9), ("video/first_frame", 2**40), ("image/height", -1)],
)
def test_a_record_that_cannot_be_what_it_says_is_damaged(
    tmp_path: Path, key: str, number: int
) -> None:
    path = records.write(tmp_path / "a.tfrecord", records.video_of("a", 2))
    record = tf.train.SequenceExample.FromString(next(iter(tf.data.TFRecordDataset(path))).numpy())
    record.context.feature[key].int64_list.value[:] = [number]
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(record.SerializeToString())
    with pytest.raises(ProblemError, match=r"it says 1000000000|first being 1099511627776|below 0"):
        record_files.list_videos([path])


def test_too_many_missing_frames_of_a_record_are_refused() -> None:
    part = record_content.Part("a", 0, 0, 9_000_000, 1, 1, num_frames=1)
    with pytest.raises(ValueError, match="9000000 frames, and 0 have a picture"):
        _ = record_files.RecordVideo("a", (part,)).spans


def test_class_numbers_of_records_have_a_limit() -> None:
    assert tfrecords.names_in([{2: "b"}]) == ("class 0", "b")
    with pytest.raises(ValueError, match=r"class 1000000000000 'b'; numbers above 25000"):
        tfrecords.names_in([{10**12: "b"}])


@pytest.mark.parametrize(
    "setting",
    [
        "model.num_classes=1000000000000",
        "model.depth_multipliers=[1.0e+9]",
        "model.input_height=3200000",
        "model.postprocessing.max_total_detections=1000000000",
        "model.feature_map_depths=[256, 256, 256, 100000000]",
        "data.train.unroll_length=1000000",
        "train.seed=5000000000",
        "train.steps=3000000000",
        "export.max_detections=1000000000",
    ],
)
def test_settings_have_a_limit(setting: str) -> None:
    with pytest.raises(config_io.ConfigError, match=r" is [\d.e+]+, expected at most \d+"):
        config_io.override(Config(), [setting])


@pytest.mark.parametrize("flag", ["--videos=9999999", "--height=99999", "--seed=99999999999999"])
def test_flags_have_a_limit(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "o"
    assert data.main(["synthesize", f"--output_directory={out}", flag]) == 2
    name, value = flag.split("=")
    assert f"{name} is {value}, expected at most " in capsys.readouterr().err
    assert not out.exists()


def test_numbers_that_are_no_sizes_are_not_looked_at() -> None:
    for value in (True, None, "9" * 20, np.inf, (0.5, 1e30)):
        limits.check("probability", value)


@pytest.mark.parametrize("entry", ["/", "\\", "../" * 99])
def test_yolo_images_are_not_looked_for_on_the_whole_disk(entry: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(f"train: '{entry}'\nnames: [ant]\n")
    with pytest.raises(ValueError, match="holds no video"):
        readers.open(tmp_path)


def test_a_side_beyond_float32_is_infinite_and_no_warning(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    Image.new("RGB", (32, 24)).save(tmp_path / "s" / "0.png")
    (tmp_path / "s.csv").write_text("frame,class,ymin,xmin,ymax,xmax\n0,car,2,3,1e300,14\n")
    frame = next(readers.open(tmp_path / "s.csv").videos[0].read())
    assert np.isinf(frame.truth.boxes).tolist() == [[False, False, True, False]]
