"""From entry points to the bytes of a `.tflite`, and how its numbers are stored and computed.

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

import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import tensorflow as tf

from lstd.base.export_names import STATE_INPUTS, STATE_OUTPUTS
from lstd.base.terminal import quiet
from lstd.export import file_format, postprocessing_op, representative
from lstd.export.lite import frame_step
from lstd.export.lite.frame_step import Cell
from lstd.export.module import ExportModule
from lstd.export.options import is_int8
from lstd.export.representative import Frame
from lstd.models.lstm_ssd import LSTMSSD

Samples = Callable[[], Iterator[tuple[str, dict[str, Any]]]]  # entry points and their inputs


def content_of(
    module: ExportModule,
    *,
    quantization: str = "none",
    frames: list[Frame] | None = None,
    cell: Cell = "fused",
    state_type: str = "float32",
) -> bytes:
    """Returns the `.tflite` of a module, in the operations that TFLite runs fast.

    The quantization is one of `options.QUANTIZATIONS`; int8 takes its ranges from the `frames`.
    A model trained in 8 bits has ranges of its own, and a state of `state_type`.
    """
    lite, step = tf.Module(name="lstd_lite"), module.model.step
    # A module of its own, because TensorFlow itself does not run the fused cell: its optimiser
    # merges a bias into the convolution before it, and has no merged convolutions in groups.
    lite.model_variables = module.model_variables
    if isinstance(module.model, LSTMSSD):
        step = partial(frame_step.step, module.model, cell=cell, sliced=slices(quantization))
    for name in module.entry_points:
        setattr(lite, name, module.functions(name, step)[1])
    signatures = {name: getattr(lite, name) for name in module.entry_points}
    with tempfile.TemporaryDirectory(prefix="lstd-export-") as folder:
        tf.saved_model.save(lite, folder, signatures=signatures)
        content = convert(folder, module, quantization=quantization, frames=frames)
    if state_type == "float32":
        return content
    return file_format.with_int8_inputs_and_outputs(content, (*STATE_INPUTS, *STATE_OUTPUTS))


def convert(
    saved_model: str,
    module: Any,
    *,
    quantization: str = "none",
    frames: list[Frame] | None = None,
) -> bytes:
    """Returns the `.tflite` of the entry points in a SavedModel; see `content_of`.

    They are those of `module`, a `Reference`; int8 needs an `ExportModule`, which runs the frames.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=list(module.entry_points)
    )
    converter.allow_custom_ops = True
    samples = partial(representative.samples, module, frames or [])
    content = quantized(
        converter, "trained" if is_int8(getattr(module, "model", None)) else quantization, samples
    )
    if module.options is None:
        return content
    # The converter forgets `detections_per_class`; the op would then take 100, whatever was asked.
    attributes = postprocessing_op.attributes(module.options)
    return file_format.with_options(content, postprocessing_op.NAME, attributes)


def slices(quantization: str) -> bool:
    """Returns whether wide layers run in slices, see `lstd.export.lite.sliced_backbone`."""
    return quantization in ("none", "float16")


def quantized(converter: Any, quantization: str, samples: Samples) -> bytes:
    """Returns the `.tflite` of a `TFLiteConverter`, which is changed; `samples` are for int8.

    What was "trained" in 8 bits has the ranges in it.
    """
    if quantization == "none":
        return converter.convert()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "trained":
        return converter.convert()
    if quantization == "int8":
        converter.representative_dataset = samples
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # its debugger takes an old interpreter
            return _in_int8(converter)
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
        # What runs the file may add up in float16 too; by itself it says float32.
        converter.target_spec._experimental_supported_accumulation_type = tf.float16
        return converter.convert()
    # Of weights in int8 beside values in float, XNNPACK runs dense convolutions only. The depthwise
    # ones, a small part of the weights, get float weights again.
    return file_format.with_float_weights(converter.convert(), "DEPTHWISE_CONV_2D")


def _in_int8(converter: Any) -> bytes:
    """Returns the file in int8 but for the first convolution of the image and the state's output.

    The converter itself quantises all or nothing; its debugger can leave operations out. In int8
    the small network would round the state.
    """
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset
    )
    measured = debugger.calibrated_model
    states = [
        point.tensor_name(point.outputs[name])
        for point in file_format.entry_points(measured).values()
        for name in STATE_OUTPUTS
        if name in point.outputs
    ]
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=[*file_format.first_convolution(measured), *states]
    )
    return file_format.with_float_inputs(debugger.get_nondebug_quantized_model(), STATE_OUTPUTS)
