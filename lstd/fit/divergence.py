"""Ends training at the step whose loss or gradients are no numbers, before it changes a weight."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.base.types import ClipBatch

_SHOWN_CLIPS = 8
_PATIENCE = 3.0  # Seconds in which another replica of this process may say which clips it was.


class DivergedError(ValueError):
    """Training has left the numbers; the message says in which step, and on what."""


class FiniteGuard:
    """Looks at a few numbers in each step; `finding` is what the step that failed has said."""

    def __init__(self) -> None:
        self.finding = ""
        self._told = threading.Event()

    def reset(self) -> None:
        """Forgets what was found."""
        self.finding = ""
        self._told.clear()

    def check(
        self,
        numbers: Mapping[str, tf.Tensor],
        *,
        clip: ClipBatch | tf.Tensor,
        step: tf.Tensor,
        own: Sequence[tf.Tensor] = (),
    ) -> tf.Tensor:
        """Returns what the update has to wait for; it fails unless all numbers are finite.

        Args:
            numbers: float32 scalars: losses, and the norm of the gradients.
            clip: of the step, or frames alone.
            step: its number, from 1.
            own: what this one of several replicas has added to the numbers, which are those of all
                together. Where it is finite, another one is to blame.
        """
        values = tf.stack(list(numbers.values()))

        def refuse() -> tf.Tensor:
            innocent = bool(own) & tf.reduce_all(
                [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in own] or [True]
            )
            inputs = [values, innocent, step, *_names(clip)]
            return tf.numpy_function(lambda *given: self._refuse(numbers, *given), inputs, tf.bool)

        finite = tf.reduce_all(tf.math.is_finite(values))
        return tf.cond(finite, lambda: tf.constant(True), refuse)

    def _refuse(
        self, names: Mapping[str, Any], values: Any, innocent: Any, step: Any, *clips: Any
    ) -> np.ndarray:
        begin, end = f"training diverged at step {int(step)}", "No weight was changed by this step"
        if innocent:
            self._told.wait(_PATIENCE)
            self.finding = self.finding or (
                f"{begin}, on the clips of another worker, whose message names them. {end}"
            )
        else:
            shown = ", ".join(f"{n} {v:g}" for n, v in zip(names, values, strict=True))
            self.finding = (
                f"{begin} ({shown}){_clips(*clips)}. {end}. Lower train.learning_rate.initial or "
                "train.optimizer.clip_norm, or look for broken boxes or frames in these clips"
            )
            self._told.set()
        raise DivergedError(self.finding)


def _names(clip: ClipBatch | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns string `[B]` and `[B, T]`: what the clips are called, and their frames."""
    if not isinstance(clip, ClipBatch):
        return tf.constant([], tf.string), tf.zeros([0, 0], tf.string)
    where = clip.where
    if where is None:
        where = tf.strings.join(["frame ", tf.strings.as_string(clip.frame_index)])
    # With accumulated batches [N, B].
    return tf.reshape(clip.video_id, [-1]), tf.reshape(where, [-1, where.shape[-1]])


def _clips(videos: np.ndarray, frames: np.ndarray) -> str:
    if not len(videos):
        return ""
    told = [
        f"{video.decode()!r} ({one.decode()} to {other.decode()})"
        for video, (one, other) in zip(videos, frames[:, [0, -1]], strict=True)
    ]
    more = f" and {len(told) - _SHOWN_CLIPS} more" if len(told) > _SHOWN_CLIPS else ""
    return f"; its clips: {', '.join(told[:_SHOWN_CLIPS])}{more}"
