"""Replicas of a model that train together, each on its part of the batch (`tf.distribute`)."""

from collections.abc import Sequence

import tensorflow as tf


def count() -> int:
    """Returns how many replicas run the code that asks; 1 where it is not run by replicas."""
    if tf.distribute.in_cross_replica_context():
        return 1
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def part_of(batch_size: int) -> int:
    """Returns how many clips of a batch each replica of the current strategy takes.

    Raises:
        ValueError: the batch cannot be divided among them.
    """
    replicas = int(tf.distribute.get_strategy().num_replicas_in_sync)
    if batch_size % replicas:
        raise ValueError(
            f"batch_size {batch_size} cannot be divided among {replicas} replicas: it counts the "
            f"clips of all of them together, so take a multiple of {replicas}"
        )
    return batch_size // replicas


def own_rows(values: tf.Tensor) -> tf.Tensor:
    """Returns this replica's rows `[n, ...]` of the rows of all of them, `[replicas * n, ...]`."""
    replicas = count()
    if replicas == 1:
        return values
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(values)[0] // replicas
    return values[number * size : (number + 1) * size]


def summed(tensors: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Returns the sums over all replicas, exchanged at once; None stays None.

    Every replica has to call it, with tensors of the same shapes in the same places.
    """
    if count() == 1:
        return list(tensors)
    present = [tensor for tensor in tensors if tensor is not None]
    context = tf.distribute.get_replica_context()
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if tensor is None else next(sums) for tensor in tensors]


def share_means(variables: Sequence[tf.Variable]) -> None:
    """Gives all replicas the mean of those variables of which each has a value of its own.

    That is what is saved, such as batch norm's statistics; replicas that went on with their own
    would round otherwise than those that start from it. All workers have to call it.
    """
    mean = tf.VariableSynchronization.ON_READ, tf.VariableAggregation.MEAN
    for variable in variables:
        replicated = isinstance(variable, tf.distribute.DistributedValues)
        if replicated and (variable.synchronization, variable.aggregation) == mean:
            with variable.distribute_strategy.scope():
                variable.assign(variable.read_value())
