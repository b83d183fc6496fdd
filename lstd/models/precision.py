"""What the layers that are made in a block compute in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tf_keras as keras


@contextlib.contextmanager
def made_in(policy: str | None) -> Iterator[None]:
    """Gives the layers that are made inside of the block a policy of Keras.

    Args:
        policy: its name, such as "mixed_bfloat16"; None: the global one as it is.
    """
    if policy is None:
        yield
        return
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
