from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lstd.base.export_names import STATE_OUTPUTS
from tests.export import exports
from tests.export.tiny_model import TinyModel, images

ZEROS = np.zeros([1, 1, 2, 4], np.float32)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "large small small large small"),  # SKIP2
        ({"use_regular_nms": True}, "large small small large small"),
        ({"postprocessing": False}, "large small small large small"),
        ({"schedule": "SKIP1"}, "large small large small large"),
        ({"model": TinyModel(("large",))}, "step step step step step"),
    ],
)
def test_a_clip_is_the_loop_of_the_entry_points(options: dict[str, Any], names: str) -> None:
    module = exports.module(**options)
    clips = images(10).reshape(2, 5, 32, 64, 3)
    for batch in (clips, clips[:1]):
        served = module.serving_default(tf.constant(batch))
        for row, clip in enumerate(batch):
            frames = exports.stream(module, names.split(), clip)
            for name in served.keys() - {"anchors"}:
                expected = np.stack([frame[name][0] for frame in frames])
                expected = expected[-1] if name in STATE_OUTPUTS else expected
                np.testing.assert_allclose(served[name][row], expected, atol=1e-5, err_msg=name)


def test_module_keeps_the_variables_and_not_the_model() -> None:
    module = exports.module()
    assert len(module.model_variables) == 5
    assert module.model not in vars(module).values()
