"""Two devices, or two workers, make the step that one makes with the whole batch."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.training import replica_steps

pytestmark = pytest.mark.slow  # Each kind is a process of its own, and traces each variant anew.

# Sums are taken in another order, which float32 shows in the last digits of a gradient.
RELATIVE = 1e-4
SAME = ["frozen statistics", "accumulated"]
BY_REPLICA = "batch norm by replica"


def tf_configs(count: int) -> list[str]:
    """Returns what `TF_CONFIG` says to each of so many workers on this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]  # on free ports
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


def _steps(
    folder: Path, kind: str, variants: list[str], configs: Sequence[str] = ("{}",)
) -> list[dict[str, np.ndarray]]:
    """Returns what processes that run side by side have written."""
    paths = [folder / f"{number}.npz" for number in range(len(configs))]
    command = [sys.executable, "-m", replica_steps.__name__, "--kind", kind]
    processes = [
        subprocess.Popen(
            [*command, "--output", str(path), "--variants", *variants],
            env={**os.environ, "TF_CONFIG": config},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for path, config in zip(paths, configs, strict=True)
    ]
    for process in processes:
        said, _ = process.communicate(timeout=1800)
        assert process.returncode == 0, said
    return [dict(np.load(path)) for path in paths]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return _steps(tmp_path_factory.mktemp("one"), "one", [*SAME, BY_REPLICA])[0]


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return _steps(tmp_path_factory.mktemp("mirrored"), "mirrored", [*SAME, BY_REPLICA])[0]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    return _steps(tmp_path_factory.mktemp("workers"), "worker", SAME[:1], tf_configs(2))


def assert_same_steps(ours: dict[str, np.ndarray], one: dict[str, np.ndarray], name: str) -> None:
    """Compares updates, logs and carried state, by relative L2 over all variables together."""
    assert replica_steps.difference(ours, one, name, "log") < RELATIVE
    assert replica_steps.difference(ours, one, name, "carried") < RELATIVE
    assert replica_steps.difference(ours, one, name, "update") < RELATIVE
    assert np.abs(replica_steps.updates(one, name)).max() > 1e-4  # They have learnt something.


@pytest.mark.parametrize("name", SAME)
def test_two_devices_equal_one_with_the_whole_batch(mirrored, one, name):
    assert (mirrored["replicas"], one["replicas"]) == (2, 1)
    assert_same_steps(mirrored, one, name)


def test_two_workers_equal_one_with_the_whole_batch_and_agree_to_the_last_bit(workers, one):
    first, second = workers
    assert first["replicas"] == 2
    assert_same_steps(first, one, SAME[0])
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_batch_norm_by_replica_is_another_step(mirrored, one):
    different = replica_steps.difference(mirrored, one, BY_REPLICA, "update")

    assert different > 10 * RELATIVE  # benchmarks/replica_batch_norm.py says how much.
    assert np.isfinite(different)
