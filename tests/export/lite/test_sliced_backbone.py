"""A backbone in slices of channels is the backbone."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.export.lite import sliced_backbone
from lstd.models.mobilenet_v2 import InvertedResidual
from tests import tiny


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every block with more than 16 expanded channels run in slices."""
    monkeypatch.setattr(sliced_backbone, "_MOST_CHANNELS", 16)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("arguments", "slices"),
    [
        ({"filters": 8, "expanded": 48}, 3),  # with the identity
        ({"filters": 12, "expanded": 40}, 3),  # the last slice is smaller
        ({"filters": 8, "expanded": 48, "strides": 2}, 3),
        ({"filters": 8, "expanded": 16}, 1),
        ({"filters": 8, "expanded": None}, 1),
    ],
)
@pytest.mark.parametrize("shape", [(2, 6, 5, 8), (1, 1, 1, 8)])
def test_block_in_slices_equals_the_block(
    arguments: dict[str, Any], slices: int, shape: tuple[int, ...]
) -> None:
    block = InvertedResidual(**arguments)
    inputs = tf.random.stateless_normal(shape, seed=(0, 1))
    block(inputs)
    tiny.scramble(block)
    run = tf.function(lambda images: sliced_backbone.inverted_residual(block, images))
    traced = run.get_concrete_function(tf.TensorSpec(shape))
    filters = [op for op in traced.graph.get_operations() if op.type == "DepthwiseConv2dNative"]
    assert len(filters) == slices
    # Sums of up to 48 products in float32, of values up to 6.
    np.testing.assert_allclose(run(inputs), block(inputs), atol=2e-5)


def test_slices_have_so_many_channels_and_bytes() -> None:
    """Of the large network's widest layers at 320, and two that stay whole."""

    def widths(channels: int, side: int) -> list[int]:
        found = sliced_backbone._slices(channels, pixels=side * side)
        assert [part.start for part in found[1:]] == [part.stop for part in found[:-1]]
        return [part.stop - part.start for part in found]

    assert widths(144, 160) == [32, 32, 32, 32, 16]
    assert widths(192, 80) == [96, 96]
    assert widths(1344, 10) == [336, 336, 336, 336]
    assert widths(384, 20) == [384]
    assert widths(96, 80) == [96]
