"""What an augmentation changes: the frames of a clip, their boxes, and what goes along."""

from typing import NamedTuple

import tensorflow as tf

from lstd.ops import images


class Scene(NamedTuple):
    """T frames of a run."""

    frames: tf.Tensor  # uint8 or float32 [T, H, W, C], in [0, 255]
    boxes: tf.Tensor  # float32 [T, M, 4], in [0, 1] of the frames
    keep: tf.Tensor  # bool [T, M]: the box is real and still to be seen
    track_ids: tf.Tensor  # int32 [T, M], -1 unknown
    reference: tf.Tensor  # float32 [R, 4]: the run's first boxes, by which crops are chosen
    frame_index: tf.Tensor  # int32 [T]: counts the frames of the run
    still: tf.Tensor  # bool scalar: the run shows a single picture T times


def sized(scene: Scene, height: int, width: int) -> Scene:
    """Returns the scene at height x width; only frames of another, or unknown, size are touched."""
    if scene.frames.shape[1:3] == (height, width):
        return scene
    frames = images.resize(scene.frames, height, width)
    return scene._replace(frames=tf.ensure_shape(frames, [None, height, width, None]))


def fitted(scene: Scene, height: int, width: int) -> Scene:
    """Returns the scene with float32 frames of height x width."""
    scene = sized(scene, height, width)
    return scene._replace(frames=tf.cast(scene.frames, tf.float32))


def uniform(seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Returns one float32 number drawn evenly from [low, high)."""
    return tf.random.stateless_uniform([], seed, low, high)


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Returns the areas of boxes `[..., 4]`; of inverted ones they mean nothing."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
