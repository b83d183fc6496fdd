"""Occlusion sweep: how much a detector finds when objects are partly hidden (`occluded/...`)."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lstd.base.types import ClipBatch, GroundTruth
from lstd.evaluation import objects

_SIDES = (0.5, 0.75)  # of the box


def rectangles(
    boxes: np.ndarray, *, probability: float, frame_id: tuple[str, int], seed: int = 0
) -> np.ndarray:
    """Returns the rectangles that hide boxes of a frame, float64 `[k, 4]`, in the boxes' units.

    Each box is hidden with `probability`, by a rectangle within it whose sides are half to three
    quarters of its own. What is drawn depends on seed, video, frame and the box's row alone, so it
    is the same for every model; and a box hidden at 0.25 is hidden in the same way at 0.5.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must be in [0, 1], got {probability}")
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    rng = np.random.default_rng((seed, zlib.crc32(frame_id[0].encode()), frame_id[1]))
    drawn = rng.random((len(boxes), 5))  # row by row: more boxes leave the first ones as they are
    sides = boxes[:, 2:] - boxes[:, :2]
    size = sides * (_SIDES[0] + drawn[:, 1:3] * (_SIDES[1] - _SIDES[0]))
    corner = boxes[:, :2] + drawn[:, 3:5] * (sides - size)
    return np.concatenate([corner, corner + size], axis=1)[drawn[:, 0] < probability]


def hide(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Returns a copy of an image `[H, W, C]` with rectangles `[k, 4]` filled with zeros.

    They are rounded to whole pixels, at least one, and cut at the image's edge.
    """
    image = np.array(image)
    for ymin, xmin, ymax, xmax in np.asarray(hidden).reshape(-1, 4):
        top, left = max(round(ymin), 0), max(round(xmin), 0)
        image[top : max(round(ymax), top + 1), left : max(round(xmax), left + 1)] = 0
    return image


class OccludedDataset:
    """An evaluation dataset, read anew each time, whose true objects are hidden: `rectangles`."""

    def __init__(self, dataset: Iterable[Any], *, probability: float, seed: int = 0) -> None:
        rectangles(np.zeros((0, 4)), probability=probability, frame_id=("", 0), seed=seed)
        self.dataset, self.probability, self.seed = dataset, probability, seed

    def __iter__(self) -> Iterator[tuple[ClipBatch, GroundTruth]]:
        """Yields the clips with objects hidden."""
        import tensorflow as tf

        for clip, truth in self.dataset:
            frames = np.array(clip.frames)
            index, video = np.asarray(clip.frame_index), np.asarray(clip.video_id)
            boxes, there = np.asarray(truth.boxes), np.asarray(truth.classes) >= 0
            size = np.tile(frames.shape[2:4], 2)
            for place in zip(*np.nonzero(index >= 0), strict=True):
                hidden = rectangles(
                    boxes[place][there[place]] * size,
                    probability=self.probability,
                    frame_id=objects.frame_id_of((video[place[0]], index[place])),
                    seed=self.seed,
                )
                frames[place] = hide(frames[place], hidden)
            yield clip._replace(frames=tf.constant(frames)), truth
