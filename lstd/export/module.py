"""The entry points of an export in TensorFlow: frame and state in, detections and state out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.export_names import (
    CLIP,
    CLIP_INPUT,
    DETECTION_OUTPUTS,
    RAW_OUTPUTS,
    SINGLE,
    STATE_INPUTS,
    STATE_OUTPUTS,
)
from lstd.base.types import LSTMState, Output, Predictions
from lstd.export import clips, postprocessing_op
from lstd.export.form import Form, in_numpy
from lstd.export.options import default_schedule
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.ops import boxes as box_ops
from lstd.ops import schedule as schedule_ops


class ExportModule(tf.Module):
    """A finished model behind the entry points that every exported file has.

    `module.large(image, lstm_c, lstm_h)` and `module.small(...)` (`module.step(...)` where there is
    one backbone) return a dict with the outputs of `lstd.export`, or, without post-processing:

        raw_outputs/box_encodings       float32 [1, A, 4]
        raw_outputs/class_predictions   float32 [1, A, K + 1], after the sigmoid, background first
        anchors                         float32 [A, 4]: ycenter, xcenter, height, width

    In the form of a clip there is `module.clip(input_video_tensor, lstm_c, lstm_h)` instead, and T
    stands for the 1 in all of them but the state.

    `module.serving_default(frames)` serves `[B, T, H, W, C]`, any B and T from 1 on, from a zero
    state, by the schedule; outputs have leading axes `[B, T]`, the state `[B]`.

    `module.raw_large(...)` and so on give the outputs without post-processing, from float32 frames.

    Args:
        model: an `LSTMSSD`; of a stateful one a copy that hands its state in and out is exported.
        options: of the post-processing; None: raw outputs.
        schedule: which network runs in clips; None: the model's schedule for evaluation.
        form: of the entry points.
    """

    def __init__(
        self,
        model: Any,
        *,
        options: PostprocessingOptions | None,
        schedule: str | None = None,
        form: Form = Form(),  # noqa: B008
    ) -> None:
        super().__init__(name="lstd_export")
        model = _without_carried_state(model)
        self.options = options
        self.schedule = schedule or default_schedule(model)
        self.form = form
        self.entry_points = _entry_points(model, form)
        self.image_shape = tuple(model.input_shape_hwc)
        self.state_shape = tuple(model.initial_state(1).c.shape)
        self._model_of = lambda: model
        self._writer_of = lru_cache(maxsize=1)(lambda: ExportModule(model, options=options))
        heads = heads_of(options)
        for name in self.entry_points:
            raw = raw_entry_point(model, self.networks_of(name), form, model.step)
            setattr(self, f"raw_{name}", raw)
            setattr(self, name, entry_point(raw, heads, model, form))
        self.serving_default = clips.entry_point(
            model,
            heads,
            lambda predictions: raw_outputs_of(predictions, model),
            options,
            schedule=form.clip_schedule(self.schedule),
            dtype=form.input_type,
        )
        # The variables, not the model: as an attribute it would be traced for unknown shapes.
        self.model_variables = self._variables()

    @property
    def model(self) -> Any:
        """The model that is exported."""
        return self._model_of()

    def writer(self) -> ExportModule:
        """Returns the module with the network that writes the state: itself, but for small alone.

        Of small alone it is that of both networks, frame by frame.
        """
        writes = any("large" in self.networks_of(name) for name in self.entry_points)
        return self if writes else self._writer_of()

    def signatures(self) -> dict[str, Any]:
        """Returns what a SavedModel offers: the entry points, and `serving_default` for clips."""
        return {name: getattr(self, name) for name in (*self.entry_points, "serving_default")}

    def run(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs of one entry point in NumPy."""
        return in_numpy(getattr(self, entry_point), inputs)

    def raw_outputs(self, entry_point: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs without post-processing in NumPy, of frames in any type."""
        name = self.form.image_input
        images = inputs[name].astype(np.float32)
        return in_numpy(getattr(self, f"raw_{entry_point}"), {**inputs, name: images})

    def networks_of(self, name: str) -> tuple[str, ...]:
        """Returns the network of each frame of an entry point."""
        if name != CLIP:
            return (self.entry_points[name],)
        networks, length = self.model.networks, self.form.unroll_length
        if len(networks) == 1:
            return (networks[0],) * length
        schedule = self.form.clip_schedule(self.schedule)
        chosen = schedule_ops.networks_of(schedule, np.arange(length))
        return tuple(networks[number] for number in chosen)

    def _variables(self) -> list[tf.Variable]:
        """Returns the model's variables, without those of a network that is left out."""
        variables = list(self.model.variables)
        if self.form.network == "both":
            return variables
        traced = (function.get_concrete_function() for function in self.signatures().values())
        used = {id(variable) for function in traced for variable in function.graph.variables}
        return [variable for variable in variables if id(variable) in used]


def center_size_anchors(model: Any) -> tf.Tensor:
    """Returns the anchors for the op, float32 `[A, 4]`: ycenter, xcenter, height, width."""
    return box_ops.to_center_size(tf.convert_to_tensor(model.anchors, tf.float32))


def heads_of(options: PostprocessingOptions | None) -> clips.Heads | None:
    """Returns the post-processing of one frame (batch 1), None where there is none."""
    if options is None:
        return None
    postprocess = postprocessing_op.make(options)
    return lambda raw: dict(
        zip(DETECTION_OUTPUTS, postprocess(*(raw[name] for name in RAW_OUTPUTS)), strict=True)
    )


def raw_outputs_of(predictions: Predictions, model: Any) -> dict[str, tf.Tensor]:
    """Returns predictions `[N, A, ...]` as the raw outputs."""
    values = (
        tf.cast(predictions.box_encodings, tf.float32),
        tf.sigmoid(tf.cast(predictions.class_logits, tf.float32)),
        tf.identity(center_size_anchors(model)),
    )
    return dict(zip(RAW_OUTPUTS, values, strict=True))


def raw_entry_point(
    model: Any, networks: tuple[str, ...], form: Form, step: Callable[..., Output]
) -> Any:
    """Returns the tf.function from float32 frames `[T, H, W, C]` and the state to raw outputs.

    Args:
        model: an `LSTMSSD`.
        networks: the one of each frame.
        form: of the entry point.
        step: `model.step`, or what gives the same; a clip goes through the model itself.
    """

    def raw(images: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
        state = LSTMState(lstm_c, lstm_h)
        if form.is_clip:
            output = model(images[tf.newaxis], state=state, networks=networks, training=False)
            predictions = Predictions(*(part[0] for part in output.predictions))
        else:
            output = step(images, state, network=networks[0])
            predictions = output.predictions
        after = dict(zip(STATE_OUTPUTS, map(_handed_on, output.state), strict=True))
        return {**raw_outputs_of(predictions, model), **after}

    return _named_function(raw, _inputs(model, form, "float32"))


def entry_point(raw: Any, heads: clips.Heads | None, model: Any, form: Form) -> Any:
    """Returns the tf.function from frames and the state to the named outputs.

    Args:
        raw: of `raw_entry_point`.
        heads: of `heads_of`.
        model: an `LSTMSSD`.
        form: of the entry point.
    """

    def run(images: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = raw(tf.cast(images, tf.float32), lstm_c, lstm_h)
        after = {name: outputs.pop(name) for name in STATE_OUTPUTS}
        return {**clips.frame_by_frame(heads, outputs), **after}

    return _named_function(run, _inputs(model, form, form.input_type))


def _entry_points(model: Any, form: Form) -> dict[str, str]:
    """Returns the names of the entry points, and the network that each of them runs."""
    if form.is_clip:
        return {CLIP: "scheduled"}
    if len(model.networks) == 1:
        return {SINGLE: model.networks[0]}
    return {name: name for name in model.networks if form.network in ("both", name)}


def _without_carried_state(model: Any) -> Any:
    """Returns the model, or a copy of a stateful one that hands its state in and out."""
    if getattr(model, "carried_batch_size", None) is None:
        return model
    copy = type(model).from_config({**model.get_config(), "stateful_batch_size": None})
    copy.set_weights(model.get_weights())
    return copy


def _handed_on(state: tf.Tensor) -> tf.Tensor:
    """Returns a state as it is, up to the largest number of float16, by an operator of its own.

    An output that is an input too, as of the small network, `CompiledModel` and LiteRT.js read
    before it is written; one that the network reads again, some GPU delegates. The converter leaves
    no identity in the file, and would quantise most other operators.
    """
    return tf.minimum(state, tf.float16.max)


def _named_function(run: Callable[..., dict[str, tf.Tensor]], specs: list[tf.TensorSpec]) -> Any:
    """Returns a tf.function whose arguments, too, have the names of the inputs."""

    def image(image: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> dict[str, tf.Tensor]:
        return run(image, lstm_c, lstm_h)

    def clip(
        input_video_tensor: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return run(input_video_tensor, lstm_c, lstm_h)

    function = clip if specs[0].name == CLIP_INPUT else image
    return tf.function(function, input_signature=specs, autograph=False)


def _inputs(model: Any, form: Form, dtype: str) -> list[tf.TensorSpec]:
    shape = (form.unroll_length, *model.input_shape_hwc)
    images = tf.TensorSpec(shape, dtype, name=form.image_input)
    state = model.initial_state(1).c.shape
    return [images, *(tf.TensorSpec(state, tf.float32, name=name) for name in STATE_INPUTS)]
