"""How far a quantised file is from the model it was made of, on the user's own frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstd.base.export_names import RAW_OUTPUTS, STATE_OUTPUTS
from lstd.export import compare, interpreters, representative
from lstd.export.module import ExportModule, center_size_anchors
from lstd.export.options import Metric, suppression_for
from lstd.export.representative import Frame

LIMITS = {"float16": 0.01, "dynamic": 0.05, "int8": 0.1}
"""Largest mean score difference with which a file of this quantisation is written.

The model of docs/quantization.md loses 0.0001, 0.002 and 0.009; others may lose more, so the
limits are ten times that and more. They are for what is broken, such as the weights of
another model, or scores that are all the same; whether a file is good enough the report says.
"""
BEST = 10
"""Anchors of a frame that count: the best of either side."""


class Fidelity(NamedTuple):
    """What quantisation changed, on frames run by the schedule, each side with its own state.

    Scores and boxes are compared anchor by anchor, before suppression, whose choice among
    near-equal boxes says nothing: the best anchors of a frame, by the model's scores and by the
    file's.

    Attributes:
        num_frames: how many frames.
        scores: mean difference of an anchor's best score.
        largest_score: the largest.
        boxes: mean difference of a corner, in parts of the frame.
        state: root mean square of the difference of c and h, in parts of that of c and h.
        metrics: for each number of the metric the model's and the file's; empty without truth.
    """

    num_frames: int
    scores: float
    largest_score: float
    boxes: float
    state: float
    metrics: dict[str, tuple[float, float]]

    def sentence(self) -> str:
        """Returns these numbers in one line."""
        text = (
            f"{self.num_frames} frames: scores differ by {self.scores:.4f} on average and "
            f"{self.largest_score:.4f} at most, box corners by {self.boxes:.4f} of the frame, the "
            f"state by {100 * self.state:.1f} %"
        )
        for name in ("coco/ap50", "coco/ap"):
            if name in self.metrics:
                ours, theirs = self.metrics[name]
                text += f"; {name} {ours:.4f} in float32, {theirs:.4f} in the file"
        return text


def measure(
    module: ExportModule,
    content: bytes,
    frames: list[Frame],
    *,
    metric: Metric | None = None,
    labels: tuple[str, ...] = (),
    xnnpack: bool = True,
) -> Fidelity:
    """Returns how far a file is from the module that was exported, in float32.

    The metric, a factory such as `CocoMetric`, is used where all frames have ground truth; `labels`
    are the class names for it.
    """
    theirs = representative.replay(module, frames, interpreters.raw_step(content, xnnpack=xnnpack))
    ours = representative.replay(module, frames, module.raw_outputs)
    metrics = []
    if metric is not None and all(frame.truth is not None for frame in frames):
        metrics = [metric(labels), metric(labels)]
    most = min(100, int(module.model.anchors.shape[0]))
    options = module.options or suppression_for(module.model)._replace(max_detections=most)
    anchors = {RAW_OUTPUTS[2]: center_size_anchors(module.model).numpy()}
    scores: list[np.ndarray] = []
    boxes: list[float] = []
    state, state_off = 0.0, 0.0
    for (*_, call, expected), (*_, actual) in zip(ours, theirs, strict=True):
        if not all(np.isfinite(actual[name]).all() for name in (*RAW_OUTPUTS[:2], *STATE_OUTPUTS)):
            far = float("inf")
            return Fidelity(len(frames), far, far, far, far, {})
        for name in STATE_OUTPUTS:
            state_off += float(np.square(expected[name] - actual[name]).sum())
            state += float(np.square(expected[name]).sum())
        sides = [{**each, **anchors} for each in (expected, actual)]
        corners, classes = zip(*(compare.decoded(each, options) for each in sides), strict=True)
        tops = [each.max(axis=-1) for each in classes]  # [T, A] each
        for at, frame in enumerate(call):
            best = np.union1d(*(np.argsort(-each[at])[:BEST] for each in tops))
            boxes.append(float(np.abs(corners[0][at] - corners[1][at])[best].mean()))
            for each, outputs in zip(metrics, sides, strict=False):
                found = compare.suppressed(outputs, options, at)._asdict()
                found["boxes"] = found["boxes"] * np.array(frame.image.shape[:2] * 2)
                each.add((b"frame", len(scores)), frame.truth, found)
            scores.append(np.abs(tops[0][at] - tops[1][at])[best])
    results = [each.result() for each in metrics]
    names = results[0] if results else ()
    return Fidelity(
        num_frames=len(scores),
        scores=float(np.mean([float(each.mean()) for each in scores])),
        largest_score=float(max(each.max() for each in scores)),
        boxes=float(np.mean(boxes)),
        state=float(np.sqrt(state_off / state if state else state_off)),
        metrics={name: (float(results[0][name]), float(results[1][name])) for name in names},
    )
