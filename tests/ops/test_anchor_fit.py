"""Anchors that are found in the training boxes."""

import dataclasses

import numpy as np
import pytest

from lstd.base import overlap
from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.ops import anchor_fit, anchors

MODEL = ModelConfig(
    input_height=192,
    input_width=256,
    feature_map_depths=(256, 256, 256),
    anchors=AnchorConfig(num_layers=4),
)


def _boxes(count: int, *, side: tuple[float, float], ratio: tuple[float, float]) -> np.ndarray:
    rng = np.random.default_rng(0)
    sides, root = rng.uniform(*side, count), np.sqrt(rng.uniform(*ratio, count))
    halves = np.stack([sides / root, sides * root * 192 / 256], axis=-1) / 2
    centers = rng.uniform(0.1, 0.9, [count, 2])
    return np.concatenate([centers - halves, centers + halves], axis=-1).astype(np.float32)


@pytest.mark.parametrize("reduced", [False, True])
def test_the_best_overlap_is_that_with_the_best_of_all_anchors(reduced):
    config = dataclasses.replace(MODEL.anchors, reduce_boxes_in_lowest_layer=reduced)
    model = dataclasses.replace(MODEL, anchors=config)
    boxes = _boxes(50, side=(0.05, 0.9), ratio=(0.2, 4.0))
    expected = overlap.iou(boxes[:, np.newaxis], anchors.from_config(model)).max(axis=1)
    np.testing.assert_allclose(anchor_fit.best_overlaps(boxes, model), expected, atol=1e-5)


def test_anchors_follow_the_boxes():
    boxes = _boxes(300, side=(0.2, 0.5), ratio=(0.3, 0.5))  # upright, as people are
    found = anchor_fit.fit(boxes, MODEL)
    assert found == anchor_fit.fit(boxes, MODEL)
    assert (len(found.scales), len(found.aspect_ratios)) == (4, 5)
    fitted = dataclasses.replace(MODEL, anchors=found)
    before, after = (anchor_fit.best_overlaps(boxes, model) for model in (MODEL, fitted))
    assert (before >= 0.5).mean() < 0.55 < 0.75 < (after >= 0.5).mean()
    # What is maximised. From another start, or for another bound than 0.7, it is 0.5792 at most.
    assert np.minimum(after, 0.7).mean() > 0.5795
