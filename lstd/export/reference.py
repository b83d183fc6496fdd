"""What an exported file is compared with: the module in TensorFlow, or a SavedModel made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from lstd.export import postprocessing_op
from lstd.export.form import Form
from lstd.export.names import CLIP_INPUT, INPUTS, RAW_OUTPUTS
from lstd.export.postprocessing_op import PostprocessingOptions


class Described(Protocol):
    """Entry points of which everything is known but what they compute.

    Attributes:
        form: of the entry points.
        entry_points: their names, and the network that each of them runs ("scheduled" for a clip).
        options: of the post-processing; None: raw output.
        image_shape: (H, W, C).
        state_shape: (1, h, w, D).
    """

    form: Form
    entry_points: Mapping[str, str]
    options: PostprocessingOptions | None
    image_shape: tuple[int, int, int]
    state_shape: tuple[int, int, int, int]


class Reference(Described, Protocol):
    """Entry points that are known to be right."""

    def run(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of one entry point."""

    def raw_outputs(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns what it computes before suppression: `RAW_OUTPUTS` and the state.

        Frames are float32 here, whatever the entry point takes.
        """


class RawFrames(NamedTuple):
    """Frames before suppression.

    Attributes:
        boxes: decoded, float32 `[T, A, 4]`.
        scores: float32 `[T, A, K]`, without background.
    """

    boxes: np.ndarray
    scores: np.ndarray


def image_input(form: Form) -> str:
    """Returns the name of the input for frames."""
    return CLIP_INPUT if form.signature == "clip" else INPUTS[0]


def input_shape(reference: Described) -> tuple[int, int, int, int]:
    """Returns the shape of the input for frames, one or a clip of them."""
    return (reference.form.unroll_length, *reference.image_shape)


def in_numpy(function: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what a tf.function makes of arrays, by name."""
    outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def decoded(outputs: Mapping[str, np.ndarray], options: PostprocessingOptions) -> RawFrames:
    """Returns raw outputs as what suppression sees."""
    encodings, scores, anchors = (outputs[name] for name in RAW_OUTPUTS)
    boxes = [
        postprocessing_op.decode(
            tf.constant(frame), tf.constant(anchors), scale_factors=options.scale_factors
        ).numpy()
        for frame in encodings
    ]
    return RawFrames(np.stack(boxes), scores[..., 1:])
