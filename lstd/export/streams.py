"""A few frames through two exports of one model, the state carried, and how far they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lstd.export import comparison
from lstd.export import reference as references
from lstd.export.comparison import Differences
from lstd.export.interpreters import Step
from lstd.export.names import CLIP, DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_INPUTS, STATE_OUTPUTS
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.export.reference import Described, Reference

FRAMES = 4
"""Frames that a self-check runs where nobody asks for more: large, small, small, large."""
FEWEST_FRAMES = 3


class ExportCheckError(ValueError):
    """The exported file is not what was to be exported; the message says where they differ."""


class Call(NamedTuple):
    """One call of an entry point, on both sides.

    Attributes:
        entry_point: its name.
        inputs: what the truth was given.
        expected: the truth's outputs.
        actual: the outputs of what is checked.
    """

    entry_point: str
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]


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
    """Refuses a number of frames that is too small for a check.

    Raises:
        ValueError: too small, or no whole number.
    """
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
        call = Call(entry_point, inputs, expected, actual)
        tolerance = comparison.TOLERANCE
        found = compare_outputs(module, call, tolerance=tolerance)
        if not max(found.values()) <= tolerance:
            tolerance = max(tolerance, _rounding(module, call, state=theirs))
            found = compare_outputs(module, call, tolerance=tolerance)
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


def difference(described: Described, one: Step, other: Step, *, frames: int) -> float:
    """Returns how far two runtimes differ over a few frames, each with its own state carried.

    Of states and raw outputs each value is compared, of detections the scores by falling score.

    Raises:
        ExportCheckError: the first gives no finite numbers, or more detections than there can be.
    """
    worst = 0.0
    name = references.image_input(described.form)
    states = [first_state(described)] * 2
    for call, (entry_point, images) in enumerate(stream_of(described, frames)):
        pair = [
            step(entry_point, **{name: images, **state})
            for step, state in zip((one, other), states, strict=True)
        ]
        _require_finite(described, entry_point, pair[0], call=call)
        for key in STATE_OUTPUTS:
            worst = max(worst, comparison.differ(pair[1][key], pair[0][key]))
            given = states[0][key.removesuffix("_out")]
            if described.entry_points[entry_point] == "small" and (pair[0][key] != given).any():
                raise ExportCheckError(
                    f"{key} of {entry_point} is not what came in, on call {call}"
                )
        worst = max(worst, _output_difference(described, *pair))
        states = [_carried(outputs) for outputs in pair]
    return worst


def _require_finite(
    described: Described, entry_point: str, outputs: Mapping[str, np.ndarray], *, call: int
) -> None:
    """Raises where a value that counts is not finite, or the count is out of range."""
    valid = dict(outputs)
    if described.options is not None:
        counts = np.asarray(outputs["num_detections"])
        if not ((counts >= 0) & (counts <= described.options.max_detections)).all():
            raise ExportCheckError(
                f"num_detections of {entry_point} is {counts.tolist()} on call {call}"
            )
        for name in DETECTION_OUTPUTS[:3]:
            rows = _rows(described, counts)
            valid[name] = np.concatenate(
                [frame[:number] for frame, number in zip(outputs[name], rows, strict=True)]
            )
    for name, value in valid.items():
        if not np.isfinite(value).all():
            raise ExportCheckError(f"{name} of {entry_point} is not finite on call {call}")


def _rows(described: Described, counts: np.ndarray) -> list[int]:
    per_detection = described.options.max_classes_per_detection if described.options else 1
    return [int(count) * per_detection for count in counts]


def _output_difference(
    described: Described, one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> float:
    """Returns how far raw outputs differ, or the scores of detections by falling score."""
    if described.options is None:
        return max(comparison.differ(other[name], one[name]) for name in RAW_OUTPUTS)
    off = 0.0
    pairs = zip(
        *(_rows(described, outputs["num_detections"]) for outputs in (one, other)), strict=True
    )
    for frame, (first, second) in enumerate(pairs):
        number = min(first, second)
        scores = [
            -np.sort(-outputs["detection_scores"][frame, :number]) for outputs in (one, other)
        ]
        off = max(off, comparison.differ(scores[1], scores[0]))
    return off


def _unit(module: Described) -> str:
    return "clip" if module.form.signature == CLIP else "frame"


def _rounding(module: Reference, call: Call, *, state: dict[str, np.ndarray]) -> float:
    """Returns how far the model itself is off for an image and a state that rounding has touched.

    Most models stay far below the tolerance. One that amplifies every error, as random weights may
    make it, cannot be equal in two runtimes; at more than 1e-2 even that is no excuse.
    """
    name, images = references.image_input(module.form), _float_images(module, call)
    exact = _raw_outputs(module, call)
    off = 0.0
    for factor in (1 + 2e-6, 1 - 2e-6):
        inputs = {name: images * np.float32(factor), **state}
        touched = module.raw_outputs(call.entry_point, **inputs)
        off = max(off, *(_raw_difference(module, exact, touched)))
    return off if off <= 1e-2 else 0.0


def _raw_outputs(module: Reference, call: Call) -> dict[str, np.ndarray]:
    """Returns the truth of a call before suppression."""
    name = references.image_input(module.form)
    inputs = {**call.inputs, name: _float_images(module, call)}
    return module.raw_outputs(call.entry_point, **inputs)


def _float_images(module: Reference, call: Call) -> np.ndarray:
    return call.inputs[references.image_input(module.form)].astype(np.float32)


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


def compare_outputs(module: Reference, call: Call, *, tolerance: float) -> dict[str, float]:
    """Returns the difference of each output of a call; infinite where they do not compare.

    Raises:
        ExportCheckError: there are other outputs than expected.
    """
    _, _, expected, actual = call
    if set(expected) != set(actual):
        raise ExportCheckError(
            f"entry point {call.entry_point} has the outputs {', '.join(sorted(actual))}, expected "
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
    off = _compare_detections(module, module.options, call, tolerance=tolerance)
    return {**found, "detection_boxes": off.boxes, "detection_scores": off.scores}


def _compare_detections(
    module: Reference, options: PostprocessingOptions, call: Call, *, tolerance: float
) -> Differences:
    """Returns the largest differences over the frames of a call."""
    raw = None
    found = [Differences(0.0, 0.0)]
    for frame in range(len(call.expected["num_detections"])):
        ours, theirs = (
            comparison.rows_of(frame_of(outputs, frame), options)
            for outputs in (call.expected, call.actual)
        )
        differences = comparison.equal(ours, theirs, tolerance=tolerance)
        if differences is None:  # near-equal scores, or an error: only the raw output can tell
            raw = raw or references.decoded(_raw_outputs(module, call), options)
            differences = comparison.possible(
                raw.boxes[frame], raw.scores[frame], theirs, options, tolerance=tolerance
            )
        if differences is None:
            return Differences(float("inf"), float("inf"))
        found.append(differences)
    return Differences(*(max(values) for values in zip(*found, strict=True)))


def frame_of(outputs: dict[str, np.ndarray], frame: int) -> dict[str, np.ndarray]:
    """Returns the detections of one frame of a clip."""
    return {name: outputs[name][frame : frame + 1] for name in DETECTION_OUTPUTS}


def _carried(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removesuffix("_out"): outputs[name] for name in STATE_OUTPUTS}
