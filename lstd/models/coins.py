"""What the random schedule of training is drawn with."""

from __future__ import annotations

import tensorflow as tf

from lstd.fit import replicas

_PHILOX = tf.random.Algorithm.PHILOX.value


class Coins(tf.Module):
    """A generator of random numbers that a checkpoint can save, seeded by the global seed.

    An operation's own random numbers begin anew in another process. `tf.random.Generator` does not,
    and gives the same numbers as this; but its replicas draw numbers of their own. Here each
    replica draws those of all and takes its rows: so the schedule of a clip does not depend on how
    many replicas share the batch, and the state stays the same everywhere.
    """

    def __init__(self) -> None:
        super().__init__(name="coins")
        with tf.init_scope():
            seed = tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)
            self._state_var = tf.Variable(
                tf.random.create_rng_state(seed, "philox"),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                name="state",
            )

    def uniform(self, shape: tf.Tensor) -> tf.Tensor:
        """Returns float32 in [0, 1) of a shape whose first axis is that of the clips."""
        shape = tf.convert_to_tensor(shape)
        everyone = tf.concat([replicas.count() * shape[:1], shape[1:]], axis=0)
        before = tf.raw_ops.RngReadAndSkip(
            resource=self._state_var.handle,
            alg=_PHILOX,
            delta=tf.cast(tf.reduce_prod(everyone), tf.uint64),
        )
        drawn = tf.raw_ops.StatelessRandomUniformV2(
            shape=everyone,
            counter=tf.bitcast(before[:2], tf.uint64),
            key=tf.bitcast(before[2:3], tf.uint64),
            alg=_PHILOX,
            dtype=tf.float32,
        )
        return tf.reshape(replicas.own_rows(drawn), shape)
