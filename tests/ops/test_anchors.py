"""Anchors; the golden numbers are in tests/golden/test_ops.py."""

import math

import numpy as np
import pytest

from lstd.config.model_config import AnchorConfig, ModelConfig
from lstd.ops import anchors


def test_grids_halve_and_round_up() -> None:
    def grids(height: int, width: int, layers: int, fine_map: int = 0) -> tuple:
        model = ModelConfig(
            input_height=height,
            input_width=width,
            fine_map=fine_map,
            feature_map_depths=(8,) * (layers - (2 if fine_map else 1)),
            anchors=AnchorConfig(num_layers=layers),
        )
        return anchors.grids_of(model)

    assert grids(320, 320, 5) == ((10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    assert grids(192, 288, 4) == ((6, 9), (3, 5), (2, 3), (1, 2))
    assert grids(160, 96, 3, fine_map=8) == ((10, 6), (5, 3), (3, 2))


def test_the_shipped_models_have_534_and_324_anchors() -> None:
    assert anchors.from_config(ModelConfig()).shape == (534, 4)
    assert anchors.from_config(ModelConfig(input_height=256, input_width=256)).shape == (324, 4)


def test_first_cell_of_a_reduced_layer_by_hand() -> None:
    made = anchors.generate(AnchorConfig(num_layers=1), grids=[(2, 2)], height=64, width=64)
    assert made.shape == (12, 4)
    wide, high = 0.2 * math.sqrt(2.0), 0.2 / math.sqrt(2.0)
    sizes = [(0.1, 0.1), (high, wide), (wide, high)]
    expected = [[0.25 - h / 2, 0.25 - w / 2, 0.25 + h / 2, 0.25 + w / 2] for h, w in sizes]
    np.testing.assert_allclose(made[:3], expected, atol=1e-7)
    # The next cell is to the right, the one after the row below.
    np.testing.assert_allclose(made[3:6] - made[:3], np.tile([0, 0.5, 0, 0.5], [3, 1]), atol=1e-7)
    np.testing.assert_allclose(made[6:9] - made[:3], np.tile([0.5, 0, 0.5, 0], [3, 1]), atol=1e-7)


def test_open_anchors_are_not_known_before_training() -> None:
    with pytest.raises(ValueError, match=r"anchors\.auto: .* not known yet; lstd-train finds them"):
        anchors.from_config(ModelConfig(anchors=AnchorConfig(auto=True)))
