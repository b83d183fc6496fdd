"""How far a quantised file is from the model it was made of, on the user's own frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.export import comparison, interpreters, postprocessing_op, representative, streams
from lstd.export import reference as references
from lstd.export.module import ExportModule, center_size_anchors
from lstd.export.names import RAW_OUTPUTS, STATE_OUTPUTS
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

Metric = Callable[[tuple[str, ...]], Any]
"""From the class names to what has `add(frame_id, ground_truth, detections)` and `result()`."""


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
        shown = (name for name in ("coco/ap50", "coco/ap") if name in self.metrics)
        numbers = (f"{name} {_change(self.metrics[name])}" for name in shown)
        return "; ".join((text, *numbers))


def measure(
    module: ExportModule,
    truth: interpreters.Step,
    content: bytes,
    frames: list[Frame],
    *,
    metric: Metric | None = None,
    labels: tuple[str, ...] = (),
    xnnpack: bool = True,
) -> Fidelity:
    """Returns how far a file is from the module.

    Args:
        module: what was exported.
        truth: its `raw_step`, in float32.
        content: the file.
        frames: at least one.
        metric: a factory such as `CocoMetric`; used where all frames have ground truth.
        labels: the class names for it.
        xnnpack: whether the file runs with the delegate.
    """
    step = interpreters.raw_step(content, postprocessing_op.NAME, RAW_OUTPUTS[:2], xnnpack=xnnpack)
    theirs = representative.replay(module, frames, step)
    ours = representative.replay(module, frames, truth)
    counted = metric is not None and all(frame.truth is not None for frame in frames)
    metrics = [metric(labels), metric(labels)] if metric is not None and counted else []
    collected = _Collected()
    suppress = _suppression(module)
    for (sample, expected), (_, actual) in zip(ours, theirs, strict=True):
        if not all(np.isfinite(actual[name]).all() for name in (*RAW_OUTPUTS[:2], *STATE_OUTPUTS)):
            far = float("inf")
            return Fidelity(len(frames), far, far, far, far, {})
        collected.add_state(expected, actual)
        for place, frame in enumerate(sample.frames):
            pair = [_raw_frame(outputs, place) for outputs in (expected, actual)]
            frame_id = (b"frame", len(collected.scores))
            collected.add(module, *pair)
            for each, outputs in zip(metrics, pair, strict=False):
                each.add(frame_id, frame.truth, suppress(outputs, frame.image.shape[:2]))
    results = [each.result() for each in metrics]
    return collected.result(
        {name: (float(results[0][name]), float(results[1][name])) for name in results[0]}
        if results
        else {}
    )


def raw_step(module: ExportModule) -> interpreters.Step:
    """Returns a step of the module that gives raw output and state, in NumPy."""
    name = references.image_input(module.form)

    def step(entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return module.raw_outputs(entry_point, **{**inputs, name: inputs[name].astype(np.float32)})

    return step


def _raw_frame(outputs: dict[str, np.ndarray], place: int) -> dict[str, np.ndarray]:
    """Returns the raw output `[1, A, n]` of one frame of a clip."""
    return {name: outputs[name][place : place + 1] for name in RAW_OUTPUTS[:2]}


class _Collected:
    """Sums over frames."""

    def __init__(self) -> None:
        self.scores: list[float] = []
        self.largest = 0.0
        self.boxes: list[float] = []
        self.state_off = self.state = 0.0

    def add(
        self, module: ExportModule, expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]
    ) -> None:
        encodings, scores = (RAW_OUTPUTS[0], RAW_OUTPUTS[1])
        pair = [outputs[scores][0, :, 1:].max(axis=-1) for outputs in (expected, actual)]
        best = np.union1d(*(np.argsort(-values)[:BEST] for values in pair))
        off = np.abs(pair[0] - pair[1])[best]
        boxes = [decoded(module, outputs[encodings])[best] for outputs in (expected, actual)]
        self.scores.append(float(off.mean()))
        self.largest = max(self.largest, float(off.max()))
        self.boxes.append(float(np.abs(boxes[0] - boxes[1]).mean()))

    def add_state(self, expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]) -> None:
        for name in STATE_OUTPUTS:
            self.state_off += float(np.square(expected[name] - actual[name]).sum())
            self.state += float(np.square(expected[name]).sum())

    def result(self, metrics: dict[str, tuple[float, float]]) -> Fidelity:
        state = np.sqrt(self.state_off / self.state) if self.state else np.sqrt(self.state_off)
        return Fidelity(
            len(self.scores),
            float(np.mean(self.scores)),
            self.largest,
            float(np.mean(self.boxes)),
            float(state),
            metrics,
        )


def decoded(
    module: ExportModule, encodings: np.ndarray, anchors: np.ndarray | None = None
) -> np.ndarray:
    """Returns the corners float32 `[A, 4]` of box encodings `[1, A, 4]`; None: model's anchors."""
    return postprocessing_op.decode(
        encodings[0],
        center_size_anchors(module.model) if anchors is None else anchors,
        scale_factors=tuple(module.model.box_scale_factors),
    ).numpy()


def _suppression(module: ExportModule) -> Callable[..., dict[str, np.ndarray]]:
    """Returns what makes detections in pixels of raw outputs, as the file's own op does."""
    model = module.model
    anchors = center_size_anchors(model)
    options = module.options or PostprocessingOptions(
        num_classes=int(model.num_classes),
        max_detections=min(100, int(model.anchors.shape[0])),
        score_threshold=float(model.postprocessing.score_threshold),
        iou_threshold=float(model.postprocessing.iou_threshold),
        scale_factors=tuple(model.box_scale_factors),
    )
    run = tf.function(
        lambda encodings, scores: postprocessing_op.detections(encodings, scores, anchors, options)
    )

    def suppress(outputs: dict[str, np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
        found = run(*(tf.constant(outputs[name]) for name in RAW_OUTPUTS[:2]))
        named = dict(zip(("boxes", "classes", "scores"), found[:3], strict=True))
        count = int(found.num_detections[0]) * options.max_classes_per_detection
        values = {name: value[0, :count].numpy() for name, value in named.items()}
        height, width = size
        return {
            "boxes": values["boxes"] * np.array([height, width, height, width]),
            "classes": values["classes"].astype(np.int64),
            "scores": values["scores"],
        }

    return suppress


def pattern_frames(module: ExportModule, number: int) -> list[Frame]:
    """Returns so many frames of one stream, or whole clips of them, for want of the user's own."""
    length = module.form.unroll_length
    images = (
        streams.pattern_image(place, module.image_shape)[0]
        for place in range(-(-number // length) * length)
    )
    return [Frame(image, 0, place == 0, place, None) for place, image in enumerate(images)]


def consistent(module: ExportModule, content: bytes, frames: list[Frame]) -> bool:
    """Returns whether a file's detections are what suppression makes of its own raw output."""
    options = module.options
    if options is None:
        return True
    step = interpreters.raw_step(content, postprocessing_op.NAME, RAW_OUTPUTS)
    for sample, outputs in representative.replay(module, frames, step):
        for place in range(len(sample.frames)):
            raw = _raw_frame(outputs, place)
            # With the file's own anchors, which float16 has rounded too.
            boxes = decoded(module, raw[RAW_OUTPUTS[0]], outputs[RAW_OUTPUTS[2]])
            rows = comparison.rows_of(streams.frame_of(outputs, place), options)
            if comparison.possible(boxes, raw[RAW_OUTPUTS[1]][0, :, 1:], rows, options) is None:
                return False
    return True


def _change(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.4f} in float32, {pair[1]:.4f} in the file"
