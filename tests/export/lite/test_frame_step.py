"""The step of exported files is the model's step."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.export.lite import frame_step, fused_memory
from tests import tiny

VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "grouped": (tiny.CONFIG, {}),
    "two groups": (tiny.CONFIG, {"groups": 2}),
    "eight groups": (tiny.CONFIG, {"groups": 8}),
    "unlimited": (tiny.CONFIG, {"clip_state": False}),
    "scaled": (tiny.CONFIG, {"clip_state": False, "scale_state": True}),
    "same resolution": (tiny.CONFIG, {"low_resolution": False, "depth_multipliers": (0.5, 0.5)}),
    "grey": (tiny.CONFIG, {"input_channels": 1}),
    "not square": (tiny.CONFIG, {"input_width": 96}),
    "fine map": (tiny.FINE, {"input_width": 96}),
    "first paper": (tiny.FIRST_PAPER, {}),
    "first paper, limited": (tiny.FIRST_PAPER, {"clip_state": True}),
    "first paper, scaled": (tiny.FIRST_PAPER, {"scale_state": True}),
}


QUICK = ("grouped", "fine map", "first paper")


@pytest.mark.parametrize(
    "variant",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in VARIANTS],
)
def test_step_equals_the_models(variant: str) -> None:
    config, changes = VARIANTS[variant]
    model = tiny.model(config, **changes)
    height, width, channels = model.input_shape_hwc
    for seed in range(2):
        tiny.scramble(model, seed=seed)
        rng = np.random.default_rng(seed)
        frame = tf.constant(rng.integers(0, 256, (1, height, width, channels)), tf.float32)
        state = tiny.state(model, 1, seed=seed)
        for network in model.networks:
            expected = tf.nest.flatten(model.step(frame, state, network=network))
            for cell, sliced in (("fused", True), ("fused", False), ("separate", True)):
                output = frame_step.step(
                    model, frame, state, network=network, cell=cell, sliced=sliced
                )
                for one, other in zip(expected, tf.nest.flatten(output), strict=True):
                    # Some 200 operations of float32 in another order, on values up to 30.
                    np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-5)


def test_no_concatenation_has_more_inputs_than_the_delegate_takes() -> None:
    parts = [tf.fill([1, 2], float(number)) for number in range(9)]
    np.testing.assert_array_equal(
        fused_memory.concatenated(parts), np.repeat(np.arange(9.0), 2)[np.newaxis]
    )
    traced = tf.function(lambda: fused_memory.concatenated(parts)).get_concrete_function()
    joins = [op for op in traced.graph.get_operations() if op.type == "ConcatV2"]
    assert len(joins) > 1
    assert max(len(op.inputs) - 1 for op in joins) <= 4
