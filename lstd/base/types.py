"""The values that travel between the parts of lstd. Every one is a NamedTuple of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # An app with a .tflite uses these types, and needs no TensorFlow.
    import tensorflow as tf

MIN_SCORE = 0.5
"""From this score on detections are shown, where neither model nor user says from which."""


class LSTMState(NamedTuple):
    """What the ConvLSTM remembers between two frames.

    Attributes:
        c: cell state, float32 `[B, H / 32, W / 32, D]`; H and W are of the model's input, not of
            the frame.
        h: hidden state, same shape and dtype.
    """

    c: tf.Tensor
    h: tf.Tensor


class Gates(NamedTuple):
    """What the gates of the memory let through for a frame, each float32 `[B, H / 32, W / 32, D]`.

    Attributes:
        input: share of the candidate that is written, in [0, 1].
        candidate: what the frame offers to be remembered.
        forget: share of the old cell state that stays, in [0, 1]: 1 keeps, 0 forgets.
        output: share of the new cell state that is shown to the heads, in [0, 1].
    """

    input: tf.Tensor
    candidate: tf.Tensor
    forget: tf.Tensor
    output: tf.Tensor


class Predictions(NamedTuple):
    """Raw network output for every anchor.

    Attributes:
        box_encodings: float32 `[..., A, 4]`, (ty, tx, th, tw) relative to the anchors.
        class_logits: float32 `[..., A, K + 1]`, before the sigmoid; index 0 is background.
    """

    box_encodings: tf.Tensor
    class_logits: tf.Tensor


class Output(NamedTuple):
    """What the model returns.

    Attributes:
        predictions: raw output; leading axes `[B, T]` for a clip, `[B]` for a step.
        state: the LSTM state after the last frame.
    """

    predictions: Predictions
    state: LSTMState


class ClipBatch(NamedTuple):
    """What a dataset gives the model as input.

    Attributes:
        frames: uint8 or float32 in [0, 255], `[B, T, H, W, C]`.
        starts: bool `[B, T]`; the state is zero before a frame that starts something new.
        frame_index: int32 `[B, T]`, the frame's number in its video, which the schedule counts;
            in training its number since the state was last zero. -1: padding, not to be scored,
            and in no loss.
        video_id: string `[B]`.
        where: string `[B, T]`, names each frame's file and place, for messages; None where a data
            set does not.
    """

    frames: tf.Tensor
    starts: tf.Tensor
    frame_index: tf.Tensor
    video_id: tf.Tensor
    where: tf.Tensor | None = None


class GroundTruth(NamedTuple):
    """True objects of a frame, padded to M rows; a padding row has class -1.

    A row of class -1 that `is_crowd` is a region to ignore: what is found there, of any class, is
    neither right nor wrong. A crowd with a class is one for that class alone.

    Attributes:
        boxes: float32 `[..., M, 4]`: ymin, xmin, ymax, xmax in [0, 1] of the frame.
        classes: int32 `[..., M]`, 0-based, without background.
        track_ids: int32 `[..., M]`, -1 unknown; None where a data set has none.
        is_crowd: bool `[..., M]`; None where a data set has none.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    track_ids: tf.Tensor | None = None
    is_crowd: tf.Tensor | None = None


class Targets(NamedTuple):
    """What the loss wants each anchor to say.

    Attributes:
        box_encodings: float32 `[..., A, 4]`, zeros where an anchor is background.
        box_weights: float32 `[..., A]`, 1 for matched anchors.
        class_targets: float32 `[..., A, K + 1]`, one-hot; background is index 0.
        class_weights: float32 `[..., A, K + 1]`.
        matches: int32 `[..., A]`, the row of the ground truth, -1 for background, -2 for anchors
            that are ignored: between the thresholds, or background in a crowd.
    """

    box_encodings: tf.Tensor
    box_weights: tf.Tensor
    class_targets: tf.Tensor
    class_weights: tf.Tensor
    matches: tf.Tensor


class Detections(NamedTuple):
    """Final boxes by falling score, padded with zeros to N (`max_total_detections`) rows.

    Attributes:
        boxes: float32 `[..., N, 4]`: ymin, xmin, ymax, xmax in [0, 1] of the frame.
        scores: float32 `[..., N]`, after the sigmoid. Boxes that clipping left without area have
            -1 and stand before the padding.
        classes: int32 `[..., N]`, 0-based.
        count: int32 `[...]`, how many detections have a score not below 0, which come first (the
            original's `num_detections`); the padding, with a score of 0, is not counted.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    count: tf.Tensor
