"""Feature maps and heads of a memory in parts are those of the whole memory."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.export.lite import frame_heads
from lstd.layers.box_predictor import BoxPredictor
from lstd.layers.feature_maps import FeatureMaps
from tests import tiny

DEPTHS = {"depths": (12, 12, 8), "middle_depths": (4, 4, 4)}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as the second paper": ({}, {}),
    "depthwise maps": ({"use_depthwise": True}, {}),
    "with the map before": ({"use_depthwise": True, "pool_residual": True}, {}),
    "dense heads": ({}, {"use_depthwise": False}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("grid", [(4, 4), (5, 3), (1, 2)])
def test_predictions_equal_those_of_the_layers(variant: str, grid: tuple[int, int]) -> None:
    """Down to maps of one pixel, which most of a kernel does not meet."""
    for_maps, for_heads = VARIANTS[variant]
    maps = FeatureMaps(**DEPTHS, **for_maps)
    heads = BoxPredictor(anchors_per_location=(3, 2, 2, 1), num_classes=2, **for_heads)
    memory = tf.random.stateless_uniform([1, *grid, 12], seed=(0, 1), maxval=6.0)
    heads(maps(memory))
    tiny.scramble(maps)
    tiny.scramble(heads)
    expected = heads(maps(memory))
    for sizes in ([12], [8, 4], [4, 4, 4]):
        parts = tf.split(memory, sizes, axis=-1)
        found = frame_heads.predictions(heads, frame_heads.feature_maps(maps, parts))
        for one, other in zip(expected, found, strict=True):
            # Sums of up to 108 products in float32, of values up to 20.
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=2e-5)
