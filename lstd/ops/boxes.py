"""Geometry of boxes `[ymin, xmin, ymax, xmax]`; every function broadcasts over leading axes."""

import tensorflow as tf


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Returns the area of each box, float `[...]`; 0 for boxes that are empty or inside out."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return tf.maximum(ymax - ymin, 0.0) * tf.maximum(xmax - xmin, 0.0)


def iou(boxes_a: tf.Tensor, boxes_b: tf.Tensor) -> tf.Tensor:
    """Returns the intersection over union of every box of one set with every box of another.

    Of float `[..., M, 4]` and `[..., A, 4]`, whose leading axes broadcast and M may be 0: float
    `[..., M, A]` in [0, 1]; 0 where the intersection is empty, also for two empty boxes.
    """
    intersection = _intersections(boxes_a, boxes_b)
    union = area(boxes_a)[..., None] + area(boxes_b)[..., None, :] - intersection
    return tf.math.divide_no_nan(intersection, union)


def share_within(boxes_a: tf.Tensor, boxes_b: tf.Tensor) -> tf.Tensor:
    """Returns which share of its area each box of the second set has in each of the first.

    Shapes are those of `iou`; an empty box has 0.
    """
    return tf.math.divide_no_nan(_intersections(boxes_a, boxes_b), area(boxes_b)[..., None, :])


def _intersections(boxes_a: tf.Tensor, boxes_b: tf.Tensor) -> tf.Tensor:
    """Returns the area that every box of one set shares with every box of another."""
    first = tf.expand_dims(boxes_a, -2)  # [..., M, 1, 4]
    second = tf.expand_dims(boxes_b, -3)  # [..., 1, A, 4]
    top_left = tf.maximum(first[..., :2], second[..., :2])
    bottom_right = tf.minimum(first[..., 2:], second[..., 2:])
    sides = tf.maximum(bottom_right - top_left, 0.0)  # [..., M, A, 2]
    return sides[..., 0] * sides[..., 1]


def to_center_size(boxes: tf.Tensor) -> tf.Tensor:
    """Returns corners as (ycenter, xcenter, height, width), float `[..., 4]`."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    height, width = ymax - ymin, xmax - xmin
    return tf.stack([ymin + height / 2.0, xmin + width / 2.0, height, width], axis=-1)


def to_corners(center_size: tf.Tensor) -> tf.Tensor:
    """Returns (ycenter, xcenter, height, width) as corners, float `[..., 4]`."""
    ycenter, xcenter, height, width = tf.unstack(center_size, axis=-1)
    half_height, half_width = height / 2.0, width / 2.0
    return tf.stack(
        [ycenter - half_height, xcenter - half_width, ycenter + half_height, xcenter + half_width],
        axis=-1,
    )


def clip(
    boxes: tf.Tensor, window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> tf.Tensor:
    """Returns the boxes cut to a window; a box outside it becomes empty, on the window's border.

    Boxes are float `[..., 4]`, corners, the window is (ymin, xmin, ymax, xmax) in their unit.
    """
    ymin, xmin, ymax, xmax = window
    low = tf.constant([ymin, xmin, ymin, xmin], boxes.dtype)
    high = tf.constant([ymax, xmax, ymax, xmax], boxes.dtype)
    return tf.maximum(tf.minimum(boxes, high), low)
