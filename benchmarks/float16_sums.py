"""How far a model is from itself where every convolution is computed in float16, sums included.

    python benchmarks/float16_sums.py [--config sowbug_demo] [--run demo/run] [--frames 20]

That is what a float16 file allows a processor with float16 arithmetic (`fp16accfp16`). Such a one
is simulated: weights and inputs of each convolution are rounded, and so is its sum after each
product, one after another; a fused multiply-add rounds once. Other operations stay in float32.
Frames are a test pattern under SKIP9, either side with its own state carried. Without `--run` the
weights are random. Prints the difference of the class scores of the ten best anchors, and of the
state.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops import gen_nn_ops

import lstd
from lstd.export import compare

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import tiny

BEST = 10


def main() -> None:
    """Prints the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="sowbug_demo")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    try:
        if arguments.run is None:
            model = lstd.build_model(lstd.load_config(arguments.config).model)
            tiny.scramble(model)  # At their start, all scores would be equal.
        else:
            model = lstd.load_model(arguments.run)
    except (ValueError, OSError) as error:
        sys.exit(f"float16_sums.py: error: {error}")
    ours = _stream(model, arguments.frames)
    with (
        mock.patch.object(gen_nn_ops, "conv2d", _conv2d),
        mock.patch.object(gen_nn_ops, "depthwise_conv2d_native", _depthwise),
    ):
        theirs = _stream(model, arguments.frames)
    off, state = [], [0.0, 0.0]
    for (scores, memory), (rounded, other) in zip(ours, theirs, strict=True):
        best = np.union1d(np.argsort(-scores)[:BEST], np.argsort(-rounded)[:BEST])
        off.append(np.abs(scores - rounded)[best])
        state[0] += float(np.square(memory - other).sum())
        state[1] += float(np.square(memory).sum())
    print(
        f"{arguments.frames} frames: scores up to {max(scores.max() for scores, _ in ours):.3f} "
        f"differ by {np.mean([each.mean() for each in off]):.5f} on average and "
        f"{max(each.max() for each in off):.5f} at most, the state by "
        f"{100 * np.sqrt(state[0] / state[1]):.2f} %"
    )


def _stream(model: Any, frames: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the best class score of each anchor, and the state after the frame."""
    state, found = model.initial_state(1), []
    for number in range(frames):
        image = tf.constant(compare.pattern_image(number, tuple(model.input_shape_hwc)))
        output = model.step(image, state, network="small" if number % 10 else "large")
        state = output.state
        scores = tf.sigmoid(output.predictions.class_logits)[0, :, 1:]
        found.append((tf.reduce_max(scores, axis=-1).numpy(), np.stack(state)))
    return found


def _conv2d(
    input: Any, filter: Any, strides: Any, padding: str, *_: Any, **others: Any
) -> tf.Tensor:
    """Returns a convolution, in groups or depthwise, whose sums are rounded after each product."""
    dilation = (others.get("dilations") or [1, 1, 1, 1])[1]
    image, kernel = (np.asarray(each).astype(np.float16) for each in (input, filter))
    rows, columns = kernel.shape[:2]
    stride = strides[1]
    sides = [
        _side(image.shape[axis + 1], dilation * (size - 1) + 1, stride, padding)
        for axis, size in enumerate((rows, columns))
    ]
    if not isinstance(padding, (str, bytes)):
        raise ValueError(f"padding {padding}: expected SAME or VALID")
    image = np.pad(image, ((0, 0), sides[0][1:], sides[1][1:], (0, 0))).astype(np.float32)
    groups = image.shape[-1] // kernel.shape[2]
    per_group = kernel.shape[-1] // groups
    total = np.zeros((1, sides[0][0], sides[1][0], groups, per_group), np.float16)
    for row, column, channel in np.ndindex(*kernel.shape[:3]):
        weights = kernel[row, column, channel].astype(np.float32).reshape(groups, per_group)
        seen = image[
            :,
            row * dilation :: stride,
            column * dilation :: stride,
            channel :: kernel.shape[2],
        ][:, : sides[0][0], : sides[1][0], :, np.newaxis]
        total = (total + seen * weights).astype(np.float16)
    return tf.constant(total.reshape(*total.shape[:3], -1).astype(np.float32))


def _depthwise(input: Any, filter: Any, *arguments: Any, **others: Any) -> tf.Tensor:
    rows, columns, depth, width = filter.shape
    kernel = np.reshape(filter, [rows, columns, 1, depth * width])
    return _conv2d(input, kernel, *arguments, **others)


def _side(size: int, reach: int, stride: int, padding: str | bytes) -> tuple[int, int, int]:
    """Returns the size after a convolution, and the padding before and behind."""
    if padding in ("VALID", b"VALID"):
        return (size - reach) // stride + 1, 0, 0
    after = -(-size // stride)
    total = max((after - 1) * stride + reach - size, 0)
    return after, total // 2, total - total // 2


if __name__ == "__main__":
    main()
