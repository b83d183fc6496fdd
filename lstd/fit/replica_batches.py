"""Batches dealt to replicas and workers: the same replica goes on with the same clips."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.fit import accumulation, replicas
from lstd.fit.first_batches import FirstBatches

_UNEVEN = "a batch cannot be divided among"


def for_training(
    data: Any, strategy: tf.distribute.Strategy, *, accumulate_steps: int, look: FirstBatches
) -> Any:
    """Returns what `fit` is to read: `accumulate_steps` batches as one element, dealt to replicas.

    Args:
        data: a `tf.data.Dataset` of whole batches, of which every worker then reads all and keeps
            its rows; or a `keras.utils.experimental.DatasetCreator`, whose function takes a
            `tf.distribute.InputContext` and gives the batches of one worker. With several replicas
            anything else, such as a distributed dataset, is returned as it is.
        strategy: of the replicas.
        accumulate_steps: at least 1.
        look: at the first batches.

    Raises:
        ValueError: a batch cannot be divided among the replicas; the data is not what `look` wants.
    """

    def prepare(dataset: tf.data.Dataset) -> tf.data.Dataset:
        dataset = look.watch(dataset)
        several = accumulate_steps > 1
        return accumulation.stacked(dataset, accumulate_steps) if several else dataset

    if strategy.num_replicas_in_sync == 1:
        return prepare(data)
    return _dealt(data, strategy, prepare=prepare, axis=int(accumulate_steps > 1))


def for_evaluation(
    data: Any, strategy: tf.distribute.Strategy, *, steps: int | None, look: FirstBatches
) -> tuple[Any, int | None]:
    """Returns what is evaluated, and how many batches of it; several workers each read their rows.

    Args:
        data: a `tf.data.Dataset` of whole batches; anything else is returned as it is.
        strategy: of the replicas.
        steps: None: all of the dataset, if it knows how many that is.
        look: at the first batches.
    """
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if not several or not isinstance(data, tf.data.Dataset):
        return look.watch(data), steps
    count = int(data.cardinality())
    known = count if steps is None and count > 0 else steps
    return for_training(data, strategy, accumulate_steps=1, look=look), known


def uneven(error: Exception) -> str:
    """Returns the sentence on a batch that replicas could not share, "" of other errors."""
    found = (
        re.search(rf"{_UNEVEN}[^\n]*", str(error)) if isinstance(error, tf.errors.OpError) else None
    )
    return found.group() if found else ""


def _dealt(
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
        data: see `for_training`.
        strategy: of the replicas.
        prepare: is applied to the batches of a worker.
        axis: of the clips, in what `prepare` gives.
    """
    if isinstance(data, keras.utils.experimental.DatasetCreator):
        make: Callable[[tf.distribute.InputContext], tf.data.Dataset] = data
    elif isinstance(data, tf.data.Dataset):
        size = tf.nest.flatten(data.element_spec)[0].shape[:1]
        if size.is_fully_defined():
            with strategy.scope():
                replicas.part_of(int(size[0]))

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return _of_worker(data, context)

    else:
        return data

    def of_replicas(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        return _split(_named(prepare(make(context))), local, axis=axis).prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_replicas)


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
        return None if part is None else _parts(part, workers, axis=0)[number]

    return dataset.map(lambda *element: tf.nest.map_structure(rows, element))


def _split(dataset: tf.data.Dataset, parts: int, *, axis: int) -> tf.data.Dataset:
    """Returns a dataset with `parts` elements for each one, divided along an axis."""
    if parts == 1:
        return dataset
    return dataset.map(
        lambda *element: tf.nest.map_structure(
            lambda part: tf.stack(_parts(part, parts, axis=axis)), element
        )
    ).unbatch()


def _parts(batch: tf.Tensor, count: int, *, axis: int) -> list[tf.Tensor]:
    """Returns the parts of a batch along an axis."""
    even = tf.debugging.assert_equal(
        tf.shape(batch)[axis] % count,
        0,
        f"{_UNEVEN} {count} replicas or workers, such as a last one that is smaller: take a "
        f"multiple of {count}, and batch with drop_remainder=True",
    )
    with tf.control_dependencies([even]):
        return tf.split(batch, count, axis=axis)
