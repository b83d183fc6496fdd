"""A frame that any language can make, and what an export makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstd.export import comparison, streams
from lstd.export import reference as references
from lstd.export.interpreters import Step
from lstd.export.names import CLIP, DETECTION_OUTPUTS, STATE_INPUTS, STATE_OUTPUTS
from lstd.export.reference import Described


def golden_frame(
    reference: Described, step: Step, *, tolerance: float = comparison.TOLERANCE
) -> dict[str, Any]:
    """Returns a frame or clip, and what the export makes of it from a zero state."""
    zeros = dict.fromkeys(STATE_INPUTS, np.zeros(reference.state_shape, np.float32))
    name = references.image_input(reference.form)
    images = streams.pattern_input(reference, 0)
    expected = {}
    for entry_point in reference.entry_points:
        outputs = step(entry_point, **{name: images, **zeros})
        expected[entry_point] = {
            **_golden_detections(reference, outputs),
            **{
                f"{key}_{kind}": float(function(outputs[key]))
                for key in STATE_OUTPUTS
                for kind, function in (("mean", np.mean), ("max", np.max))
            },
        }
    rule = "value n, counted along channels, then columns, then rows, is (n * 2654435761 mod 2^32)"
    if reference.form.signature == CLIP:
        rule = rule.replace("(n *", "((n + 1000003 * t) *").replace("value n", "value n of frame t")
    return {
        "image": f"{rule} / 2^24, rounded down",
        "first_values": images.reshape(-1)[:8].tolist(),
        "state": "zeros",
        "tolerance": tolerance,
        "near_ties": "detections whose scores are closer than 1e-5 may come in another order",
        "expected": expected,
    }


def _golden_detections(reference: Described, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the detections of a frame, or lists of them for the frames of a clip."""
    if reference.options is None:
        return {
            f"{name}_mean": float(np.mean(value))
            for name, value in outputs.items()
            if name not in STATE_OUTPUTS
        }
    frames = [
        _golden_rows(reference, {name: outputs[name][t : t + 1] for name in DETECTION_OUTPUTS})
        for t in range(reference.form.unroll_length)
    ]
    if reference.form.signature == CLIP:
        return {name: [frame[name] for frame in frames] for name in DETECTION_OUTPUTS}
    return frames[0]


def _golden_rows(reference: Described, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    if reference.options is None:
        raise ValueError("raw outputs have no rows")
    rows = comparison.rows_of(outputs, reference.options)
    values = (
        rows.boxes.tolist(),
        rows.classes.tolist(),
        rows.scores.tolist(),
        int(outputs["num_detections"][0]),
    )
    return dict(zip(DETECTION_OUTPUTS, values, strict=True))
