"""Whether two exports of one model do the same: frame by frame, and over a stream.

Two runtimes differ by some 1e-6. Where scores are closer than that, the order of the detections is
chance, and with it which of two overlapping boxes survives. So there are two questions: are the
lists equal, order free among near-equal scores; and if they are not, is the list of the file one
that suppression could have chosen, had every score and box been off by no more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_OUTPUTS
from lstd.base.overlap import iou
from lstd.export import form as forms
from lstd.export import postprocessing_op
from lstd.export.form import Described, Reference
from lstd.export.postprocessing_op import PostprocessingOptions

TOLERANCE = 1e-4
"""Largest difference of a state, a score or a box, in parts of its largest value if over 1."""
NEAR = 1e-5
"""Scores closer than this may change places."""
FRAMES = 4
"""Frames that a self-check runs where nobody asks for more: large, small, small, large."""
_OVERLAP_FACTOR = 10
"""How many times the tolerance of corners the overlap of two boxes may be off."""

Step = Callable[..., dict[str, np.ndarray]]
"""Runs an entry point: `step(entry_point, image=..., lstm_c=..., lstm_h=...)`, all of it NumPy."""


class ExportCheckError(ValueError):
    """The exported file is not what was to be exported; the message says where they differ."""


class Rows(NamedTuple):
    """The detections of a frame without the rows behind the last one.

    Attributes:
        boxes: float32 `[n, 4]`.
        classes: int `[n]`.
        scores: float32 `[n]`.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


class Differences(NamedTuple):
    """The largest differences of a corner, in parts of the frame, and of a score."""

    boxes: float
    scores: float


def rows_of(outputs: Mapping[str, np.ndarray], options: PostprocessingOptions, at: int = 0) -> Rows:
    """Returns the valid rows of an entry point's outputs, of the frame `at` of a clip."""
    count = int(outputs["num_detections"][at]) * options.max_classes_per_detection
    boxes, classes, scores = (outputs[name][at, :count] for name in DETECTION_OUTPUTS[:3])
    return Rows(boxes, classes.astype(np.int64), scores)


