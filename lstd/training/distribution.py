"""Several devices and machines for one training: the strategy, and who of them does what."""

import os
from typing import Any

import tensorflow as tf
import tf_keras as keras

from lstd.base import documents
from lstd.config.train_config import Distribution

# What the collective operations of a worker say when another one has gone.
GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


def strategy_of(name: Distribution) -> tf.distribute.Strategy:
    """Returns the strategy that `train.distribution` names; "none": the current one.

    "multi_worker" waits until all workers that `TF_CONFIG` names have started, and has to come
    before TensorFlow does anything else.

    Raises:
        ValueError: `TF_CONFIG` is missing or says nothing usable; TensorFlow has begun already.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    _check_tf_config(os.environ.get("TF_CONFIG", ""))
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "train.distribution is 'multi_worker', which has to be set up before TensorFlow does "
            "anything else in this process; use lstd-train, or call "
            "lstd.training.distribution.strategy_of first and give the strategy to train: "
            f"{str(error).splitlines()[0]}"
        ) from None


def _check_tf_config(text: str) -> None:
    """Raises unless `TF_CONFIG` names workers, and this one among them."""
    try:
        given = documents.from_json(text, source="TF_CONFIG")
        workers, task = given["cluster"]["worker"], given["task"]
        if task["type"] == "worker" and 0 <= int(task["index"]) < len(workers):
            return
    except (ValueError, TypeError, KeyError):
        pass
    raise ValueError(
        "train.distribution is 'multi_worker': the environment variable TF_CONFIG must name all "
        'workers, and which of them this is, such as {"cluster": {"worker": ["host1:2222", '
        '"host2:2222"]}, "task": {"type": "worker", "index": 0}}; it is '
        f"{text or 'not set'!r}"
    )


def workers_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the number of this worker, from 0, and how many there are."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    if resolver is None or resolver.task_type is None:  # it was made without TF_CONFIG
        return 0, 1
    return int(resolver.task_id), int(resolver.cluster_spec().num_tasks(resolver.task_type))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this worker is the one that writes: the first."""
    return workers_of(strategy)[0] == 0


def input_context(strategy: tf.distribute.Strategy) -> tf.distribute.InputContext:
    """Returns which share of the data this worker reads."""
    number, workers = workers_of(strategy)
    return tf.distribute.InputContext(
        num_input_pipelines=workers,
        input_pipeline_id=number,
        num_replicas_in_sync=int(strategy.num_replicas_in_sync),
    )


def dealt(dataset: tf.data.Dataset, strategy: tf.distribute.Strategy) -> Any:
    """Returns the endless batches of a worker's share in the form in which `fit` takes them."""
    if strategy.num_replicas_in_sync == 1:
        return dataset
    # They never end: said so, since otherwise all workers ask each other before each step.
    endless = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return keras.utils.experimental.DatasetCreator(lambda context: endless)
