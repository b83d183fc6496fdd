"""What the tests of `lstd-eval` evaluate: small records, and exported files that run at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstd.types import GroundTruth
from tests.data import records as record_files
from tests.runtime import fake_exports

LABELS = fake_exports.LABELS
HEIGHT, WIDTH = 48, 80


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
