"""From raw output to detections in the form of TFLite's own op: decoding and suppression."""

from typing import Any, NamedTuple

import tensorflow as tf

from lstd.base import export_names

NAME = export_names.POSTPROCESSING_OP
"""The custom op of TensorFlow Lite that the converter puts in the place of the function."""

SCALES = ("y_scale", "x_scale", "h_scale", "w_scale")
"""The attributes for the factors of the box coder."""

_LOWEST = float(tf.float32.min)


class PostprocessingOptions(NamedTuple):
    """The attributes of the op.

    Attributes:
        num_classes: K, without background.
        max_detections: anchors that are returned at most (regular mode: rows).
        max_classes_per_detection: M, classes returned for each anchor, best first; fast mode only.
        detections_per_class: boxes kept for one class; regular mode only.
        use_regular_nms: True: each class is suppressed by itself. False: all classes together, each
            anchor by its best class, which is faster.
        score_threshold: only scores of at least this are considered.
        iou_threshold: boxes that overlap more are one object.
        scale_factors: of the box coder, (y, x, height, width).
    """

    num_classes: int
    max_detections: int = 10
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False
    score_threshold: float = -20.0
    iou_threshold: float = 0.5
    scale_factors: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)

    @property
    def num_rows(self) -> int:
        """N, the rows of the outputs."""
        return self.max_detections * self.max_classes_per_detection


