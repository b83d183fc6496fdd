"""Clips with drawn boxes, for tests that compare a box with the pixels it stands for."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.data.scene import Scene

BOXES = [(1, 2, 4, 5), (5, 0, 6, 9), (7, 6, 8, 9)]


def drawn(boxes_px: list[tuple[int, int, int, int]], height: int, width: int) -> np.ndarray:
    """Returns an image in which the pixels of row n of `boxes_px` have the value n + 1."""
    image = np.zeros([height, width, 1], np.uint8)
    for number, (ymin, xmin, ymax, xmax) in enumerate(boxes_px):
        image[ymin:ymax, xmin:xmax] = number + 1
    return image


def clip_of(
    boxes_px: list[tuple[int, int, int, int]], height: int, width: int, *, frames: int = 1
) -> tuple[tf.Tensor, GroundTruth]:
    """Returns the drawn image as so many frames, uint8, and its boxes, of class n each."""
    boxes = np.array(boxes_px, np.float32).reshape(-1, 4) / [height, width, height, width]
    truth = GroundTruth(
        tf.repeat(tf.constant(boxes[np.newaxis], tf.float32), frames, axis=0),
        tf.repeat(tf.range(len(boxes_px))[tf.newaxis], frames, axis=0),
    )
    image = tf.constant(drawn(boxes_px, height, width)[np.newaxis])
    return tf.repeat(image, frames, axis=0), truth


def found(image: np.ndarray, value: int) -> list[int]:
    """Returns the box around the pixels of that value."""
    rows, columns = np.nonzero(image[..., 0] == value)
    return [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]


def scene_of(
    frames: tf.Tensor, boxes: list | np.ndarray = (), *, first: int = 0, still: bool = False
) -> Scene:
    """Returns a scene of frames that all have the same boxes, relative, from a frame number on."""
    count = frames.shape[0]
    boxes = np.tile(np.float32(boxes).reshape(1, -1, 4), [count, 1, 1])
    return Scene(
        frames=frames,
        boxes=tf.constant(boxes),
        keep=tf.ones(boxes.shape[:2], tf.bool),
        track_ids=tf.fill(boxes.shape[:2], -1),
        reference=tf.constant(boxes[0]),
        frame_index=tf.range(first, first + count),
        still=tf.constant(still),
    )


def drawn_scene(
    boxes_px: list[tuple[int, int, int, int]],
    height: int,
    width: int,
    *,
    frames: int = 1,
    still: bool = False,
) -> Scene:
    """Returns the scene of `clip_of`."""
    pictures, truth = clip_of(boxes_px, height, width, frames=frames)
    return scene_of(pictures, truth.boxes[0].numpy(), still=still)
