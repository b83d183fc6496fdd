"""Batches as a step takes them: several as one element, and each replica its own clips."""

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base.types import ClipBatch, GroundTruth
from lstd.fit import replicas
from lstd.fit.first_batches import FirstBatches

_UNEVEN = "a batch cannot be divided among"
_MINUS_ONE = ("classes", "track_ids")  # what rows of padding hold; all else is 0


def for_training(
    data: Any, strategy: tf.distribute.Strategy, *, accumulate_steps: int, look: FirstBatches
) -> Any:
    """Returns what `fit` is to read: `accumulate_steps` batches as one element, dealt to replicas.

    The same replica goes on with the same clips; Keras would deal whole batches to the workers in
    turn, and clips would not be continued where their state is. So every worker reads all of a
    `tf.data.Dataset` of whole batches, and keeps its rows; or a Keras `DatasetCreator`, whose
    function takes a `tf.distribute.InputContext`, gives the batches of one worker. With several
    replicas anything else, such as a distributed dataset, is returned as it is.

    Raises:
        ValueError: a batch cannot be divided among the replicas; the data is not what `look` wants.
    """

    def prepare(dataset: tf.data.Dataset) -> tf.data.Dataset:
        dataset = look.watch(dataset)
        return stacked(dataset, accumulate_steps) if accumulate_steps > 1 else dataset

    if strategy.num_replicas_in_sync == 1:
        return prepare(data)
    made = isinstance(data, keras.utils.experimental.DatasetCreator)
    if not made and not isinstance(data, tf.data.Dataset):
        return data
    if not made:
        size = tf.nest.flatten(data.element_spec)[0].shape[:1]
        if size.is_fully_defined():
            with strategy.scope():
                replicas.part_of(int(size[0]))

    def of_replicas(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers, number = context.num_input_pipelines, context.input_pipeline_id
        own = data(context) if made else data
        if not made and workers > 1:
            own = _mapped(data, lambda part: _parts(part, workers)[number])
        local = context.num_replicas_in_sync // workers
        divided = split(_named(prepare(own)), local, axis=int(accumulate_steps > 1))
        return divided.prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_replicas)


def for_evaluation(
    data: Any, strategy: tf.distribute.Strategy, *, steps: int | None, look: FirstBatches
) -> tuple[Any, int | None]:
    """Returns what is evaluated, and how many batches of it; several workers each read their rows.

    Anything but a `tf.data.Dataset` of whole batches is returned as it is; `steps` of None stand
    for all of it, if it knows how many that is.
    """
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if not several or not isinstance(data, tf.data.Dataset):
        return look.watch(data), steps
    count = int(data.cardinality())
    known = count if steps is None and count > 0 else steps
    return for_training(data, strategy, accumulate_steps=1, look=look), known


def uneven(error: Exception) -> str:
    """Returns the sentence on a batch that replicas could not share, "" of other errors."""
    found = re.search(rf"{_UNEVEN}[^\n]*", str(error))
    return found.group() if found and isinstance(error, tf.errors.OpError) else ""


def stacked(dataset: Any, count: int) -> tf.data.Dataset:
    """Returns a dataset whose elements are `count` batches each, `[count, B, T, ...]`.

    True objects are padded to the largest number of rows among them. Batches that are left over at
    the end are dropped.

    Raises:
        ValueError: it is another kind of dataset, or its batches may differ in size.
    """
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or [type(part) for part in spec] != [ClipBatch, GroundTruth]:
        raise ValueError(
            f"accumulate_steps {count} needs a tf.data.Dataset of (ClipBatch, GroundTruth), got "
            f"{type(dataset).__name__}"
        )
    if None in spec[0].frames.shape[:2].as_list():
        raise ValueError(
            f"accumulate_steps {count} needs batches of one known size, got frames of shape "
            f"{spec[0].frames.shape}: batch with drop_remainder=True"
        )
    flat = _named(dataset).map(lambda clip, truth: {**clip, **truth})
    return flat.padded_batch(
        count,
        padded_shapes={name: part.shape for name, part in flat.element_spec.items()},
        padding_values={
            name: tf.constant(-1, part.dtype) if name in _MINUS_ONE else None
            for name, part in flat.element_spec.items()
        },
        drop_remainder=True,
    ).map(
        lambda fields: tuple(
            kind(*(fields.get(name) for name in kind._fields)) for kind in (ClipBatch, GroundTruth)
        )
    )


def _named(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with dicts for NamedTuples: distributed ones cannot hold a None."""

    def without_none(part: Any) -> Any:
        if not hasattr(part, "_asdict"):
            return part
        return {name: value for name, value in part._asdict().items() if value is not None}

    return dataset.map(lambda *element: tuple(without_none(part) for part in element))


def split(dataset: tf.data.Dataset, parts: int, *, axis: int) -> tf.data.Dataset:
    """Returns a dataset with `parts` elements for each one, divided along the axis of the clips."""
    if parts == 1:
        return dataset
    return _mapped(dataset, lambda part: tf.stack(_parts(part, parts, axis=axis))).unbatch()


def _mapped(dataset: tf.data.Dataset, change: Callable[[tf.Tensor], Any]) -> tf.data.Dataset:
    """Returns the dataset with each tensor of its elements changed; None stays."""
    return dataset.map(
        lambda *element: tf.nest.map_structure(
            lambda part: None if part is None else change(part), element
        )
    )


def _parts(batch: tf.Tensor, count: int, *, axis: int = 0) -> list[tf.Tensor]:
    even = tf.debugging.assert_equal(
        tf.shape(batch)[axis] % count,
        0,
        f"{_UNEVEN} {count} replicas or workers, such as a last one that is smaller: take a "
        f"multiple of {count}, and batch with drop_remainder=True",
    )
    with tf.control_dependencies([even]):
        return tf.split(batch, count, axis=axis)
