"""From raw predictions to detections: decoding, non-maximum suppression per class, clipping."""

import tensorflow as tf

from lstd.base.types import Detections, Predictions
from lstd.ops import box_coder
from lstd.ops import boxes as box_ops

_DROPPED = -2.0
"""Sort key of boxes that are no detections: below every score and below -1."""


def detect(
    predictions: Predictions,
    anchors: tf.Tensor,
    *,
    scale_factors: box_coder.ScaleFactors,
    score_threshold: float,
    iou_threshold: float,
    max_detections_per_class: int,
    max_total_detections: int,
) -> Detections:
    """Returns the detections of every frame, as the original computes them.

    Scores are the sigmoid of the logits, background left out. Each class is suppressed by itself:
    boxes of a score above `score_threshold`, by falling score (of equals the lower anchor), without
    those that overlap a kept box of the class by more than `iou_threshold`. All classes, in class
    order, are then sorted by score (stable), and only then cut to the frame: boxes outside it are
    dropped, boxes of which nothing is left (they touch the frame's border, or were empty before)
    get score -1 and go to the end.

    Predictions are float `[..., A, 4]` and `[..., A, K + 1]`, with any leading axes, also unknown
    ones; anchors float32 `[A, 4]`, corners. Returns Detections `[..., max_total_detections]`, zeros
    behind the last one; `count` is the number of those with a score not below 0.

    Raises:
        ValueError: the number of anchors or of classes does not fit, or is not known.

    Source: TF1 `batch_multiclass_non_max_suppression` with clip window [0, 0, 1, 1].
    """
    encodings = tf.cast(predictions.box_encodings, tf.float32)
    logits = tf.cast(predictions.class_logits, tf.float32)
    anchors = tf.convert_to_tensor(anchors, tf.float32)
    num_anchors, num_classes = _sizes(encodings, logits, anchors)
    leading = tf.shape(logits)[:-2]

    boxes = box_coder.decode(encodings, anchors, scale_factors=scale_factors)
    boxes = tf.reshape(boxes, [-1, num_anchors, 4])
    scores = tf.sigmoid(tf.reshape(logits, [-1, num_anchors, num_classes + 1])[..., 1:])
    scores = tf.transpose(scores, [0, 2, 1])  # [F, K, A]
    indices, kept = _suppress(
        boxes,
        scores,
        num_anchors=num_anchors,
        num_classes=num_classes,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        size=min(max_detections_per_class, num_anchors),
    )  # [F, K, P]
    detections = _first(boxes, scores, indices, kept, size=max_total_detections)
    static = logits.shape[:-2]
    return Detections(*(_unflatten(field, leading, static) for field in detections))


def _sizes(encodings: tf.Tensor, logits: tf.Tensor, anchors: tf.Tensor) -> tuple[int, int]:
    """Returns A and K after checking that the arguments agree on them."""
    num_anchors = anchors.shape[0]
    if num_anchors is None or logits.shape[-1] is None:
        raise ValueError(
            f"the numbers of anchors and classes must be known: anchors has shape {anchors.shape}, "
            f"class_logits {logits.shape}"
        )
    if not {encodings.shape[-2], logits.shape[-2]} <= {num_anchors, None}:
        raise ValueError(
            f"predictions must be for the {num_anchors} anchors given, got box_encodings "
            f"{encodings.shape} and class_logits {logits.shape}"
        )
    if logits.shape[-1] < 2:
        raise ValueError(f"class_logits needs background and a class, got shape {logits.shape}")
    return num_anchors, logits.shape[-1] - 1


@tf.function(reduce_retracing=True)  # so that eager calls are ten times faster, too
def _suppress(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    *,
    num_anchors: int,
    num_classes: int,
    iou_threshold: float,
    score_threshold: float,
    size: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the kept anchors of each class, by falling score, int32 and bool `[F, K, P]`.

    Of boxes `[F, A, 4]` and scores `[F, K, A]`; A, which the trace may not know, K and P (`size`).
    """
    frames = tf.shape(boxes)[0]

    def of_one_class(item: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        frame, class_scores = item
        result = tf.raw_ops.NonMaxSuppressionV4(
            boxes=tf.gather(boxes, frame),
            scores=class_scores,
            max_output_size=size,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            pad_to_max_output_size=True,
        )
        return result.selected_indices, result.valid_outputs

    indices, counts = tf.map_fn(
        of_one_class,
        (tf.repeat(tf.range(frames), num_classes), tf.reshape(scores, [-1, num_anchors])),
        fn_output_signature=(tf.TensorSpec([size], tf.int32), tf.TensorSpec([], tf.int32)),
    )
    kept = tf.range(size) < counts[:, tf.newaxis]
    shape = [frames, num_classes, size]
    return tf.reshape(indices, shape), tf.reshape(kept, shape)


def _first(
    boxes: tf.Tensor, scores: tf.Tensor, indices: tf.Tensor, kept: tf.Tensor, *, size: int
) -> Detections:
    """Returns the first `size` of the boxes that suppression kept, over all classes, clipped."""
    num_classes, per_class = indices.shape[1:]
    total = num_classes * per_class
    chosen_scores = tf.gather(scores, indices, batch_dims=2)  # [F, K, P]
    chosen_boxes = tf.gather(boxes, indices, batch_dims=1)  # [F, K, P, 4]
    classes = tf.broadcast_to(tf.range(num_classes)[:, tf.newaxis], tf.shape(indices))
    outside = tf.reduce_any(chosen_boxes[..., :2] > 1.0, -1) | tf.reduce_any(
        chosen_boxes[..., 2:] < 0.0, -1
    )
    kept &= ~outside
    clipped = box_ops.clip(chosen_boxes)

    # Twice, as the original: those without area keep the order of their scores among themselves.
    keys = tf.reshape(tf.where(kept, chosen_scores, _DROPPED), [-1, total])
    keys, order = tf.math.top_k(keys, k=total)  # of equals the lower index, so this is stable
    clipped = tf.gather(tf.reshape(clipped, [-1, total, 4]), order, batch_dims=1)
    classes = tf.gather(tf.reshape(classes, [-1, total]), order, batch_dims=1)
    empty = tf.equal(box_ops.area(clipped), 0.0) & (keys > _DROPPED)
    keys = tf.where(empty, -1.0, keys)
    keys, order = tf.math.top_k(keys, k=min(size, total))
    kept = keys > _DROPPED
    clipped = tf.gather(clipped, order, batch_dims=1)
    classes = tf.gather(classes, order, batch_dims=1)
    padding = size - min(size, total)
    return Detections(
        boxes=_pad(tf.where(kept[..., tf.newaxis], clipped, 0.0), padding),
        scores=_pad(tf.where(kept, keys, 0.0), padding),
        classes=_pad(tf.where(kept, classes, 0), padding),
        count=tf.reduce_sum(tf.cast(keys >= 0.0, tf.int32), axis=-1),
    )


def _pad(values: tf.Tensor, rows: int) -> tf.Tensor:
    """Returns `[F, N, ...]` values with rows of zeros at the end."""
    return tf.pad(values, [[0, 0], [0, rows], *[[0, 0]] * (values.shape.rank - 2)])


def _unflatten(values: tf.Tensor, leading: tf.Tensor, static: tf.TensorShape) -> tf.Tensor:
    """Returns `[F, ...]` values with the leading axes that F stands for."""
    result = tf.reshape(values, tf.concat([leading, tf.shape(values)[1:]], axis=0))
    return tf.ensure_shape(result, static.concatenate(values.shape[1:]))
