"""What `train.distribution` needs, and who writes."""

import json

import pytest
import tensorflow as tf

from lstd.training import distribution

CLUSTER = {"worker": ["host1:2222", "host2:2222"]}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "host1:2222",
        "[]",
        json.dumps({"cluster": CLUSTER}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_tf_config_that_does_not_name_this_worker_is_refused_with_an_example(given, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", given)

    with pytest.raises(ValueError, match=r"TF_CONFIG must name.*such as \{\"cluster\""):
        distribution.strategy_of("multi_worker")


def test_workers_have_to_be_set_up_first(monkeypatch):
    tf.zeros(1).numpy()  # TensorFlow has begun.
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CLUSTER, "task": task}))

    with pytest.raises(ValueError, match="has to be set up before TensorFlow does anything else"):
        distribution.strategy_of("multi_worker")


def test_without_a_cluster_there_is_one_worker_and_it_writes(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for strategy in (
        distribution.strategy_of("none"),
        tf.distribute.MultiWorkerMirroredStrategy(),
    ):
        assert distribution.workers_of(strategy) == (0, 1)
        assert distribution.is_chief(strategy)
        assert distribution.input_context(strategy).num_input_pipelines == 1
