"""What a stateful model remembers between two calls."""

import tensorflow as tf

from lstd.base.types import LSTMState
from lstd.fit import replicas


class CarriedState:
    """The LSTM state and the frame counter of one stream of calls, in variables.

    A plain object on purpose: Keras and `tf.train.Checkpoint` do not look inside, so the state is
    never saved with the weights. A training that can be resumed saves it through `as_module`.

    Replicas of the current strategy have variables of their own, for their part of the batch.

    Args:
        shape: (B, h, w, D), B of all replicas together.

    Raises:
        ValueError: B cannot be divided among the replicas.
    """

    c: tf.Variable
    h: tf.Variable
    frame: tf.Variable

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self._strategy = tf.distribute.get_strategy()
        self._module = tf.Module(name="carried")
        own = (replicas.part_of(shape[0]), *shape[1:])
        kinds = {"c": (4, tf.float32), "h": (4, tf.float32), "frame": (1, tf.int32)}
        with tf.init_scope():
            for name, (rank, dtype) in kinds.items():
                mine = everyone = tf.Variable(
                    tf.zeros(own[:rank], dtype),
                    trainable=False,
                    name=f"carried_{name}",
                    synchronization=tf.VariableSynchronization.ON_READ,
                )
                if own != shape:
                    everyone = tf.Variable(tf.zeros(shape[:rank], dtype), trainable=False)
                setattr(self, name, mine)
                setattr(self._module, name, everyone)

    @property
    def batch_size(self) -> int:
        """Clips whose state this is, all replicas together."""
        return int(self._module.c.shape[0])

    @property
    def own_batch_size(self) -> int:
        """Clips whose state one replica holds."""
        return int(self.c.shape[0])

    def as_module(self) -> tf.Module:
        """Returns an object that a `tf.train.Checkpoint` looks into, for the whole batch.

        With several replicas it is a copy, which `collect` fills and `spread` writes back.
        """
        return self._module

    def collect(self) -> None:
        """Copies the state of all replicas to `as_module`; all workers have to call it."""
        if self.own_batch_size == self.batch_size:
            return
        for own, everyone in self._pairs():
            values = self._strategy.run(own.read_value)
            everyone.assign(self._strategy.gather(values, axis=0))

    def spread(self) -> None:
        """Copies `as_module` to the replicas."""
        if self.own_batch_size == self.batch_size:
            return

        def take() -> None:
            for own, everyone in self._pairs():
                own.assign(replicas.own_rows(everyone.read_value()))

        self._strategy.run(take)

    def _pairs(self) -> list[tuple[tf.Variable, tf.Variable]]:
        module = self._module
        return [(self.c, module.c), (self.h, module.h), (self.frame, module.frame)]

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

        def zero() -> None:
            for variable in (self.c, self.h, self.frame):
                variable.assign(tf.zeros_like(variable))

        self._strategy.run(zero)
