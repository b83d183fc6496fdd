"""A stand-in for an LSTMSSD that traces and converts in a second, and test images for it."""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from lstd.base.types import LSTMState, Output, Predictions
from lstd.config.model_config import PostprocessingConfig

HEIGHT, WIDTH, CHANNELS = 32, 64, 3
DEPTH, CLASSES, PER_CELL = 4, 3, 6
NUM_ANCHORS = 2 * PER_CELL


class TinyModel(keras.Model):
    """Means of 32 x 32 pixels, a convolution for each network, a leaky memory, and heads."""

    def __init__(
        self,
        networks: tuple[str, ...] = ("large", "small"),
        postprocessing: PostprocessingConfig = PostprocessingConfig(),  # noqa: B008
        seed: int = 0,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)

        def kernel(size: int, inputs: int, outputs: int) -> tf.Variable:
            values = rng.normal(0, 1 / np.sqrt(size * size * inputs), (size, size, inputs, outputs))
            return tf.Variable(values.astype(np.float32))

        self.networks = networks
        self.inputs_of = [kernel(1, CHANNELS, DEPTH) for _ in networks]
        self.memory = kernel(3, 2 * DEPTH, DEPTH)
        self.boxes = kernel(1, DEPTH, PER_CELL * 4)
        self.classes = kernel(1, DEPTH, PER_CELL * (CLASSES + 1))
        corner = rng.uniform(0, 0.5, (NUM_ANCHORS, 2))
        sides = rng.uniform(0.2, 0.5, (NUM_ANCHORS, 2))
        self.anchors = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
        self.num_classes, self.state_depth = CLASSES, DEPTH
        self.input_shape_hwc = (HEIGHT, WIDTH, CHANNELS)
        self.box_scale_factors = (10.0, 10.0, 5.0, 5.0)
        self.postprocessing = postprocessing
        self.labels = ("cat", "dog", "owl")
        self.eval_schedule = "SKIP2"

    def initial_state(self, batch_size: Any) -> LSTMState:
        zeros = tf.zeros([batch_size, HEIGHT // 32, WIDTH // 32, DEPTH])
        return LSTMState(zeros, zeros)

    def call(self, frames: Any, state: LSTMState, networks: Any, training: bool = False) -> Output:
        """Returns the output for clips `[B, T, H, W, C]`: the loop of steps."""
        found = []
        for number, network in enumerate(networks):
            output = self.step(frames[:, number], state, network)
            found.append(output.predictions)
            state = output.state
        boxes, classes = (tf.stack(parts, axis=1) for parts in zip(*found, strict=True))
        return Output(Predictions(boxes, classes), state)

    def step(
        self, frame: Any, state: LSTMState, network: Any = "large", training: bool = False
    ) -> Output:
        image = tf.cast(frame, tf.float32) / 127.5 - 1.0
        cells = 2.0 * tf.nn.avg_pool2d(image[:, :, :, :], 32, 32, "VALID")
        if isinstance(network, str):
            kernel = self.inputs_of[self.networks.index(network)]
            feature, is_large = tf.nn.conv2d(cells, kernel, 1, "SAME"), network == "large"
        else:
            features = [tf.nn.conv2d(cells, kernel, 1, "SAME") for kernel in self.inputs_of]
            is_large = tf.equal(network, 0)[:, None, None, None]
            feature = tf.where(is_large, *features)
        joined = tf.concat([feature, state.h], axis=-1)
        gate = tf.nn.conv2d(joined, self.memory, 1, "SAME")
        c = tf.nn.relu6(0.5 * state.c + tf.nn.relu(gate) + 0.1)
        h = c * tf.sigmoid(gate)
        boxes = tf.nn.conv2d(h, self.boxes, 1, "SAME")
        classes = tf.nn.conv2d(h, self.classes, 1, "SAME")
        if isinstance(is_large, bool):
            after = LSTMState(c, h) if is_large else state
        else:
            after = LSTMState(tf.where(is_large, c, state.c), tf.where(is_large, h, state.h))
        return Output(
            Predictions(
                tf.reshape(boxes, [-1, NUM_ANCHORS, 4]),
                tf.reshape(classes, [-1, NUM_ANCHORS, CLASSES + 1]),
            ),
            after,
        )


def images(count: int, *, shape: tuple[int, ...] = (HEIGHT, WIDTH, CHANNELS)) -> np.ndarray:
    """Returns float32 `[count, H, W, C]` in blocks, so that means differ."""
    rng = np.random.default_rng(7)
    height, width, channels = shape
    coarse = rng.integers(0, 256, (count, height // 16, width // 16, channels))
    return np.repeat(np.repeat(coarse, 16, axis=1), 16, axis=2).astype(np.float32)
