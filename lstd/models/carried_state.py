"""What a stateful model remembers between two calls."""

from __future__ import annotations

import tensorflow as tf

from lstd.types import LSTMState


class CarriedState:
    """The LSTM state and the frame counter of one stream of calls, in variables.

    A plain object on purpose: Keras and `tf.train.Checkpoint` do not look inside, so the state is
    never saved with the weights. What a training resumes from holds it on purpose: `as_module`.

    Args:
        shape: (B, h, w, D).
    """

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        with tf.init_scope():
            self.c = tf.Variable(tf.zeros(shape), trainable=False, name="carried_c")
            self.h = tf.Variable(tf.zeros(shape), trainable=False, name="carried_h")
            self.frame = tf.Variable(
                tf.zeros(shape[0], tf.int32), trainable=False, name="carried_frame"
            )

    @property
    def batch_size(self) -> int:
        """How many clips the state is of."""
        return int(self.c.shape[0])

    def as_module(self) -> tf.Module:
        """Returns an object with the same variables that a `tf.train.Checkpoint` looks into."""
        module = tf.Module(name="carried")
        module.c, module.h, module.frame = self.c, self.h, self.frame
        return module

    def read(self) -> LSTMState:
        """Returns the state as tensors."""
        return LSTMState(self.c.read_value(), self.h.read_value())

    def write(self, state: LSTMState, *, frames: int) -> None:
        """Keeps the state after `frames` more frames."""
        self.c.assign(tf.cast(state.c, tf.float32))
        self.h.assign(tf.cast(state.h, tf.float32))
        self.frame.assign_add(tf.fill(self.frame.shape, frames))

    def reset(self) -> None:
        """Forgets everything: zeros."""
        for variable in (self.c, self.h, self.frame):
            variable.assign(tf.zeros_like(variable))
