"""Small record files for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstd.base.types import GroundTruth
from lstd.config.augmentation_config import HorizontalFlip, SsdRandomCrop
from lstd.config.data_config import DatasetConfig
from lstd.data import sequence_example

LABELS = ("ant", "bee", "cat")


class Video(NamedTuple):
    """A name, an image uint8 `[H, W, 3]` for each frame, and what is in it."""

    name: str
    images: Sequence[np.ndarray]
    truths: Sequence[GroundTruth]


def video_of(
    name: str, frames: int, *, base: int = 0, size: tuple[int, int] = (6, 8), boxes: int = 1
) -> Video:
    """Returns a video: every pixel of frame n is `base + n`; box m has class m and track 10 + m."""
    truth = GroundTruth(
        boxes=np.tile(np.float32([[0.25, 0.5, 0.75, 1]]), [boxes, 1]),
        classes=np.arange(boxes, dtype=np.int32),
        track_ids=np.arange(boxes, dtype=np.int32) + 10,
    )
    images = [np.full([*size, 3], base + number, np.uint8) for number in range(frames)]
    return Video(name, images, [truth] * frames)


def noise_of(name: str, frames: int, truth: GroundTruth, rng: np.random.Generator) -> Video:
    """Returns a video of noise, 48 x 80 pixels, with the same objects in every frame."""
    return Video(name, rng.integers(0, 256, (frames, 48, 80, 3), np.uint8), [truth] * frames)


def write(
    path: Path, *videos: Video, frames_per_record: int = 5, labels: Sequence[str] = LABELS
) -> str:
    """Writes videos bit for bit into one file; returns the path."""
    sequence_example.write(
        path,
        (
            sequence_example.encode(
                video.images[first : first + frames_per_record],
                video.truths[first : first + frames_per_record],
                labels=labels,
                source_id=video.name,
                filename=video.name,
                first_frame=first,
                image_format="png",
            )
            for video in videos
            for first in range(0, len(video.images), frames_per_record)
        ),
    )
    return str(path)


def drawn_data(folder: Path, lengths: tuple[int, int, int]) -> DatasetConfig:
    """Returns three videos of so many frames, walked with all that is drawn at random."""
    first, second, third = lengths
    path = write(
        folder / "abc.tfrecord",
        video_of("a", first, base=0),
        video_of("b", second, base=100),
        video_of("c", third, base=200, boxes=2),
    )
    return DatasetConfig(
        input_path=(path,),
        batch_size=2,
        unroll_length=2,
        max_frame_stride=2,
        reset_probability=0.2,
        augmentation=(HorizontalFlip(), SsdRandomCrop(probability=0.5)),
    )