class OpOutputs(NamedTuple):
    """What the op returns, in its order.

    Attributes:
        boxes: float32 `[1, N, 4]`, corners, not clipped.
        classes: float32 `[1, N]`, 0-based, without background.
        scores: float32 `[1, N]`.
        num_detections: float32 `[1]`, kept anchors in fast mode (M rows each), else kept rows.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    scores: tf.Tensor
    num_detections: tf.Tensor


def make(options: PostprocessingOptions) -> Any:
    """Returns a tf.function that TensorFlow runs as it is and TFLite replaces by its op.

    It takes box encodings float32 `[1, A, 4]`, class scores float32 `[1, A, K + 1]` (after the
    sigmoid, background first) and anchors float32 `[A, 4]` (ycenter, xcenter, height, width), and
    returns `OpOutputs`. Behind the last detection the body has zeros and the op has leftovers.
    """

    @tf.function(experimental_implements=_name_and_attributes(options), autograph=False)
    def postprocess(
        box_encodings: tf.Tensor, class_scores: tf.Tensor, anchors: tf.Tensor
    ) -> OpOutputs:
        return OpOutputs(*detections(box_encodings, class_scores, anchors, options))

    return postprocess


def attributes(options: PostprocessingOptions) -> dict[str, bool | int | float]:
    """Returns all attributes of the op; with one missing, a file converts but returns zeros."""
    counts = ("max_detections", "max_classes_per_detection", "detections_per_class")
    scales = zip(SCALES, map(float, options.scale_factors), strict=True)
    return {
        **{name: getattr(options, name) for name in (*counts, "use_regular_nms")},
        "nms_score_threshold": float(options.score_threshold),
        "nms_iou_threshold": float(options.iou_threshold),
        "num_classes": options.num_classes,
        **dict(scales),
    }


def _name_and_attributes(options: PostprocessingOptions) -> str:
    """Returns the text proto that the converter reads."""
    parts = [f'name: "{NAME}"']
    for key, value in attributes(options).items():
        kind = {bool: "b", int: "i"}.get(type(value), "f")
        parts.append(f'attr {{ key: "{key}" value {{ {kind}: {str(value).lower()} }} }}')
    return " ".join(parts)


def detections(
    box_encodings: tf.Tensor,
    class_scores: tf.Tensor,
    anchors: tf.Tensor,
    options: PostprocessingOptions,
) -> OpOutputs:
    """Returns the detections of one frame, as the op computes them; see `make`."""
    boxes = decode(box_encodings[0], anchors, scale_factors=options.scale_factors)  # [A, 4]
    scores = class_scores[0, :, 1:]  # [A, K]
    find = _regular if options.use_regular_nms else _fast
    chosen, classes, chosen_scores, count = find(boxes, scores, options)
    rows = count * options.max_classes_per_detection
    valid = tf.range(options.num_rows) < rows
    return OpOutputs(
        boxes=tf.where(valid[:, tf.newaxis], tf.gather(boxes, chosen), 0.0)[tf.newaxis],
        classes=tf.where(valid, tf.cast(classes, tf.float32), 0.0)[tf.newaxis],
        scores=tf.where(valid, chosen_scores, 0.0)[tf.newaxis],
        num_detections=tf.cast(count, tf.float32)[tf.newaxis],
    )


def decode(
    box_encodings: tf.Tensor,
    anchors: tf.Tensor,
    *,
    scale_factors: tuple[float, float, float, float],
) -> tf.Tensor:
    """Returns corners float32 `[..., A, 4]` of encodings relative to anchors `[A, 4]`."""
    scaled = box_encodings / tf.constant(scale_factors)
    centers = scaled[..., :2] * anchors[:, 2:] + anchors[:, :2]
    halves = 0.5 * tf.exp(scaled[..., 2:]) * anchors[:, 2:]
    return tf.concat([centers - halves, centers + halves], axis=-1)


_Chosen = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
"""Anchors, classes and scores `[N]` of the rows, and the count `[]`."""


def _fast(boxes: tf.Tensor, scores: tf.Tensor, options: PostprocessingOptions) -> _Chosen:
    """Suppresses anchors by their best class, then returns the M best classes of each."""
    best_scores, best_classes = tf.math.top_k(scores, k=options.max_classes_per_detection)  # [A, M]
    kept, count = _suppress(boxes, best_scores[:, 0], options, size=options.max_detections)
    return (
        tf.repeat(kept, options.max_classes_per_detection),
        tf.reshape(tf.gather(best_classes, kept), [-1]),
        tf.reshape(tf.gather(best_scores, kept), [-1]),
        count,
    )


def _regular(boxes: tf.Tensor, scores: tf.Tensor, options: PostprocessingOptions) -> _Chosen:
    """Suppresses each class by itself, then returns the best of all, of equals the lower class."""
    size = min(options.detections_per_class, options.max_detections)
    kept, counts = tf.map_fn(
        lambda class_scores: _suppress(boxes, class_scores, options, size=size),
        tf.transpose(scores),
        fn_output_signature=(tf.TensorSpec([size], tf.int32), tf.TensorSpec([], tf.int32)),
    )  # [K, size], [K]
    valid = tf.range(size) < counts[:, tf.newaxis]
    kept_scores = tf.gather(tf.transpose(scores), kept, batch_dims=1)
    keys = tf.reshape(tf.where(valid, kept_scores, _LOWEST), [-1])  # [K * size]
    missing = max(0, options.max_detections - options.num_classes * size)
    keys = tf.pad(keys, [[0, missing]], constant_values=_LOWEST)
    kept = tf.pad(tf.reshape(kept, [-1]), [[0, missing]])
    best, rows = tf.math.top_k(keys, k=options.max_detections)
    count = tf.minimum(tf.reduce_sum(counts), options.max_detections)
    return tf.gather(kept, rows), rows // size, best, count


def _suppress(
    boxes: tf.Tensor, scores: tf.Tensor, options: PostprocessingOptions, *, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which of boxes `[A, 4]` stay: int32 `[size]` by falling score, and how many, `[]`."""
    # TFLite keeps a score equal to the threshold, TensorFlow's op would not.
    considered = tf.where(scores >= options.score_threshold, scores, -float("inf"))
    result = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes,
        scores=considered,
        max_output_size=size,
        iou_threshold=options.iou_threshold,
        score_threshold=_LOWEST,
        pad_to_max_output_size=True,
    )
    return tf.ensure_shape(result.selected_indices, [size]), result.valid_outputs
