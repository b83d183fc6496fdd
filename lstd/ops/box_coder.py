"""Boxes coded relative to anchors, as the network predicts them, and back."""

import tensorflow as tf

from lstd.ops import boxes as box_ops

ScaleFactors = tuple[float, float, float, float]

_EPSILON = 1e-8
"""Added to every height and width before the division and the logarithm."""


def encode(boxes: tf.Tensor, anchors: tf.Tensor, *, scale_factors: ScaleFactors) -> tf.Tensor:
    """Returns boxes coded relative to their anchors, float `[..., A, 4]`, (ty, tx, th, tw).

        ty = (y - y_a) / h_a * s_y        th = log(h / h_a) * s_h        (x, w alike)

    Takes corners, boxes `[..., A, 4]` and anchors `[A, 4]` of sides above 0, and the scale factors
    (s_y, s_x, s_h, s_w). Finite for empty boxes: 1e-8 is added to every size, after sides of
    negative length count as 0.

    Source: Ren et al., 2015, eq. 2 (https://arxiv.org/abs/1506.01497); as in TF1
    `FasterRcnnBoxCoder`.
    """
    boxes, anchors = tf.convert_to_tensor(boxes), tf.convert_to_tensor(anchors)
    _check_last_axis(boxes, "boxes")
    _check_last_axis(anchors, "anchors")
    centers, sizes = tf.split(box_ops.to_center_size(boxes), 2, axis=-1)
    anchor_centers, anchor_sizes = tf.split(box_ops.to_center_size(anchors), 2, axis=-1)
    sizes = tf.maximum(sizes, 0.0) + _EPSILON
    anchor_sizes = anchor_sizes + _EPSILON
    offsets = (centers - anchor_centers) / anchor_sizes
    stretch = tf.math.log(sizes / anchor_sizes)
    return tf.concat([offsets, stretch], axis=-1) * tf.constant(scale_factors, boxes.dtype)


def decode(encodings: tf.Tensor, anchors: tf.Tensor, *, scale_factors: ScaleFactors) -> tf.Tensor:
    """Returns the boxes that encodings stand for: `encode` turned round, without its epsilon.

    Float `[..., A, 4]`, corners, not clipped to the frame.
    """
    encodings, anchors = tf.convert_to_tensor(encodings), tf.convert_to_tensor(anchors)
    _check_last_axis(encodings, "encodings")
    _check_last_axis(anchors, "anchors")
    scaled = encodings / tf.constant(scale_factors, encodings.dtype)
    offsets, stretch = tf.split(scaled, 2, axis=-1)
    anchor_centers, anchor_sizes = tf.split(box_ops.to_center_size(anchors), 2, axis=-1)
    centers = offsets * anchor_sizes + anchor_centers
    sizes = tf.exp(stretch) * anchor_sizes
    return box_ops.to_corners(tf.concat([centers, sizes], axis=-1))


def _check_last_axis(tensor: tf.Tensor, name: str) -> None:
    if tensor.shape.rank is not None and tensor.shape[-1] not in (4, None):
        raise ValueError(f"{name} must have 4 values on the last axis, got shape {tensor.shape}")
