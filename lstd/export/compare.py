"""Whether two exports of one model do the same: frame by frame, and over a stream.

Two runtimes differ by some 1e-6. Where scores are closer than that, the order of the detections is
chance, and with it which of two overlapping boxes survives. So lists that differ are right, too, if
they were chosen from equal raw outputs, and suppression makes these lists of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_OUTPUTS
from lstd.export import postprocessing_op
from lstd.export.form import Described, Reference, carried
from lstd.export.postprocessing_op import PostprocessingOptions

TOLERANCE = 1e-4
"""Largest difference of a state, a score or a box, in parts of its largest value if over 1."""
_TWO_LEVELS = 12 / 255 + 1e-4
"""The same for a model trained in 8 bits, whose state lies in [0, 6]."""
FRAMES = 4
"""Frames that a self-check runs where nobody asks for more: large, small, small, large."""
_EXACT = 1e-5
"""How far an overlap or a value may be off that two runtimes compute of the same numbers."""
_FAR = float("inf")
_postprocess = functools.lru_cache(maxsize=4)(postprocessing_op.make)  # eagerly it is slower

Step = Callable[..., dict[str, np.ndarray]]
"""Runs an entry point: `step(entry_point, image=..., lstm_c=..., lstm_h=...)`, all of it NumPy."""


class ExportCheckError(ValueError):
    """The exported file differs from the model; the message says where."""


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


def rows_of(outputs: Mapping[str, np.ndarray], options: PostprocessingOptions, at: int = 0) -> Rows:
    """Returns the valid rows of an entry point's outputs, of the frame `at` of a clip."""
    count = int(outputs["num_detections"][at]) * options.max_classes_per_detection
    boxes, classes, scores = (outputs[name][at, :count] for name in DETECTION_OUTPUTS[:3])
    return Rows(boxes, classes.astype(np.int64), scores)


