"""The TFLite op's two kinds of suppression, slowly, in NumPy, one box at a time."""

import numpy as np

from lstd.export.postprocessing_op import PostprocessingOptions


def detections(
    encodings: np.ndarray, scores: np.ndarray, anchors: np.ndarray, options: PostprocessingOptions
) -> tuple[list[np.ndarray], list[int], list[float], int]:
    """Returns boxes, classes and scores of the rows, and the number of detections.

    Args:
        encodings: `[A, 4]`.
        scores: `[A, K + 1]`, background first.
        anchors: `[A, 4]`, centre and size.
        options: of the op.
    """
    boxes = _decode(encodings, anchors, options.scale_factors)
    scores = scores[:, 1:]
    if options.use_regular_nms:
        rows = []
        for label in range(options.num_classes):
            limit = min(options.detections_per_class, options.max_detections)
            for anchor in _greedy(boxes, scores[:, label], options, limit):
                rows.append((anchor, label))
        rows.sort(key=lambda row: -scores[row])  # sort is stable
        rows = rows[: options.max_detections]
        count = len(rows)
    else:
        kept = _greedy(boxes, scores.max(axis=1), options, options.max_detections)
        rows = []
        for anchor in kept:
            best = sorted(range(options.num_classes), key=lambda label: -scores[anchor, label])
            rows += [(anchor, label) for label in best[: options.max_classes_per_detection]]
        count = len(kept)
    return (
        [boxes[anchor] for anchor, _ in rows],
        [label for _, label in rows],
        [float(scores[row]) for row in rows],
        count,
    )


def _decode(encodings: np.ndarray, anchors: np.ndarray, scales: tuple[float, ...]) -> np.ndarray:
    found = []
    for (ty, tx, th, tw), (yc, xc, height, width) in zip(encodings, anchors, strict=True):
        y, x = ty / scales[0] * height + yc, tx / scales[1] * width + xc
        h, w = np.exp(th / scales[2]) * height / 2, np.exp(tw / scales[3]) * width / 2
        found.append([y - h, x - w, y + h, x + w])
    return np.array(found, np.float32)


def _greedy(
    boxes: np.ndarray, scores: np.ndarray, options: PostprocessingOptions, limit: int
) -> list[int]:
    kept: list[int] = []
    for anchor in sorted(range(len(scores)), key=lambda anchor: -scores[anchor]):
        if len(kept) == limit or scores[anchor] < options.score_threshold:
            break
        if all(_iou(boxes[anchor], boxes[other]) <= options.iou_threshold for other in kept):
            kept.append(anchor)
    return kept


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    both = max(height, 0.0) * max(width, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (sum(areas) - both) if min(areas) > 0 else 0.0