def differ(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference, in parts of the largest expected value if that is over 1.

    Infinite where a value is not finite or the shapes differ.
    """
    if expected.shape != actual.shape or not np.isfinite(actual).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(actual - expected).max(initial=0.0)) / scale


def equal(expected: Rows, actual: Rows, *, tolerance: float = TOLERANCE) -> Differences | None:
    """Returns the differences of two lists, None if they are not the same detections."""
    if len(expected.scores) != len(actual.scores):
        return None
    free = set(range(len(actual.scores)))
    boxes, scores = [0.0], [0.0]
    for row, score in enumerate(expected.scores):
        near = {other for other in free if abs(expected.scores[other] - score) < NEAR}
        for other in sorted(near | ({row} & free), key=lambda other: abs(other - row)):
            box = differ(expected.boxes[row], actual.boxes[other])
            off = differ(score, actual.scores[other])
            same_class = expected.classes[row] == actual.classes[other]
            if same_class and max(box, off) <= tolerance:
                free.discard(other)
                boxes.append(box)
                scores.append(off)
                break
        else:
            return None
    return Differences(max(boxes), max(scores))


def possible(
    boxes: np.ndarray,
    scores: np.ndarray,
    actual: Rows,
    options: PostprocessingOptions,
    *,
    tolerance: float = TOLERANCE,
) -> Differences | None:
    """Returns the differences to the raw output, None if suppression could not have chosen these.

    Args:
        boxes: decoded, float32 `[A, 4]`, of the module.
        scores: float32 `[A, K]`, of the module.
        actual: the detections of the file.
        options: of the post-processing.
        tolerance: how far every score and box may be off.
    """
    per_anchor = options.max_classes_per_detection
    kept = _anchors_of(boxes, scores, actual, per_anchor, tolerance)
    if kept is None:
        return None
    if options.use_regular_nms:
        keys, classes = scores, actual.classes
    else:
        keys, classes = scores.max(axis=1, keepdims=True), np.zeros(len(kept), np.int64)
        if not _best_classes(scores, actual, kept, per_anchor, tolerance):
            return None
    order = keys[kept, classes]
    is_sorted = (order[:-1] >= order[1:] - 2 * tolerance).all()
    if not is_sorted or (order < options.score_threshold - tolerance).any():
        return None
    bar = float(order.min()) if len(kept) >= options.max_detections else -np.inf
    for number in range(keys.shape[1]):
        mine = kept[classes == number]
        if not _possible_in_class(boxes, keys[:, number], mine, options, bar, tolerance):
            return None
    matched = np.repeat(kept, per_anchor)
    return Differences(
        differ(boxes[matched], actual.boxes),
        differ(scores[matched, actual.classes], actual.scores),
    )


def _anchors_of(
    boxes: np.ndarray, scores: np.ndarray, actual: Rows, per_anchor: int, tolerance: float
) -> np.ndarray | None:
    """Returns the anchor of each detection; None if one fits no anchor, or two fit only one."""
    if not np.isin(actual.classes, np.arange(scores.shape[1])).all():
        return None
    found: list[int] = []
    taken = set()
    scale = np.maximum(1.0, np.abs(boxes).max(axis=1))
    for first in range(0, len(actual.scores), per_anchor):
        rows = slice(first, first + per_anchor)
        classes = actual.classes[rows]
        off_box = np.abs(boxes - actual.boxes[first]).max(axis=1) / scale
        off_score = np.abs(scores[:, classes] - actual.scores[rows]).max(axis=1)
        fits = np.flatnonzero((off_box <= tolerance) & (off_score <= tolerance))
        free = [anchor for anchor in fits if (anchor, classes[0]) not in taken]
        if not free:
            return None
        best = min(free, key=lambda anchor: off_box[anchor] + off_score[anchor])
        taken.add((best, classes[0]))
        found.append(int(best))
    return np.array(found, np.int64)


def _best_classes(
    scores: np.ndarray, actual: Rows, kept: np.ndarray, per_anchor: int, tolerance: float
) -> bool:
    """Returns whether each anchor is reported with its best classes, best first."""
    best = -np.sort(-scores[kept], axis=1)[:, :per_anchor]  # [n, M]
    classes = actual.classes.reshape(-1, per_anchor)
    distinct = all(len(set(row)) == per_anchor for row in classes)
    reported = np.take_along_axis(scores[kept], classes, axis=1)
    return distinct and bool((np.abs(reported - best) <= 2 * tolerance).all())


def _possible_in_class(
    boxes: np.ndarray,
    scores: np.ndarray,
    kept: np.ndarray,
    options: PostprocessingOptions,
    bar: float,
    tolerance: float,
) -> bool:
    """Returns whether greedy suppression by these scores `[A]` could keep exactly these anchors.

    Each anchor left out must have its reason: a score below the threshold, a kept box that overlaps
    it and is not worse, or a full list of better ones (`bar` is the worst score of that).
    """
    slack = _OVERLAP_FACTOR * tolerance
    overlap = iou(boxes[:, np.newaxis], boxes[kept])  # [A, n]
    among = overlap[kept] - np.eye(len(kept))
    if (among > options.iou_threshold + slack).any():
        return False
    not_worse = scores[kept] >= scores[:, np.newaxis] - 2 * tolerance
    reason = (not_worse & (overlap > options.iou_threshold - slack)).any(axis=1)
    reason |= scores < options.score_threshold + tolerance
    reason |= scores <= bar + 2 * tolerance
    if options.use_regular_nms and len(kept) >= options.detections_per_class:
        reason |= scores <= scores[kept].min() + 2 * tolerance
    reason[kept] = True
    return bool(reason.all())


def pattern_image(number: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns an image that any language can make again, float32 `[1, H, W, C]`, whole numbers.

    Value n of the image, counted along C, then W, then H, is the highest byte of
    (n + 1000003 * number) * 2654435761 mod 2^32.
    """
    values = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000003 * number)
    values = (values * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(24)
    return values.astype(np.float32).reshape(1, *shape)


def pattern_input(described: Described, number: int) -> np.ndarray:
    """Returns the n-th frame, or the n-th clip of frames, in the dtype of the entry points."""
    length = described.form.unroll_length
    numbers = range(number * length, (number + 1) * length)
    images = [pattern_image(each, described.image_shape) for each in numbers]
    return np.concatenate(images).astype(described.form.input_type)


def stream_of(described: Described, frames: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields the entry point and the image input of each call of a stream of so many frames.

    One large, two small and again; of clips as many as hold the frames, at least two.
    """
    names, calls = list(described.entry_points), frames
    if described.form.is_clip:
        calls = max(2, -(-frames // described.form.unroll_length))
    for number in range(calls):
        name = names[0] if number % 3 == 0 else names[-1]
        yield name, {described.form.image_input: pattern_input(described, number)}


def first_state(described: Described) -> dict[str, np.ndarray]:
    """Returns the state at the start of a check: zeros; numbers in [0, 3] where none writes it."""
    state = forms.zero_state(described)
    if list(described.entry_points) != ["small"]:
        return state
    return dict.fromkeys(state, pattern_image(0, described.state_shape[1:]) / np.float32(85.0))


def compare_streams(
    module: Reference, step: Step, *, where: str, frames: int = FRAMES
) -> dict[str, float]:
    """Returns the largest differences over a few frames, the state carried on both sides.

    Args:
        module: the truth.
        step: what is checked.
        where: what `step` is, for the message.
        frames: how many are run at least.

    Raises:
        ExportCheckError: a difference above the tolerance, with frame, entry point and output.
    """
    ours = theirs = first_state(module)
    largest: dict[str, float] = {}
    for number, (name, images) in enumerate(stream_of(module, frames)):
        inputs = {**images, **ours}
        expected, actual = module.run(name, **inputs), step(name, **images, **theirs)
        call = _Call(module, name, inputs, expected, actual)
        tolerance = TOLERANCE
        found = call.differences(tolerance)
        if not max(found.values()) <= tolerance:
            tolerance = max(tolerance, call.rounding(theirs))
            found = call.differences(tolerance)
        for output, value in found.items():
            if not value <= tolerance:
                unit = "clip" if module.form.is_clip else "frame"
                raise ExportCheckError(
                    f"{where}: {output} of entry point {name} differs from the model by "
                    f"{value:.2g} on {unit} {number}, allowed are {tolerance:.2g}"
                )
            largest[output] = max(value, largest.get(output, 0.0))
        ours, theirs = forms.carried(expected), forms.carried(actual)
    return largest


class _Call(NamedTuple):
    """One call of an entry point: what the truth was given, and the outputs of both sides."""

    module: Reference
    entry_point: str
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]

    def differences(self, tolerance: float) -> dict[str, float]:
        """Returns the difference of each output; infinite where they do not compare.

        Raises:
            ExportCheckError: there are other outputs than expected.
        """
        expected, actual, options = self.expected, self.actual, self.module.options
        if set(expected) != set(actual):
            raise ExportCheckError(
                f"entry point {self.entry_point} has the outputs {', '.join(sorted(actual))}, "
                f"expected {', '.join(sorted(expected))}"
            )
        whole = STATE_OUTPUTS if options else (*STATE_OUTPUTS, *RAW_OUTPUTS)
        found = {name: differ(expected[name], actual[name]) for name in whole}
        if options is None:
            return found
        for name in DETECTION_OUTPUTS:
            if expected[name].shape != actual[name].shape:
                return {**found, name: float("inf")}
        # Rows behind the last detection may hold anything, also NaN.
        counts = actual["num_detections"]
        if not ((counts >= 0) & (counts <= options.max_detections)).all():
            return {**found, "num_detections": float("inf")}
        frames = [self._detections(at, options, tolerance) for at in range(len(counts))]
        boxes, scores = (max(values) for values in zip(*frames, strict=True))
        return {**found, "detection_boxes": boxes, "detection_scores": scores}

    def _detections(self, at: int, options: PostprocessingOptions, tolerance: float) -> Differences:
        """Returns the differences of the detections of one frame."""
        ours, theirs = (rows_of(each, options, at) for each in (self.expected, self.actual))
        found = equal(ours, theirs, tolerance=tolerance)
        if found is None:  # near-equal scores, or an error: only the raw output can tell
            raw = self.module.raw_outputs(self.entry_point, **self.inputs)
            boxes, scores = decoded(raw, options, at)
            found = possible(boxes, scores, theirs, options, tolerance=tolerance)
        return found or Differences(float("inf"), float("inf"))

    def rounding(self, state: dict[str, np.ndarray]) -> float:
        """Returns how far the model itself is off for an image and a state touched by rounding.

        Most models stay far below the tolerance. One that amplifies every error, as random weights
        may make it, cannot be equal in two runtimes; at more than 1e-2 even that is no excuse.
        """
        name = self.module.form.image_input
        exact, off = self.module.raw_outputs(self.entry_point, **self.inputs), 0.0
        for factor in (1 + 2e-6, 1 - 2e-6):
            images = self.inputs[name].astype(np.float32) * np.float32(factor)
            touched = self.module.raw_outputs(self.entry_point, **{name: images, **state})
            off = max(off, *self._raw_differences(exact, touched))
        return off if off <= 1e-2 else 0.0

    def _raw_differences(
        self, exact: dict[str, np.ndarray], touched: dict[str, np.ndarray]
    ) -> Iterator[float]:
        """Yields the differences of the states, and of boxes and scores or of the raw outputs."""
        options = self.module.options
        for name in STATE_OUTPUTS if options else (*STATE_OUTPUTS, *RAW_OUTPUTS):
            yield differ(exact[name], touched[name])
        for at in range(self.module.form.unroll_length if options else 0):
            pairs = (decoded(outputs, options, at) for outputs in (exact, touched))
            for one, other in zip(*pairs, strict=True):
                yield differ(one, other)


def decoded(
    outputs: Mapping[str, np.ndarray], options: PostprocessingOptions | None, at: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what suppression sees of a frame: corners `[A, 4]`, scores without background."""
    encodings, scores, anchors = (outputs[name] for name in RAW_OUTPUTS)
    factors = (options or PostprocessingOptions(0)).scale_factors
    boxes = postprocessing_op.decode(encodings[at], anchors, scale_factors=factors)
    return boxes.numpy(), scores[at, :, 1:]


def difference(described: Described, one: Step, other: Step, *, frames: int) -> float:
    """Returns how far two runtimes differ over a few frames, each with its own state carried.

    Of states and raw outputs each value is compared, of detections the scores by falling score.

    Raises:
        ExportCheckError: the first gives no finite numbers, or more detections than there can be.
    """
    worst, states = 0.0, [first_state(described)] * 2
    for place, (name, images) in enumerate(stream_of(described, frames)):
        call = f"{name} on call {place}"
        pair = [
            step(name, **images, **state) for step, state in zip((one, other), states, strict=True)
        ]
        ours, theirs = (_that_count(described, outputs, call) for outputs in pair)
        for key, value in ours.items():
            if not np.isfinite(value).all():
                raise ExportCheckError(f"{key} of {call} is not finite")
            if not key.startswith("detection_boxes"):
                number = min(len(value), len(theirs[key]))
                worst = max(worst, differ(theirs[key][:number], value[:number]))
        for key, value in states[0].items():
            if described.entry_points[name] == "small" and (ours[f"{key}_out"] != value).any():
                raise ExportCheckError(f"{key}_out of {call} is not what came in")
        states = [forms.carried(outputs) for outputs in pair]
    return worst


def _that_count(
    described: Described, outputs: Mapping[str, np.ndarray], call: str
) -> dict[str, np.ndarray]:
    """Returns the outputs of a call without rows behind the last detection, and by falling score.

    Raises:
        ExportCheckError: more detections than there can be.
    """
    options = described.options
    if options is None:
        return dict(outputs)
    counts = np.asarray(outputs["num_detections"])
    if not ((counts >= 0) & (counts <= options.max_detections)).all():
        raise ExportCheckError(f"num_detections of {call} is {counts.tolist()}")
    found = {name: outputs[name] for name in STATE_OUTPUTS}
    for at, count in enumerate(counts.astype(int) * options.max_classes_per_detection):
        for name in ("detection_boxes", "detection_scores"):
            values = outputs[name][at, :count]
            found[f"{name} {at}"] = -np.sort(-values) if values.ndim == 1 else values
    return found
