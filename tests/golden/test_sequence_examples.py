"""The original's decoder on the original's records."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lstd.data import record_frames, sequence_example
from lstd.data.footage import RecordFootage
from lstd.data.rows import Cleaner
from tests.golden.reference import arrays, reference

RECORDS = reference("sequence_examples.tfrecord")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return arrays(reference("sequence_examples_decoded.npz"))


@pytest.mark.parametrize("where", ["eagerly", "in a dataset"])
def test_decoding_is_identical_to_the_original(golden: dict[str, np.ndarray], where: str) -> None:
    dataset = tf.data.TFRecordDataset(str(RECORDS))
    if where == "in a dataset":
        decoded = list(dataset.map(sequence_example.decode).as_numpy_iterator())
    else:
        decoded = [
            {name: value.numpy() for name, value in sequence_example.decode(record).items()}
            for record in dataset.as_numpy_iterator()
        ]

    assert len(decoded) == 2
    names = {name for name in golden if not name.endswith("source_frames")}
    assert names == {f"example{i}/{name}" for i in range(2) for name in decoded[i]}
    for name in names:
        example, field = name.split("/")
        value = np.asarray(decoded[int(example[-1])][field])
        assert value.dtype == golden[name].dtype, name
        np.testing.assert_array_equal(value, golden[name], err_msg=name)


def test_records_of_the_original_become_rows_without_padding(
    golden: dict[str, np.ndarray],
) -> None:
    videos = record_frames.list_videos([str(RECORDS)])

    assert [video.name for video in videos] == ["src0", "src1"]
    assert [(v.parts[0].height, v.parts[0].width) for v in videos] == [(40, 56), (32, 32)]
    for number, video in enumerate(videos):
        stored = golden[f"example{number}/groundtruth_classes"]
        reel = RecordFootage(video, Cleaner()).open()
        for frame, classes in enumerate(stored):
            row = reel.row(frame)
            np.testing.assert_array_equal(row.classes, classes[classes > 0] - 1)
            assert (row.track_ids == -1).all()
