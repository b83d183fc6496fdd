"""How the numbers of a `.tflite` are stored and computed.

| name | weights | between the operations | needs |
|---|---|---|---|
| none | float32 | float32 | |
| float16 | float16 | float32 | |
| dynamic | int8 | float32, int8 within an operation | |
| int8 | int8 | int8 | frames of the user's own data |

Whatever is chosen, the image and the state go in and come out in float32, and so do the detections:
each entry point has its own scales, and a state handed between them in int8 would drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from lstd.export import flatbuffer
from lstd.ops.images import Subsampling

QUANTIZATIONS = ("none", "dynamic", "float16", "int8")

Samples = Callable[[], Iterator[tuple[str, dict[str, Any]]]]
"""Gives entry points and their inputs, anew with each call."""


def check(quantization: str, representative_data: Any) -> None:
    """Raises unless the two belong together.

    Raises:
        ValueError: an unknown quantisation; int8 without data; data that nothing would use.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"quantization {quantization!r} is not known; allowed: "
            + ", ".join(repr(choice) for choice in QUANTIZATIONS)
        )
    if quantization == "int8" and representative_data is None:
        raise ValueError(
            "quantization 'int8' needs representative_data: frames of your own video, from which "
            "the ranges of all values are measured"
        )
    if quantization == "none" and representative_data is not None:
        raise ValueError(
            "representative_data belongs to a quantization, and quantization is 'none': leave the "
            "data out, or choose 'dynamic', 'float16' or 'int8'"
        )


def subsampling(quantization: str) -> Subsampling:
    """Returns how the small network's image is made, whichever is faster."""
    return "slice" if quantization == "int8" else "convolution"


def configure(converter: Any, quantization: str, samples: Samples | None) -> None:
    """Sets a `TFLiteConverter` to a quantisation.

    Args:
        converter: is changed.
        quantization: one of `QUANTIZATIONS`.
        samples: for int8, what the ranges are measured on.
    """
    if quantization == "none":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8":
        converter.representative_dataset = samples


def finished(content: bytes, quantization: str) -> bytes:
    """Returns the converted file as the delegate runs all of it.

    Of weights in int8 beside values in float, XNNPACK runs dense convolutions only. The depthwise
    ones, a small part of the weights, get float weights again.
    """
    if quantization != "dynamic":
        return content
    return flatbuffer.with_float_weights(content, "DEPTHWISE_CONV_2D")
