"""TensorFlow's own memory pool on the CPU, asked for when lstd is imported."""

from __future__ import annotations

from collections.abc import MutableMapping

_POOL = "TF_CPU_ALLOCATOR_USE_BFC"


def prefer_pool(environment: MutableMapping[str, str]) -> None:
    """Asks TensorFlow to keep the memory of its tensors, unless somebody has decided otherwise.

    Without a pool, glibc returns every large tensor to the system and fetches it back a moment
    later, page by page: most of the time of an elementwise operation goes into that. The numbers
    are the same either way. TensorFlow reads the variable when it makes its first tensor; later it
    has no effect. `benchmarks/train_step.py` shows the difference.

    Args:
        environment: `os.environ`; TF_CPU_ALLOCATOR_USE_BFC=true is added where it is not set.

    Source: TensorFlow, common_runtime/process_state.cc.
    """
    environment.setdefault(_POOL, "true")
