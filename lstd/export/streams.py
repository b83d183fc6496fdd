"""A few frames through two exports of one model, the state carried, and how far they differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lstd.export import comparison
from lstd.export import reference as references
from lstd.export.interpreters import Step
from lstd.export.names import CLIP, DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_INPUTS, STATE_OUTPUTS
from lstd.export.reference import Described, Reference

FRAMES = 4
"""Frames that a self-check runs where nobody asks for more: large, small, small, large."""
FEWEST_FRAMES = 3


class ExportCheckError(ValueError):
    """The exported file is not what was to be exported; the message says where they differ."""


def pattern_image(number: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns an image that any language can make again, float32 `[1, H, W, C]`, whole numbers.

    Value n of the image, counted along C, then W, then H, is the highest byte of
    (n + 1000003 * number) * 2654435761 mod 2^32.
    """
    values = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1000003 * number)
    values = (values * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(24)
    return values.astype(np.float32).reshape(1, *shape)


def pattern_input(reference: Described, number: int) -> np.ndarray:
    """Returns the n-th frame, or the n-th clip of frames, in the dtype of the entry points."""
    length = reference.form.unroll_length
    images = [
        pattern_image(number * length + frame, reference.image_shape) for frame in range(length)
    ]
    return np.concatenate(images).astype(reference.form.input_type)


def check_frames(frames: int) -> None:
    """Raises unless so many frames are enough for a check."""
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < FEWEST_FRAMES:
        raise ValueError(
            f"check_frames must be a whole number of at least {FEWEST_FRAMES}, got {frames!r}"
        )


def stream_of(reference: Described, frames: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the entry point and the input of each call of a stream of so many frames.

    One large, two small and again; of clips as many as hold the frames, at least two.
    """
    names = list(reference.entry_points)
    calls = frames
    if reference.form.signature == CLIP:
        calls = max(2, -(-frames // reference.form.unroll_length))
    for number in range(calls):
        name = names[0] if number % 3 == 0 else names[-1]
        yield name, pattern_input(reference, number)


def first_state(reference: Described) -> dict[str, np.ndarray]:
    """Returns the state at the start of a check: zeros; numbers in [0, 3] where none writes it."""
    state = np.zeros(reference.state_shape, np.float32)
    if list(reference.entry_points) == ["small"]:
        state += pattern_image(0, reference.state_shape[1:]) / 85.0
    return dict.fromkeys(STATE_INPUTS, state)


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
    image_name = references.image_input(module.form)
    ours = theirs = first_state(module)
    largest: dict[str, float] = {}
    for number, (entry_point, images) in enumerate(stream_of(module, frames)):
        inputs = {image_name: images, **ours}
        expected = module.run(entry_point, **inputs)
        actual = step(entry_point, **{image_name: images, **theirs})
        tolerance = comparison.TOLERANCE
        found = compare_outputs(module, entry_point, inputs, expected, actual, tolerance=tolerance)
        if not max(found.values()) <= tolerance:
            tolerance = max(tolerance, _rounding(module, entry_point, inputs, theirs))
            found = compare_outputs(
                module, entry_point, inputs, expected, actual, tolerance=tolerance
            )
        for name, value in found.items():
            if not value <= tolerance:
                raise ExportCheckError(
                    f"{where}: {name} of entry point {entry_point} differs from the model by "
                    f"{value:.2g} on {_unit(module)} {number}, allowed are {tolerance:.2g}"
                )
            largest[name] = max(value, largest.get(name, 0.0))
        ours = _carried(expected)
        theirs = _carried(actual)
    return largest


def _unit(module: Described) -> str:
    return "clip" if module.form.signature == CLIP else "frame"


def _rounding(
    module: Reference,
    entry_point: str,
    inputs: dict[str, np.ndarray],
    state: dict[str, np.ndarray],
) -> float:
    """Returns how far the model itself is off for a state and an image that rounding has touched.

    Most models stay far below the tolerance. One that amplifies every error, as random weights may
    make it, cannot be equal in two runtimes; at more than 1e-2 even that is no excuse.
    """
    name = references.image_input(module.form)
    images = inputs[name].astype(np.float32)
    exact = module.raw_outputs(entry_point, **{**inputs, name: images})
    off = 0.0
    for factor in (1 + 2e-6, 1 - 2e-6):
        touched = module.raw_outputs(entry_point, **{name: images * np.float32(factor), **state})
        off = max(off, *(_raw_difference(module, exact, touched)))
    return off if off <= 1e-2 else 0.0


def _raw_difference(
    module: Reference, exact: dict[str, np.ndarray], touched: dict[str, np.ndarray]
) -> Iterator[float]:
    """Yields the differences of the states, and of boxes and scores or of the raw outputs."""
    for name in STATE_OUTPUTS:
        yield comparison.differ(exact[name], touched[name])
    if module.options is None:
        for name in RAW_OUTPUTS:
            yield comparison.differ(exact[name], touched[name])
        return
    pairs = (references.decoded(outputs, module.options) for outputs in (exact, touched))
    for one, other in zip(*pairs, strict=True):
        yield comparison.differ(one, other)


def compare_outputs(
    module: Reference,
    entry_point: str,
    inputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    actual: dict[str, np.ndarray],
    *,
    tolerance: float,
) -> dict[str, float]:
    """Returns the difference of each output of one call; infinite where they do not compare."""
    if set(expected) != set(actual):
        raise ExportCheckError(
            f"entry point {entry_point} has the outputs {', '.join(sorted(actual))}, expected "
            f"{', '.join(sorted(expected))}"
        )
    found = {name: comparison.differ(expected[name], actual[name]) for name in STATE_OUTPUTS}
    if module.options is None:
        for name in RAW_OUTPUTS:
            found[name] = comparison.differ(expected[name], actual[name])
        return found
    for name in DETECTION_OUTPUTS:
        if expected[name].shape != actual[name].shape:
            return {**found, name: float("inf")}
    # Rows behind the last detection may hold anything, also NaN.
    counts = actual["num_detections"]
    if not ((counts >= 0) & (counts <= module.options.max_detections)).all():
        return {**found, "num_detections": float("inf")}
    boxes_off, scores_off = _compare_detections(
        module, entry_point, inputs, expected, actual, tolerance=tolerance
    )
    return {**found, "detection_boxes": boxes_off, "detection_scores": scores_off}


def _compare_detections(
    module: Reference,
    entry_point: str,
    inputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    actual: dict[str, np.ndarray],
    *,
    tolerance: float,
) -> tuple[float, float]:
    """Returns the largest differences of boxes and of scores over the frames of one call."""
    options = module.options
    if options is None:
        raise ValueError("raw outputs have no detections to compare")
    raw = None
    boxes_off = scores_off = 0.0
    for frame in range(len(expected["num_detections"])):
        rows = comparison.rows_of(_frame(actual, frame), options)
        differences = comparison.equal(
            comparison.rows_of(_frame(expected, frame), options), rows, tolerance=tolerance
        )
        if differences is None:  # near-equal scores, or an error: only the raw output can tell
            if raw is None:
                name = references.image_input(module.form)
                images = inputs[name].astype(np.float32)
                raw = references.decoded(
                    module.raw_outputs(entry_point, **{**inputs, name: images}), options
                )
            differences = comparison.possible(
                raw.boxes[frame], raw.scores[frame], rows, options, tolerance=tolerance
            )
        if differences is None:
            return float("inf"), float("inf")
        boxes_off = max(boxes_off, differences.boxes)
        scores_off = max(scores_off, differences.scores)
    return boxes_off, scores_off


def _frame(outputs: dict[str, np.ndarray], frame: int) -> dict[str, np.ndarray]:
    """Returns the detections of one frame of a clip."""
    return {name: outputs[name][frame : frame + 1] for name in DETECTION_OUTPUTS}


def _carried(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removesuffix("_out"): outputs[name] for name in STATE_OUTPUTS}
