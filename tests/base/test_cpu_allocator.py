"""The memory pool of TensorFlow on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lstd.base import cpu_allocator


def test_pool_is_asked_for_where_nothing_is_set() -> None:
    environment: dict[str, str] = {}

    cpu_allocator.prefer_pool(environment)

    assert environment == {"TF_CPU_ALLOCATOR_USE_BFC": "true"}


def test_choice_of_the_user_stays() -> None:
    environment = {"TF_CPU_ALLOCATOR_USE_BFC": "false"}

    cpu_allocator.prefer_pool(environment)

    assert environment == {"TF_CPU_ALLOCATOR_USE_BFC": "false"}


_SECOND_TENSOR_REUSES_MEMORY = """
import resource
import lstd, tensorflow as tf
def faults():
    tf.fill([2048, 4096], 1.0)  # 32 MB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
faults()
before = faults()
for _ in range(20):
    last = faults()
print(last - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts Linux's page faults")
def test_importing_lstd_makes_large_tensors_reuse_their_memory() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPU_ALLOCATOR_USE_BFC"}
    result = subprocess.run(
        [sys.executable, "-c", _SECOND_TENSOR_REUSES_MEMORY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    # Fetched anew, 20 tensors of 32 MB are 163,840 pages of 4 kB.
    assert int(result.stdout) < 8192
