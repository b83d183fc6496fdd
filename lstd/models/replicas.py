"""Replicas of a model that train together, each on its part of the batch (`tf.distribute`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras


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
    present = [tensor for tensor in tensors if tensor is not None]
    if count() > 1:
        context = tf.distribute.get_replica_context()
        present = context.all_reduce(tf.distribute.ReduceOp.SUM, present)
    sums = iter(present)
    return [None if tensor is None else next(sums) for tensor in tensors]


def share_means(variables: Sequence[tf.Variable]) -> None:
    """Gives all replicas the mean of those variables of which each has a value of its own.

    That is what is saved of them, such as batch norm's statistics; replicas that went on with their
    own would round otherwise than those that start from what was saved. All workers have to call
    it.
    """
    mean = tf.VariableSynchronization.ON_READ, tf.VariableAggregation.MEAN
    for variable in variables:
        replicated = isinstance(variable, tf.distribute.DistributedValues)
        if replicated and (variable.synchronization, variable.aggregation) == mean:
            with variable.distribute_strategy.scope():
                variable.assign(variable.read_value())


def distributed(
    data: Any,
    strategy: tf.distribute.Strategy,
    *,
    prepare: Callable[[tf.data.Dataset], tf.data.Dataset],
    axis: int,
) -> Any:
    """Returns a dataset that gives each replica its clips: the same replica the same lanes.

    Keras would deal whole batches to the workers in turn, and clips would no longer be continued
    by the replica that has their state.

    Args:
        data: a `tf.data.Dataset` of whole batches, of which every worker then reads all and keeps
            its rows; or a `keras.utils.experimental.DatasetCreator`, whose function takes a
            `tf.distribute.InputContext` and gives the batches of one worker. Anything else, such
            as a distributed dataset, is returned as it is.
        strategy: of the replicas.
        prepare: is applied to the batches of a worker.
        axis: of the clips, in what `prepare` gives.
    """
    if isinstance(data, keras.utils.experimental.DatasetCreator):
        make: Callable[[tf.distribute.InputContext], tf.data.Dataset] = data
    elif isinstance(data, tf.data.Dataset):

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return _of_worker(data, context)

    else:
        return data

    def of_replicas(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        return _split(_named(prepare(make(context))), local, axis=axis).prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_replicas)


def packed(part: Any, kind: Callable[..., Any]) -> Any:
    """Returns what a replica gets of `distributed` as the NamedTuple that it was."""
    return kind(**part) if isinstance(part, dict) else part


def _named(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with dicts for NamedTuples: distributed ones cannot hold a None."""

    def without_none(part: Any) -> Any:
        if not hasattr(part, "_asdict"):
            return part
        return {name: value for name, value in part._asdict().items() if value is not None}

    return dataset.map(lambda *element: tuple(without_none(part) for part in element))


def _of_worker(dataset: tf.data.Dataset, context: tf.distribute.InputContext) -> tf.data.Dataset:
    """Returns the dataset with the rows of one worker."""
    workers, number = context.num_input_pipelines, context.input_pipeline_id
    if workers == 1:
        return dataset

    def rows(part: tf.Tensor | None) -> tf.Tensor | None:
        return None if part is None else tf.split(part, workers, axis=0)[number]

    return dataset.map(lambda *element: tf.nest.map_structure(rows, element))


def _split(dataset: tf.data.Dataset, parts: int, *, axis: int) -> tf.data.Dataset:
    """Returns a dataset with `parts` elements for each one, divided along an axis."""
    if parts == 1:
        return dataset
    return dataset.map(
        lambda *element: tf.nest.map_structure(
            lambda part: tf.stack(tf.split(part, parts, axis=axis)), element
        )
    ).unbatch()
