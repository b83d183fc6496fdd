"""Training from a video file with a table, as it is and converted: equal batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lstd.config import augmentation_config as names
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import convert, pipeline, readers
from lstd.data.convert import Settings

SOWBUG = Path(__file__).resolve().parents[2] / "examples" / "sowbug" / "sowbug_unseen.csv"
pytestmark = pytest.mark.slow


def taken(split: str, path: str | Path, count: int, **settings: object) -> list:
    values = {
        "input_path": (str(path),),
        "batch_size": 2,
        "unroll_length": 4,
        "height": 160,
        "width": 160,
        **settings,
    }
    config = DataConfig(**{split: DatasetConfig(**values)})
    batches = pipeline.make_dataset(config, split, seed=3).take(count)
    return [(clip._replace(where=None), truth) for clip, truth in batches]  # names of files


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    paths = {}
    for image_format in ("png", "jpeg"):
        folder = tmp_path_factory.mktemp(image_format)
        settings = Settings(image_format=image_format, frames_per_record=50)
        convert.convert(readers.open(SOWBUG), folder, settings)
        paths[image_format] = str(folder / "*.tfrecord")
    return paths


TRAINING = {
    "max_frame_stride": 3,
    "reset_probability": 0.2,
    "augmentation": (
        names.SsdRandomCrop(),
        names.HorizontalFlip(),
        names.Occlusion(),
        names.FrameDropping(probability=1.0, rate=0.2),
    ),
}
MODES = {
    "evaluation": ("evaluation", {}),
    "carried": ("train", TRAINING),
    "in order": ("train", {"random_start": False, "shuffle_buffer": 0}),
    "independent": ("train", {"clips": "independent", "overlap": 2, "clip_buffer": 5}),
    "backwards": ("train", {"augmentation": (names.TimeReversal(probability=1.0),)}),
}


@pytest.mark.parametrize("mode", MODES)
def test_video_file_and_png_shards_give_equal_batches(mode: str, shards: dict[str, str]) -> None:
    split, settings = MODES[mode]
    direct = taken(split, SOWBUG, 12, **settings)
    converted = taken(split, shards["png"], 12, **settings)

    assert len(direct) == len(converted) == 12
    for one, other in zip(direct, converted, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)
    assert any((truth.classes.numpy() >= 0).any() for _, truth in direct)


def test_jpeg_shards_differ_by_at_most_two_grey_levels(shards: dict[str, str]) -> None:
    settings = {**TRAINING, "augmentation": (names.HorizontalFlip(),)}
    direct = taken("train", SOWBUG, 12, **settings)
    converted = taken("train", shards["jpeg"], 12, **settings)

    for (clip, truth), (other_clip, other_truth) in zip(direct, converted, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, truth, other_truth)
        plain = clip._replace(frames=tf.zeros([]))
        tf.nest.map_structure(
            np.testing.assert_array_equal, plain, other_clip._replace(frames=tf.zeros([]))
        )
        difference = np.abs(clip.frames.numpy() - other_clip.frames.numpy())
        assert difference.mean() <= 2
