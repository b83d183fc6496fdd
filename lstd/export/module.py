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
from lstd.export import postprocessing_op
from lstd.export.form import Form, Reference
from lstd.export.options import default_schedule, is_int8
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.layers.fake_quant import rounded
from lstd.ops import boxes as box_ops
from lstd.ops import schedule as schedule_ops

Outputs = dict[str, tf.Tensor]


class ExportModule(tf.Module, Reference):
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
        self.int8 = is_int8(model)
        self._model_of = lambda: model
        self._writer_of = lru_cache(maxsize=1)(lambda: ExportModule(model, options=options))
        for name in self.entry_points:
            raw, function = self.functions(name, model.step)
            setattr(self, f"raw_{name}", raw)
            setattr(self, name, function)
        self.serving_default = self._serving_default()
        # The variables, not the model: as an attribute it would be traced for unknown shapes.
        self.model_variables = self._variables()

    @property
    def model(self) -> Any:
        """The model that is exported."""
        return self._model_of()

    def function(self, name: str) -> Any:
        """Returns an entry point by its name."""
        return getattr(self, name)

    def writer(self) -> ExportModule:
        """Returns the module whose network writes the state: itself, except for small alone.

        For small alone it is the module of both networks, frame by frame.
        """
        writes = any("large" in self.networks_of(name) for name in self.entry_points)
        return self if writes else self._writer_of()

    def signatures(self) -> dict[str, Any]:
        """Returns what a SavedModel offers: the entry points, and `serving_default` for clips."""
        return {name: getattr(self, name) for name in (*self.entry_points, "serving_default")}

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

    def functions(self, name: str, step: Callable[..., Output]) -> tuple[Any, Any]:
        """Returns the tf.function of an entry point without post-processing, and the one with it.

        `step` is `model.step`, or gives the same; a clip goes through the model itself.
        """
        model, networks, is_clip = self.model, self.networks_of(name), self.form.is_clip
        handed_on = _handed_on
        if self.int8:
            handed_on = _in_8_bits if networks == ("small",) else tf.identity

        def raw(images: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> Outputs:
            state = LSTMState(lstm_c, lstm_h)
            if self.int8:
                state = LSTMState(*(rounded(part, 0.0, 6.0) for part in state))
            if is_clip:
                output = model(images[tf.newaxis], state=state, networks=networks, training=False)
                predictions = Predictions(*(part[0] for part in output.predictions))
            else:
                output = step(images, state, network=networks[0])
                predictions = output.predictions
            after = dict(zip(STATE_OUTPUTS, map(handed_on, output.state), strict=True))
            return {**raw_outputs_of(predictions, model), **after}

        raw_function = self._named(raw, "float32")
        heads = _heads_of(self.options)

        def run(images: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> Outputs:
            outputs = raw_function(tf.cast(images, tf.float32), lstm_c, lstm_h)
            after = {name: outputs.pop(name) for name in STATE_OUTPUTS}
            return {**(_frame_by_frame(heads, outputs) if heads else outputs), **after}

        return raw_function, self._named(run, self.form.input_type)

    def _named(self, run: Callable[..., Outputs], dtype: str) -> Any:
        """Returns a tf.function whose arguments, too, have the names of the inputs."""

        def image(image: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> Outputs:
            return run(image, lstm_c, lstm_h)

        def clip(input_video_tensor: tf.Tensor, lstm_c: tf.Tensor, lstm_h: tf.Tensor) -> Outputs:
            return run(input_video_tensor, lstm_c, lstm_h)

        images = tf.TensorSpec(self.input_shape, dtype, name=self.form.image_input)
        state = (tf.TensorSpec(self.state_shape, tf.float32, name=name) for name in STATE_INPUTS)
        function = clip if images.name == CLIP_INPUT else image
        return tf.function(function, input_signature=[images, *state], autograph=False)

    def _serving_default(self) -> Any:
        """Returns the tf.function from clips `[B, T, H, W, C]` to named outputs `[B, T, ...]`."""
        model, heads, dtype = self.model, _heads_of(self.options), self.form.input_type
        schedule = self.form.clip_schedule(self.schedule)
        spec = tf.TensorSpec([None, None, *self.image_shape], dtype, name="frames")

        @tf.function(input_signature=[spec], autograph=False)
        def clip(frames: tf.Tensor) -> Outputs:
            predictions, state = _run_clip(model, frames, schedule)
            leading = tf.shape(frames)[:2]
            merged = (tf.reshape(part, [-1, *part.shape[2:]]) for part in predictions)
            outputs = raw_outputs_of(Predictions(*merged), model)
            if heads and self.options:
                outputs = _one_by_one(heads, outputs, self.options.num_rows)
            for name in outputs.keys() - {"anchors"}:
                shape = tf.concat([leading, outputs[name].shape[1:]], axis=0)
                outputs[name] = tf.reshape(outputs[name], shape)
            return {**outputs, **dict(zip(STATE_OUTPUTS, state, strict=True))}

        return clip

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


def raw_outputs_of(predictions: Predictions, model: Any) -> Outputs:
    """Returns predictions `[N, A, ...]` as the raw outputs."""
    values = (
        tf.cast(predictions.box_encodings, tf.float32),
        tf.sigmoid(tf.cast(predictions.class_logits, tf.float32)),
        tf.identity(center_size_anchors(model)),
    )
    return dict(zip(RAW_OUTPUTS, values, strict=True))


Heads = Callable[..., Outputs]
"""The post-processing of one frame: from the values of `RAW_OUTPUTS` to the named outputs."""


def _heads_of(options: PostprocessingOptions | None) -> Heads | None:
    if options is None:
        return None
    postprocess = postprocessing_op.make(options)
    return lambda *raw: dict(zip(DETECTION_OUTPUTS, postprocess(*raw), strict=True))


def _frame_by_frame(heads: Heads, raw: Outputs) -> Outputs:
    """Returns the named outputs `[T, ...]` of raw ones `[T, A, ...]`, by an op for each frame."""
    boxes, scores, anchors = (raw[name] for name in RAW_OUTPUTS)
    num_frames = boxes.shape[0]
    if num_frames == 1:
        return heads(boxes, scores, anchors)
    frames = [heads(boxes[t : t + 1], scores[t : t + 1], anchors) for t in range(num_frames)]
    return {name: tf.concat([frame[name] for frame in frames], axis=0) for name in frames[0]}


def _one_by_one(heads: Heads, raw: Outputs, rows: int) -> Outputs:
    """Returns the named outputs of raw ones `[F, A, ...]`, F not known beforehand."""
    *frames, anchors = (raw[name] for name in RAW_OUTPUTS)

    def one(frame: tuple[tf.Tensor, ...]) -> Outputs:
        found = heads(*(part[tf.newaxis] for part in frame), anchors)
        return {name: value[0] for name, value in found.items()}

    shapes: tuple[list[int], ...] = ([rows, 4], [rows], [rows], [])
    specs = zip(DETECTION_OUTPUTS, (tf.TensorSpec(shape) for shape in shapes), strict=True)
    return tf.map_fn(one, tuple(frames), fn_output_signature=dict(specs))


def _run_clip(model: Any, frames: tf.Tensor, schedule: str) -> tuple[Predictions, LSTMState]:
    """Returns the predictions of clips `[B, T, ...]` and the last state: a loop of steps.

    A loop, because `model(clip)` wants to know T when the graph is built.
    """
    batch_size, num_frames = tf.unstack(tf.shape(frames)[:2])
    numbers = tf.broadcast_to(tf.range(num_frames), [batch_size, num_frames])
    networks = schedule_ops.networks_of(schedule, numbers)  # [B, T]
    fixed = {"LARGE": "large", "SMALL": "small"}.get(schedule)
    if len(model.networks) == 1:
        fixed = model.networks[0]

    def step(before: Output, at: tf.Tensor) -> Output:
        network = fixed or networks[:, at]
        output = model.step(frames[:, at], before.state, network=network, training=False)
        predictions = (tf.cast(part, tf.float32) for part in output.predictions)
        parts = zip((*predictions, *output.state), tf.nest.flatten(start), strict=True)
        boxes, classes, *state = (tf.ensure_shape(part, like.shape) for part, like in parts)
        return Output(Predictions(boxes, classes), LSTMState(*state))

    empty = (
        tf.zeros([batch_size, model.anchors.shape[0], width])
        for width in (4, model.num_classes + 1)
    )
    start = Output(Predictions(*empty), model.initial_state(batch_size))
    found = tf.scan(step, tf.range(num_frames), start)
    predictions = (tf.transpose(part, [1, 0, 2, 3]) for part in found.predictions)
    return Predictions(*predictions), LSTMState(*(part[-1] for part in found.state))


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


def _in_8_bits(state: tf.Tensor) -> tf.Tensor:
    """Returns what `_handed_on` does, in an operator of 8 bits."""
    return rounded(tf.minimum(state, 6.0), 0.0, 6.0)


def _handed_on(state: tf.Tensor) -> tf.Tensor:
    """Returns a state as it is, up to the largest number of float16, by an operator of its own.

    `CompiledModel` and LiteRT.js read an output that is also an input, as in the small network,
    before it is written; some GPU delegates do so with one that the network reads again. The
    converter leaves no identity in the file, and would quantise most other operators.
    """
    return tf.minimum(state, tf.float16.max)