def differ(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference, divided by the largest expected value if that is over 1.

    Infinite where a value is not finite or the shapes differ.
    """
    if expected.shape != actual.shape or not np.isfinite(actual).all():
        return _FAR
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(actual - expected).max(initial=0.0)) / scale


def rows_differ(expected: Rows, actual: Rows) -> tuple[float, float]:
    """Returns the largest differences of a corner and of a score; infinite for other detections."""
    if not np.array_equal(expected.classes, actual.classes):
        return _FAR, _FAR
    return _each(expected.boxes, actual.boxes), _each(expected.scores, actual.scores)


def _each(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference, row by row, so that a large box hides no small one's."""
    return max(map(differ, expected, actual), default=0.0)


def decoded(
    outputs: Mapping[str, np.ndarray], options: PostprocessingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what suppression sees: corners `[T, A, 4]`, scores `[T, A, K]` without background."""
    encodings, scores, anchors = (outputs[name] for name in RAW_OUTPUTS)
    boxes = postprocessing_op.decode(encodings, anchors, scale_factors=options.scale_factors)
    return boxes.numpy(), scores[..., 1:]


def suppressed(
    outputs: Mapping[str, np.ndarray], options: PostprocessingOptions, at: int = 0
) -> Rows:
    """Returns the detections that suppression makes of the raw outputs of a frame."""
    encodings, scores, anchors = (outputs[name] for name in RAW_OUTPUTS)
    frame = slice(at, at + 1)
    found = _postprocess(options)(encodings[frame], scores[frame], anchors)
    named = zip(DETECTION_OUTPUTS, (value.numpy() for value in found), strict=True)
    return rows_of(dict(named), options)


def is_consistent(
    outputs: Mapping[str, np.ndarray], options: PostprocessingOptions, at: int = 0
) -> bool:
    """Returns whether the detections of a frame are what suppression makes of its raw outputs."""
    rows, (boxes, scores) = rows_of(outputs, options, at), decoded(outputs, options)
    if not np.isin(rows.classes, np.arange(options.num_classes)).all():
        return False
    for off in (0.0, _EXACT, -_EXACT):  # an overlap may lie on the threshold
        threshold = min(1.0, max(0.0, options.iou_threshold + off))
        expected = suppressed(outputs, options._replace(iou_threshold=threshold), at)
        if len(expected.classes) == len(rows.classes):  # of equal classes, any may come first
            nearest = [int(np.abs(boxes[at] - box).max(axis=1).argmin()) for box in expected.boxes]
            chosen = (scores[at][nearest, each.classes] for each in (expected, rows))
            classes = np.where(np.equal(*chosen), rows.classes, expected.classes)
            expected = expected._replace(classes=classes)
        if max(rows_differ(expected, rows)) <= _EXACT:
            return True
    return False


def pattern_image(number: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns an image that any language can make again, float32 `[1, H, W, C]`, whole numbers.

    Value n of the image, counted along C, then W, then H, is the highest byte of
    (n + 1000003 * number) * 2654435761 mod 2^32.
    """
    values = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000003 * number)
    values = (values * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(24)
    return values.astype(np.float32).reshape(1, *shape)


def pattern_input(described: Described, number: int) -> dict[str, np.ndarray]:
    """Returns the n-th frame, or the n-th clip of frames, as an entry point takes it."""
    form = described.form
    numbers = range(number * form.unroll_length, (number + 1) * form.unroll_length)
    images = [pattern_image(each, described.image_shape) for each in numbers]
    return {form.image_input: np.concatenate(images).astype(form.input_type)}


def stream_of(described: Described, frames: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields the entry point and the image input of each call of a stream of so many frames.

    Large, small, small and so on; for clips as many as hold the frames, at least two.
    """
    names, calls = list(described.entry_points), frames
    if described.form.is_clip:
        calls = max(2, -(-frames // described.form.unroll_length))
    for number in range(calls):
        yield names[0 if number % 3 == 0 else -1], pattern_input(described, number)


class _Call(NamedTuple):
    """One call on both sides: the inputs, each with its own state carried, and the outputs."""

    number: int
    entry_point: str
    ours: dict[str, np.ndarray]
    theirs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]


def _calls(described: Described, one: Step, other: Step, frames: int) -> Iterator[_Call]:
    """Yields the calls of a stream. Where none writes the state, it starts with numbers up to 3."""
    state = described.zero_state()
    if list(described.entry_points) == ["small"]:
        levels = pattern_image(0, described.state_shape[1:]) // 2
        pattern = levels * np.float32(6 / 255)  # of a state in int8, too
        state = dict.fromkeys(state, pattern)
    ours = theirs = state
    for number, (name, images) in enumerate(stream_of(described, frames)):
        given = {**images, **ours}, {**images, **theirs}
        outputs = one(name, **given[0]), other(name, **given[1])
        yield _Call(number, name, *given, *outputs)
        ours, theirs = map(carried, outputs)


def tolerance_of(reference: Reference) -> float:
    """Returns how far what runs the same graph may be off."""
    return _TWO_LEVELS if reference.int8 else TOLERANCE


def compare_streams(
    module: Reference, step: Step, *, where: str, frames: int = FRAMES
) -> dict[str, float]:
    """Returns the largest differences over a few frames, the state carried on both sides.

    `where` names `step` in the message. Lists that chance has ordered otherwise pass only if `step`
    gives its raw outputs, too.

    Raises:
        ExportCheckError: a difference above the tolerance, with frame, entry point and output.
    """
    largest: dict[str, float] = {}
    for call in _calls(module, module.run, step, frames):
        tolerance = tolerance_of(module)
        found = _differences(module, call, tolerance)
        if not max(found.values()) <= tolerance:
            tolerance = max(tolerance, _rounding(module, call))
            found = _differences(module, call, tolerance)
        for output, value in found.items():
            if not value <= tolerance:
                unit = "clip" if module.form.is_clip else "frame"
                raise ExportCheckError(
                    f"{where}: {output} of entry point {call.entry_point} differs from the model "
                    f"by {value:.2g} on {unit} {call.number}, allowed are {tolerance:.2g}"
                )
            largest[output] = max(value, largest.get(output, 0.0))
    return largest


def _differences(module: Reference, call: _Call, tolerance: float) -> dict[str, float]:
    """Returns the difference of each output; infinite where they do not compare."""
    expected, actual, options = call.expected, call.actual, module.options
    if expected.keys() != actual.keys() - (RAW_OUTPUTS if options else ()):
        raise ExportCheckError(
            f"entry point {call.entry_point} has the outputs {', '.join(sorted(actual))}, "
            f"expected {', '.join(sorted(expected))}"
        )
    whole = STATE_OUTPUTS if options else (*STATE_OUTPUTS, *RAW_OUTPUTS)
    found = {name: differ(expected[name], actual[name]) for name in whole}
    if options is None:
        return found
    for name in DETECTION_OUTPUTS:
        if expected[name].shape != actual[name].shape:
            return {**found, name: _FAR}
    # Rows behind the last detection may hold anything, also NaN.
    counts = actual["num_detections"]
    if not ((counts >= 0) & (counts <= options.max_detections)).all():
        return {**found, "num_detections": _FAR}
    pairs = []
    for at in range(len(counts)):
        pair = rows_differ(*(rows_of(each, options, at) for each in (expected, actual)))
        if (
            max(pair) > tolerance
            and RAW_OUTPUTS[0] in actual
            and is_consistent(actual, options, at)
        ):
            ours = decoded(module.raw_outputs(call.entry_point, **call.ours), options)
            theirs = decoded(actual, options)
            pair = _each(ours[0][at], theirs[0][at]), _each(ours[1][at], theirs[1][at])
        pairs.append(pair)
    boxes, scores = (max(values) for values in zip(*pairs, strict=True))
    return {**found, "detection_boxes": boxes, "detection_scores": scores}


def _rounding(module: Reference, call: _Call) -> float:
    """Returns how far the model itself is off for an image and a state touched by rounding.

    Most models stay far below the tolerance. One that amplifies every error, as random weights
    may make it, cannot be equal in two runtimes; at more than 1e-2 even that is no excuse.
    """

    def seen(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        outputs, options = module.raw_outputs(call.entry_point, **inputs), module.options
        raw = decoded(outputs, options) if options else (outputs[name] for name in RAW_OUTPUTS)
        return [*(outputs[name] for name in STATE_OUTPUTS), *raw]

    name, exact, off = module.form.image_input, seen(call.ours), 0.0
    for factor in (1 + 2e-6, 1 - 2e-6):
        images = call.ours[name].astype(np.float32) * np.float32(factor)
        off = max(off, *map(differ, exact, seen({**call.theirs, name: images})))
    return off if off <= 1e-2 else 0.0


def difference(described: Described, one: Step, other: Step, *, frames: int) -> float:
    """Returns how far two runtimes differ over a few frames, each with its own state carried.

    Of states and raw outputs each value is compared, of detections the scores by falling score.

    Raises:
        ExportCheckError: the first gives no finite numbers, or more detections than there can be,
            or the small network changes the state.
    """
    worst = 0.0
    for call in _calls(described, one, other, frames):
        where = f"{call.entry_point} on call {call.number}"
        ours, theirs = (
            _by_score(described.options, outputs, where) for outputs in (call.expected, call.actual)
        )
        for key, value in ours.items():
            if not np.isfinite(value).all():
                raise ExportCheckError(f"{key} of {where} is not finite")
            if not key.startswith("detection_boxes"):
                number = min(len(value), len(theirs[key]))
                worst = max(worst, differ(theirs[key][:number], value[:number]))
        if described.entry_points[call.entry_point] == "small":
            for key, value in carried(call.expected).items():
                if (value != call.ours[key]).any():
                    raise ExportCheckError(f"{key}_out of {where} is not what came in")
    return worst


def _by_score(
    options: PostprocessingOptions | None, outputs: Mapping[str, np.ndarray], where: str
) -> dict[str, np.ndarray]:
    """Returns the outputs of a call without rows behind the last detection, by falling score."""
    if options is None:
        return dict(outputs)
    counts = np.asarray(outputs["num_detections"])
    if not ((counts >= 0) & (counts <= options.max_detections)).all():
        raise ExportCheckError(f"num_detections of {where} is {counts.tolist()}")
    found = {name: outputs[name] for name in STATE_OUTPUTS}
    for at in range(len(counts)):
        rows = rows_of(outputs, options, at)
        found[f"detection_boxes {at}"] = rows.boxes
        found[f"detection_scores {at}"] = -np.sort(-rows.scores)
    return found
