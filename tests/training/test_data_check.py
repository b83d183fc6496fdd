"""What is said of the training data before the first step."""

from __future__ import annotations

import dataclasses
import unittest.mock
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstd.base import overlap
from lstd.base.types import GroundTruth
from lstd.config.augmentation_config import ScaleJitter, Transpose
from lstd.config.config import Config
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.model_config import AnchorConfig, MatchingConfig, ModelConfig
from lstd.config.train_config import TrainConfig
from lstd.data import pipeline
from lstd.data.sources import SourceFrame
from lstd.ops import anchor_fit
from lstd.training.data_check import check
from tests.data import records

WHOLE, LEFT = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.5]


class Video:
    """Frames with the same boxes; notes which of them are read."""

    def __init__(self, num_frames: int, boxes: list[list[float]]) -> None:
        self.num_frames = self.known_frames = num_frames
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.read: list[int] = []

    def open(self, *, keep: int = 0) -> Video:
        return self

    def close(self) -> None:
        return None

    def frame(self, number: int) -> SourceFrame:
        self.read.append(number)
        truth = GroundTruth(self.boxes, np.zeros(len(self.boxes), np.int32))
        return SourceFrame(b"", truth, "somewhere")


def _said(videos: list[Video], **changes: object) -> list[str]:
    said: list[str] = []
    settings = {"check_frames": 8, "min_anchor_share": 0.5, **changes}
    data = DatasetConfig(batch_size=settings.pop("batch_size", 2), unroll_length=4)
    config = Config(
        ModelConfig(num_classes=1, matching=MatchingConfig(matched_threshold=0.6)),
        TrainConfig(**settings),
        DataConfig(data),
    )

    def best_overlaps(boxes: np.ndarray, model: ModelConfig) -> np.ndarray:
        return overlap.iou(boxes, np.array(LEFT, np.float32))

    with unittest.mock.patch.object(anchor_fit, "best_overlaps", best_overlaps):
        check(videos, config, say=said.append)
    return said


def test_share_of_boxes_with_an_anchor_is_said_or_refused() -> None:
    # The left half overlaps the whole frame with IoU 0.5 and itself with 1.
    assert _said([Video(20, [LEFT]), Video(20, [LEFT, WHOLE])]) == [
        "training data: 67% of the 12 boxes in 8 frames looked at have an anchor of IoU 0.6 or more"
    ]
    with pytest.raises(ValueError, match=r"only 33% of the 24 boxes .*min_anchor_share is 0\.5"):
        _said([Video(20, [LEFT, WHOLE, WHOLE])])
    assert _said([Video(20, [])]) == ["training data: no boxes at all in the 8 frames looked at"]


def test_open_anchors_are_made_for_the_boxes_as_augmented() -> None:
    upright = [0.2, 0.4, 0.6, 0.5]
    model = ModelConfig(num_classes=1, anchors=AnchorConfig(auto=True))

    def found(*augmentation: Any, **size: int) -> AnchorConfig:
        data = DatasetConfig(batch_size=2, unroll_length=4, augmentation=augmentation)
        config = Config(dataclasses.replace(model, **size), TrainConfig(), DataConfig(data))
        return check([Video(20, [upright])], config, say=lambda _: None).model.anchors

    anchors = found()
    assert not anchors.auto
    assert any(abs(ratio - 0.25) < 0.03 for ratio in anchors.aspect_ratios)
    assert any(abs(scale - 0.2) < 0.03 for scale in anchors.scales)
    assert max(found(ScaleJitter(min_scale=3.0, max_scale=3.0)).scales) > 0.5
    assert max(found(Transpose(probability=1.0)).aspect_ratios) > 3.5
    # The frames are square, whatever the model makes of them.
    assert found(Transpose(), input_width=640).scales

    empty = Config(model, TrainConfig(), DataConfig(DatasetConfig(batch_size=2)))
    with pytest.raises(ValueError, match=r"anchors\.auto: there are no boxes in the 20 frames"):
        check([Video(20, [])], empty, say=lambda _: None)


def test_frames_are_spread_over_the_videos_and_within_them() -> None:
    videos = [Video(101, [LEFT]) for _ in range(3)]

    _said(videos, check_frames=9)

    assert [video.read for video in videos] == [[0, 50, 100]] * 3


def test_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"a batch has 4 clips of 4 frames, but all the data, 9 frames of 2 video\(s\), makes "
        "no more than 3",
    ):
        _said([Video(6, [LEFT]), Video(3, [LEFT])], batch_size=4)
    _said([Video(6, [LEFT]), Video(3, [LEFT])], batch_size=3)


def test_lengths_are_looked_at_no_longer_than_needed() -> None:
    class Unread(Video):
        @property
        def num_frames(self) -> int:
            raise AssertionError

        @num_frames.setter
        def num_frames(self, value: int) -> None:
            return None

    assert _said([Video(8, [LEFT]), Unread(8, [LEFT])], check_frames=0) == []


def test_class_that_the_config_lacks_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    # Only the last of 30 frames has a second box, of class 1.
    videos = [records.video_of("a", 29), records.video_of("b", 1, boxes=2)]
    path = records.write(tmp_path / "ab.tfrecord", *videos)
    data = DataConfig(train=DatasetConfig(input_path=(path,), batch_size=1))

    def check(num_classes: int) -> None:
        split = pipeline.open_split(data, "train", num_classes=num_classes)
        _said(split.videos, min_anchor_share=0.0, check_frames=20)

    with pytest.raises(ValueError, match=r"class '2' .* expected 1 to 1 .*do model\.num_classes"):
        check(1)
    check(2)
