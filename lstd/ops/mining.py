"""Hard-negative mining: which anchors' losses count."""

from typing import NamedTuple

import tensorflow as tf

from lstd.ops import matching


class Mined(NamedTuple):
    """The anchors that count in each frame.

    `order` has those that survived the suppression of near-identical boxes, by falling loss (of
    equals the lower first), then -1; the losses of those `selected` are summed.
    """

    selected: tf.Tensor  # bool [..., A]
    order: tf.Tensor  # int32 [..., A]


def mine_hard_examples(
    losses: tf.Tensor,
    decoded_boxes: tf.Tensor,
    matches: tf.Tensor,
    *,
    num_hard_examples: int,
    iou_threshold: float,
    max_negatives_per_positive: float,
    min_negatives_per_image: int,
) -> Mined:
    """Returns the anchors with the largest losses, in a fixed ratio of background to objects.

    In each frame, by falling loss, anchors whose predicted box overlaps that of an earlier one by
    more than `iou_threshold` are suppressed, and `num_hard_examples` kept. Of these, all that
    answer for an object are selected, and the first background anchors:
    `max_negatives_per_positive` for each positive one (0: no limit), but at least
    `min_negatives_per_image`.

    Losses are float32 `[..., A]`, decoded boxes `[..., A, 4]`, corners, matches int32 `[..., A]` of
    `matching.match`. Ignored anchors are never selected; no gradient flows through the selection.

    Source: TF1 `HardExampleMiner`; Shrivastava et al., 2016 (https://arxiv.org/abs/1604.03540).
    """
    order = _descending_without_duplicates(
        tf.stop_gradient(losses),
        tf.stop_gradient(decoded_boxes),
        iou_threshold=iou_threshold,
        size=num_hard_examples,
    )
    present = order >= 0
    ordered_matches = tf.gather(matches, tf.maximum(order, 0), batch_dims=order.shape.rank - 1)
    positives = present & (ordered_matches >= 0)
    negatives = present & tf.equal(ordered_matches, matching.BACKGROUND)
    if max_negatives_per_positive > 0:
        num_positives = tf.reduce_sum(tf.cast(positives, tf.float32), axis=-1, keepdims=True)
        limit = tf.cast(max_negatives_per_positive * num_positives, tf.int32)
        limit = tf.maximum(limit, min_negatives_per_image)
        negatives &= tf.cumsum(tf.cast(negatives, tf.int32), axis=-1) <= limit
    return Mined(_scatter(positives | negatives, order), order)


def _descending_without_duplicates(
    losses: tf.Tensor, decoded_boxes: tf.Tensor, *, iou_threshold: float, size: int
) -> tf.Tensor:
    """Returns `Mined.order`."""
    num_anchors = losses.shape[-1]
    size = min(size, num_anchors)

    def of_frame(frame: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        frame_losses, frame_boxes = frame
        result = tf.raw_ops.NonMaxSuppressionV4(
            boxes=frame_boxes,
            scores=frame_losses,
            max_output_size=size,
            iou_threshold=iou_threshold,
            score_threshold=float("-inf"),
            pad_to_max_output_size=True,
        )
        valid = tf.range(size) < result.valid_outputs
        return tf.pad(
            tf.where(valid, result.selected_indices, -1),
            [[0, num_anchors - size]],
            constant_values=-1,
        )

    order = tf.map_fn(
        of_frame,
        (tf.reshape(losses, [-1, num_anchors]), tf.reshape(decoded_boxes, [-1, num_anchors, 4])),
        fn_output_signature=tf.TensorSpec([num_anchors], tf.int32),
    )
    return tf.ensure_shape(tf.reshape(order, tf.shape(losses)), losses.shape)


def _scatter(flags: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Returns flags in the order of the anchors: flags[i] belongs to anchor order[i].

    Flags of absent anchors (-1) are False, and scattering adds: they do no harm on anchor 0.
    """
    num_anchors = order.shape[-1]
    places = tf.reshape(tf.maximum(order, 0), [-1, num_anchors])
    frames = tf.broadcast_to(tf.range(tf.shape(places)[0])[:, tf.newaxis], tf.shape(places))
    counts = tf.scatter_nd(
        tf.stack([frames, places], axis=-1),
        tf.cast(tf.reshape(flags, [-1, num_anchors]), tf.int32),
        tf.shape(places),
    )
    return tf.ensure_shape(tf.reshape(counts > 0, tf.shape(order)), order.shape)
