"""How far a quantised file is from the model it was made of, on the user's own frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.export_names import RAW_OUTPUTS, STATE_OUTPUTS
from lstd.export import compare, interpreters, postprocessing_op, representative
from lstd.export.module import ExportModule, center_size_anchors
from lstd.export.options import Metric
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.export.representative import Frame

LIMITS = {"float16": 0.01, "dynamic": 0.05, "int8": 0.1}
"""Largest mean score difference with which a file of this quantisation is written.

The demo's model loses 0.0001, 0.002 and 0.009 (docs/quantization.md); others may lose
more, so the limits are ten times that and more. They are for what is broken, such as the weights of
another model, or scores that are all the same; whether a file is good enough the report says.
"""
BEST = 10
"""Anchors of a frame that count: the best of either side."""


class Fidelity(NamedTuple):
    """What quantisation changed, on frames run by the schedule, either side with its own state.

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
        """Returns it in a line."""
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

    Args:
        module: the truth.
        content: the file.
        frames: at least one.
        metric: a factory such as `CocoMetric`; used where all frames have ground truth.
        labels: the class names for it.
        xnnpack: whether the file runs with the delegate.
    """
    step = interpreters.raw_step(content, postprocessing_op.NAME, RAW_OUTPUTS[:2], xnnpack=xnnpack)
    theirs = representative.replay(module, frames, step)
    ours = representative.replay(module, frames, module.raw_outputs)
    metrics = []
    if metric is not None and all(frame.truth is not None for frame in frames):
        metrics = [metric(labels), metric(labels)]
    options, anchors = _options(module), center_size_anchors(module.model).numpy()
    suppress = _suppression(options, anchors)
    scores: list[np.ndarray] = []
    boxes: list[float] = []
    state, state_off = 0.0, 0.0
    for (sample, expected), (_, actual) in zip(ours, theirs, strict=True):
        if not all(np.isfinite(actual[name]).all() for name in (*RAW_OUTPUTS[:2], *STATE_OUTPUTS)):
            far = float("inf")
            return Fidelity(len(frames), far, far, far, far, {})
        for name in STATE_OUTPUTS:
            state_off += float(np.square(expected[name] - actual[name]).sum())
            state += float(np.square(expected[name]).sum())
        for at, frame in enumerate(sample.frames):
            pair = [
                compare.decoded({**each, RAW_OUTPUTS[2]: anchors}, options, at)
                for each in (expected, actual)
            ]
            tops = [each[1].max(axis=-1) for each in pair]
            best = np.union1d(*(np.argsort(-values)[:BEST] for values in tops))
            boxes.append(float(np.abs(pair[0][0] - pair[1][0])[best].mean()))
            for each, outputs in zip(metrics, (expected, actual), strict=False):
                found = suppress(outputs, at, frame.image.shape[:2])
                each.add((b"frame", len(scores)), frame.truth, found)
            scores.append(np.abs(tops[0] - tops[1])[best])
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


def consistent(module: ExportModule, content: bytes, frames: list[Frame]) -> bool:
    """Returns whether a file's detections are what suppression makes of its own raw output."""
    options = module.options
    if options is None:
        return True
    step = interpreters.raw_step(content, postprocessing_op.NAME, RAW_OUTPUTS)
    return all(
        # With the file's own anchors, which float16 has rounded too.
        compare.possible(
            *compare.decoded(outputs, options, at), compare.rows_of(outputs, options, at), options
        )
        is not None
        for sample, outputs in representative.replay(module, frames, step)
        for at in range(len(sample.frames))
    )


def _options(module: ExportModule) -> PostprocessingOptions:
    """Returns the options of a module's post-processing, of one without it the usual ones."""
    model = module.model
    return module.options or PostprocessingOptions(
        num_classes=int(model.num_classes),
        max_detections=min(100, int(model.anchors.shape[0])),
        score_threshold=float(model.postprocessing.score_threshold),
        iou_threshold=float(model.postprocessing.iou_threshold),
        scale_factors=tuple(model.box_scale_factors),
    )


def _suppression(
    options: PostprocessingOptions, anchors: np.ndarray
) -> Callable[..., dict[str, np.ndarray]]:
    """Returns what makes detections in pixels of raw outputs, as the file's own op does."""
    run = tf.function(
        lambda encodings, scores: postprocessing_op.detections(encodings, scores, anchors, options)
    )

    def suppress(
        outputs: dict[str, np.ndarray], at: int, size: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        found = run(*(tf.constant(outputs[name][at : at + 1]) for name in RAW_OUTPUTS[:2]))
        count = int(found.num_detections[0]) * options.max_classes_per_detection
        boxes, classes, scores = (value[0, :count].numpy() for value in found[:3])
        return {
            "boxes": boxes * np.array([*size, *size]),
            "classes": classes.astype(np.int64),
            "scores": scores,
        }

    return suppress
