"""What the tests of `lstd-eval` evaluate: small records, and exported files that run at once."""

import dataclasses
from pathlib import Path

import numpy as np

from lstd.base.types import GroundTruth
from lstd.config import config_io
from lstd.config.config import Config, EvaluationConfig
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.config.model_config import ModelConfig
from lstd.models.build import build_model
from lstd.training import weights_file
from tests.data import records as record_files
from tests.runtime import fake_exports

LABELS = fake_exports.LABELS
HEIGHT, WIDTH = 48, 80

MODEL = ModelConfig(
    num_classes=2,
    labels=("cat", "dog"),
    input_height=64,
    input_width=96,
    depth_multipliers=(0.35, 0.35),
    state_depth=16,
    feature_map_depths=(16, 16, 16, 16),
)


SINGLE = dataclasses.replace(
    MODEL,
    backbone="mobilenet_v1",
    lstm_cell="bottleneck",
    depth_multipliers=(0.25,),
    eval_schedule="LARGE",
)


def records(
    path: Path, lengths: dict[str, int], *, tracks: bool = True, level: int = 20, seed: int = 0
) -> Path:
    """Writes videos of grey frames with a large and a small object in each.

    The fake export finds a box that shrinks with every large frame, so that some are hits.
    """
    rng = np.random.default_rng(seed)

    def video(name: str, length: int) -> record_files.Video:
        images, truths = [], []
        for number in range(length):
            boxes = np.float32([[0.1 + 0.02 * number, 0.25, 1, 0.75], [0.5, 0.5, 0.7, 0.6]])
            truth = GroundTruth(
                np.clip(boxes, 0, 0.99),
                np.array([2, 1], np.int32),
                np.array([0, 1], np.int32) if tracks else None,
            )
            grey = rng.integers(level, level + 10, (HEIGHT, WIDTH, 1), np.uint8)
            images.append(np.repeat(grey, 3, axis=2))
            truths.append(truth)
        return record_files.Video(name, images, truths)

    videos = [video(name, length) for name, length in lengths.items()]
    record_files.write(path, *videos, labels=LABELS)
    return path


def run_folder(folder: Path, model_config: ModelConfig, *, weights: str) -> Path:
    """Makes a run folder with untrained weights, whose config names records of 8 frames."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    model = build_model(model_config)
    # Untrained, the network finds boxes near its anchors: so that some of these are hits.
    boxes = np.clip(np.asarray(model.anchors)[::9], 0, 1).astype(np.float32)
    truth = GroundTruth(boxes, np.ones(len(boxes), np.int32))

    videos = (
        record_files.noise_of("a", 5, truth, rng),
        record_files.noise_of("b", 3, truth, rng),
    )
    path = record_files.write(folder / "videos.tfrecord", *videos, labels=MODEL.labels)
    data = DatasetConfig(input_path=(path,), batch_size=1, unroll_length=2)
    config = Config(
        model=model_config,
        data=DataConfig(evaluation=data),
        evaluation=EvaluationConfig(schedules=("LARGE", "SKIP3")),
    )
    config_io.save_config(config, folder / "config.yaml")
    weights_file.save(model, folder / f"{weights}.weights.h5")
    return folder
