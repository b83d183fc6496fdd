"""How the numbers of a `.tflite` are stored and computed.

| name | weights | between the operations | needs |
|---|---|---|---|
| none | float32 | float32 | |
| float16 | float16 | float32 or 16 | |
| dynamic | int8 | float32, int8 within an operation | |
| int8 | int8 | int8 | frames of the user's own data |

Whatever is chosen, the image and the state go in and come out in float32, and so do the detections:
each entry point has its own scales, and a state handed between them in int8 would drift. The first
convolution of an int8 file is in float32, see `file_format.first_convolution`. A float16 file
allows its reader to compute in float16, where the processor can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from lstd.export import file_format
from lstd.export.names import STATE_OUTPUTS

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


def slices(quantization: str) -> bool:
    """Returns whether wide layers run in slices, see `lstd.export.lite.sliced_backbone`."""
    return quantization in ("none", "float16")


def converted(converter: Any, quantization: str, samples: Samples | None) -> bytes:
    """Returns the `.tflite` of a `TFLiteConverter` in a quantisation.

    Args:
        converter: is changed.
        quantization: one of `QUANTIZATIONS`.
        samples: for int8, what the ranges are measured on.
    """
    if quantization == "none":
        return converter.convert()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "int8":
        converter.representative_dataset = samples
        return _in_int8(converter)
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
        # What runs the file may add up in float16 too; by itself it says float32.
        converter.target_spec._experimental_supported_accumulation_type = tf.float16
        return converter.convert()
    # Of weights in int8 beside values in float, XNNPACK runs dense convolutions only. The depthwise
    # ones, a small part of the weights, get float weights again.
    return file_format.with_float_weights(converter.convert(), "DEPTHWISE_CONV_2D")


def _state_outputs(content: bytes) -> list[str]:
    """Returns the names of what writes the state: in int8 the small network would round it."""
    return [
        point.tensor_name(point.outputs[name])
        for point in file_format.entry_points(content).values()
        for name in STATE_OUTPUTS
        if name in point.outputs
    ]


def _in_int8(converter: Any) -> bytes:
    """Returns the file in int8 but for the first convolution of the image and the state's output.

    The converter itself quantises all or nothing; its debugger can leave operations out.
    """
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset
    )
    measured = debugger.calibrated_model
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=[*file_format.first_convolution(measured), *_state_outputs(measured)]
    )
    return file_format.with_float_inputs(debugger.get_nondebug_quantized_model(), STATE_OUTPUTS)
