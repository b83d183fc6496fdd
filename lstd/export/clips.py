"""Whole clips: of any number and length, in a loop; or one of a fixed length, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lstd.base.export_names import DETECTION_OUTPUTS, RAW_OUTPUTS, STATE_OUTPUTS
from lstd.base.types import LSTMState, Predictions
from lstd.export.postprocessing_op import PostprocessingOptions
from lstd.ops import schedule as schedule_ops

Raw = dict[str, tf.Tensor]
"""`RAW_OUTPUTS`."""
Heads = Callable[[Raw], dict[str, tf.Tensor]]
"""The post-processing of one frame: from its raw outputs to the named outputs."""


def frame_by_frame(heads: Heads | None, raw: Raw) -> dict[str, tf.Tensor]:
    """Returns the named outputs `[T, ...]` of raw outputs `[T, A, ...]`; without heads these.

    The post-processing op takes one frame at a time, so there is one for each.
    """
    if heads is None:
        return raw
    boxes, scores, anchors = (raw[name] for name in RAW_OUTPUTS)
    num_frames = boxes.shape[0]
    if num_frames == 1:
        return heads(raw)
    frames = [
        heads(dict(zip(RAW_OUTPUTS, (boxes[t : t + 1], scores[t : t + 1], anchors), strict=True)))
        for t in range(num_frames)
    ]
    return {name: tf.concat([frame[name] for frame in frames], axis=0) for name in frames[0]}


def entry_point(
    model: Any,
    heads: Heads | None,
    raw_outputs: Callable[[Predictions], Raw],
    options: PostprocessingOptions | None,
    *,
    schedule: str,
    dtype: str = "float32",
) -> Any:
    """Returns a tf.function from clips `[B, T, H, W, C]` to named outputs `[B, T, ...]`.

    Args:
        model: an `LSTMSSD` that hands its state in and out.
        heads: the post-processing of one frame; None: raw output.
        raw_outputs: names the predictions of any number of frames.
        options: of the post-processing.
        schedule: which network runs on which frame.
        dtype: of the frames, "float32" or "uint8".
    """
    frames_spec = tf.TensorSpec([None, None, *model.input_shape_hwc], dtype, name="frames")

    @tf.function(input_signature=[frames_spec], autograph=False)
    def clip(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        predictions, state = _run_clip(model, frames, schedule)
        leading = tf.shape(frames)[:2]
        raw = raw_outputs(Predictions(*(_merge_leading(part) for part in predictions)))
        outputs = _one_by_one(heads, raw, options) if heads and options else raw
        shaped = {
            name: value if name == "anchors" else _split_leading(value, leading)
            for name, value in outputs.items()
        }
        return {**shaped, **dict(zip(STATE_OUTPUTS, state, strict=True))}

    return clip


def _run_clip(model: Any, frames: tf.Tensor, schedule: str) -> tuple[Predictions, LSTMState]:
    """Returns the predictions of clips `[B, T, ...]` and the last state: a loop of steps.

    A loop, because `model(clip)` wants to know T when the graph is built.
    """
    batch_size, num_frames = tf.unstack(tf.shape(frames)[:2])
    numbers = tf.broadcast_to(tf.range(num_frames), [batch_size, num_frames])
    networks = schedule_ops.networks_of(schedule, numbers)  # [B, T]
    fixed = model.networks[0] if len(model.networks) == 1 else _CONSTANT.get(schedule)

    def body(frame: tf.Tensor, arrays: Predictions, state: LSTMState) -> tuple[Any, ...]:
        network = fixed or networks[:, frame]
        output = model.step(frames[:, frame], state, network=network, training=False)
        values = [tf.cast(part, tf.float32) for part in output.predictions]
        written = [array.write(frame, value) for array, value in zip(arrays, values, strict=True)]
        return frame + 1, Predictions(*written), output.state

    state = model.initial_state(batch_size)
    free = tf.TensorShape([None, *state.c.shape[1:]])
    num_anchors = model.anchors.shape[0]
    widths = ((num_anchors, 4), (num_anchors, model.num_classes + 1))
    arrays = Predictions(
        *(tf.TensorArray(tf.float32, num_frames, element_shape=[None, *width]) for width in widths)
    )
    _, arrays, state = tf.while_loop(
        lambda frame, *_: frame < num_frames,
        body,
        (tf.constant(0), arrays, state),
        shape_invariants=(
            tf.TensorShape([]),
            Predictions(tf.TensorShape(None), tf.TensorShape(None)),
            LSTMState(free, free),
        ),
    )
    stacked = (tf.transpose(array.stack(), [1, 0, 2, 3]) for array in arrays)
    return Predictions(*stacked), state


_CONSTANT = {"LARGE": "large", "SMALL": "small"}
"""The network of schedules that need only one."""


def _one_by_one(heads: Heads, raw: Raw, options: PostprocessingOptions) -> dict[str, tf.Tensor]:
    """Returns the detections of frames `[F, A, ...]`; the op takes one frame at a time."""
    *frames, anchors = (raw[name] for name in RAW_OUTPUTS)
    rows = options.num_rows
    shapes: tuple[list[int], ...] = ([rows, 4], [rows], [rows], [])

    def one(frame: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        values = (*(part[tf.newaxis] for part in frame), anchors)
        return {
            name: v[0] for name, v in heads(dict(zip(RAW_OUTPUTS, values, strict=True))).items()
        }

    return tf.map_fn(
        one,
        tuple(frames),
        fn_output_signature={
            name: tf.TensorSpec(shape, tf.float32)
            for name, shape in zip(DETECTION_OUTPUTS, shapes, strict=True)
        },
    )


def _merge_leading(values: tf.Tensor) -> tf.Tensor:
    """Returns `[B, T, ...]` as `[B * T, ...]`."""
    return tf.reshape(values, [-1, *values.shape[2:]])


def _split_leading(values: tf.Tensor, leading: tf.Tensor) -> tf.Tensor:
    """Returns `[B * T, ...]` as `[B, T, ...]`."""
    return tf.reshape(values, tf.concat([leading, values.shape[1:]], axis=0))
