"""Ends training at the step whose loss or gradients are no numbers, before it changes a weight."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import ClipBatch

_SHOWN_CLIPS = 8
_PATIENCE = 3.0  # Seconds in which another replica of this process may say which clips it was.
_ADVICE = (
    "No weight was changed by this step. Lower train.learning_rate.initial or "
    "train.optimizer.clip_norm, or look for broken boxes or frames in these clips"
)


class DivergedError(ValueError):
    """Training has left the numbers; the message says where, on what, and what broke first."""


class FiniteGuard:
    """Looks at a few sums in each step; only where one is not finite, at everything.

    Attributes:
        finding: what the step that failed has said; "" until one does.
    """

    def __init__(self) -> None:
        self.finding = ""
        self._told = threading.Event()

    def reset(self) -> None:
        """Forgets what was found."""
        self.finding = ""
        self._told.clear()

    def check(
        self,
        losses: Mapping[str, tf.Tensor],
        gradients: Mapping[str, tf.Tensor],
        *,
        tensors: Mapping[str, tf.Tensor],
        clip: ClipBatch,
        step: tf.Tensor,
        own: Sequence[tf.Tensor] = (),
    ) -> tf.Tensor:
        """Returns what the update has to wait for; it fails unless losses and gradients are finite.

        Args:
            losses: float32 scalars, in the order in which they are to be named.
            gradients: float32 scalars by the name of the variable, which are finite where the
                gradient is; in the order of the network, from the frames to the loss.
            tensors: what is looked at first, in the order of the computation; any shapes.
            clip: of the step, or frames alone.
            step: its number, from 1.
            own: with several replicas, of which losses and gradients are those of all together:
                what this one has added to them. Where it is finite, another one is to blame.
        """
        values, sizes = tf.stack(list(losses.values())), tf.stack(list(gradients.values()))
        finite = tf.reduce_all(tf.math.is_finite(values)) & tf.reduce_all(tf.math.is_finite(sizes))

        def refuse() -> tf.Tensor:
            flags = tf.stack([_all_finite(tensor) for tensor in tensors.values()])
            innocent = tf.reduce_all([_all_finite(tensor) for tensor in own] or [False])

            def say(
                values: Any, sizes: Any, flags: Any, innocent: Any, step: Any, *names: Any
            ) -> np.ndarray:
                if innocent:
                    self._told.wait(_PATIENCE)
                    self.finding = self.finding or (
                        f"training diverged at step {int(step)}, on the clips of another worker, "
                        "whose message names them. No weight was changed by this step"
                    )
                    raise DivergedError(self.finding)
                culprit = _culprit(
                    dict(zip(tensors, flags, strict=True)),
                    dict(zip(losses, values, strict=True)),
                    dict(zip(gradients, sizes, strict=True)),
                )
                shown = ", ".join(f"{n} {v:g}" for n, v in zip(losses, values, strict=True))
                self.finding = (
                    f"training diverged at step {int(step)} ({shown}): {culprit}"
                    f"{_clips(*names)}. {_ADVICE}"
                )
                self._told.set()
                raise DivergedError(self.finding)

            inputs = [values, sizes, flags, innocent, step, *_names(clip)]
            return tf.numpy_function(say, inputs, tf.bool)

        return tf.cond(finite, lambda: tf.constant(True), refuse)


def _all_finite(tensor: tf.Tensor) -> tf.Tensor:
    if not tensor.dtype.is_floating:
        return tf.constant(True)
    return tf.reduce_all(tf.math.is_finite(tensor))


def _names(clip: ClipBatch | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns string `[B]` and `[B, T]`: what the clips are called, and their frames."""
    if not isinstance(clip, ClipBatch):
        return tf.constant([], tf.string), tf.zeros([0, 0], tf.string)
    where = clip.where
    if where is None:
        where = tf.strings.join(["frame ", tf.strings.as_string(clip.frame_index)])
    videos = tf.convert_to_tensor(clip.video_id)  # With accumulated batches [N, B].
    return tf.reshape(videos, [-1]), tf.reshape(where, [-1, where.shape[-1]])


def _culprit(
    tensors: Mapping[str, Any], losses: Mapping[str, Any], gradients: Mapping[str, Any]
) -> str:
    """Returns the first that is not finite on the way from the frames to the gradients."""
    for name, finite in tensors.items():
        if not finite:
            return f"the {name} are the first that are not finite"
    for name, value in losses.items():
        if not np.isfinite(value):
            what = name if name == "loss" else f"{name} loss"
            return f"the {what} is the first that is not finite"
    broken = [name for name, size in gradients.items() if not np.isfinite(size)]
    # Gradients come from the loss, so the last variable of the network is the first.
    return f"all losses are finite, {len(broken)} gradients are not, first that of {broken[-1]}"


def _clips(videos: np.ndarray, frames: np.ndarray) -> str:
    if not len(videos):
        return ""
    told = [
        f"{video.decode()!r} ({one.decode()} to {other.decode()})"
        for video, (one, other) in zip(videos, frames[:, [0, -1]], strict=True)
    ]
    more = f" and {len(told) - _SHOWN_CLIPS} more" if len(told) > _SHOWN_CLIPS else ""
    return f"; its clips: {', '.join(told[:_SHOWN_CLIPS])}{more}"
