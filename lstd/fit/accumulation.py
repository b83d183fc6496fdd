"""Several batches for one update: stacked by the dataset, taken one after the other by the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from lstd.base.types import ClipBatch, GroundTruth

_MINUS_ONE = ("classes", "track_ids")  # what rows of padding hold; all else is 0


def stacked(dataset: Any, count: int) -> tf.data.Dataset:
    """Returns a dataset whose elements are `count` batches each, `[count, B, T, ...]`.

    True objects are padded to the largest number of rows among them. Batches that are left over at
    the end are dropped.

    Args:
        dataset: of `(ClipBatch, GroundTruth)`, B and T statically known.
        count: above 0.

    Raises:
        ValueError: it is another kind of dataset, or its batches may differ in size.
    """
    spec = getattr(dataset, "element_spec", None)
    if not (
        isinstance(spec, tuple)
        and len(spec) == 2
        and isinstance(spec[0], ClipBatch)
        and isinstance(spec[1], GroundTruth)
    ):
        raise ValueError(
            f"accumulate_steps {count} needs a tf.data.Dataset of (ClipBatch, GroundTruth), got "
            f"{type(dataset).__name__}"
        )
    if None in spec[0].frames.shape[:2].as_list():
        raise ValueError(
            f"accumulate_steps {count} needs batches of one known size, got frames of shape "
            f"{spec[0].frames.shape}: batch with drop_remainder=True"
        )
    flat = dataset.map(_as_dict)
    dtypes = {name: part.dtype for name, part in flat.element_spec.items()}
    return flat.padded_batch(
        count,
        padded_shapes={name: part.shape for name, part in flat.element_spec.items()},
        padding_values={
            name: tf.constant(-1, dtype) if name in _MINUS_ONE else None
            for name, dtype in dtypes.items()
        },
        drop_remainder=True,
    ).map(_as_types)


def _as_dict(clip: ClipBatch, truth: GroundTruth) -> dict[str, tf.Tensor]:
    fields = {**clip._asdict(), **truth._asdict()}
    return {name: value for name, value in fields.items() if value is not None}


def _as_types(fields: dict[str, tf.Tensor]) -> tuple[ClipBatch, GroundTruth]:
    return (
        ClipBatch(*(fields.get(name) for name in ClipBatch._fields)),
        GroundTruth(*(fields.get(name) for name in GroundTruth._fields)),
    )


def summed(
    of_batch: Callable[[Any], tuple[Sequence[tf.Tensor], Sequence[tf.Tensor | None]]],
    batches: Any,
    *,
    count: int,
    num_sums: int,
    variables: Sequence[tf.Variable],
) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
    """Returns the sums and gradients of several batches, added up one after the other.

    Args:
        of_batch: takes a batch; returns float32 scalars, and a gradient for each variable, or None
            where the batch has none.
        batches: tensors `[count, ...]` in any structure.
        count: of the batches.
        num_sums: how many scalars.
        variables: of the gradients.

    Returns:
        Float32 scalars, and float32 gradients; None for a variable that no batch leads to.
    """
    has_gradient = [False] * len(variables)

    def add(
        number: tf.Tensor, sums: list[tf.Tensor], totals: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        batch = tf.nest.map_structure(lambda part: None if part is None else part[number], batches)
        values, gradients = of_batch(batch)
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                has_gradient[index] = True
                totals[index] += tf.cast(gradient, tf.float32)
        return number + 1, [a + b for a, b in zip(sums, values, strict=True)], totals

    _, sums, totals = tf.while_loop(
        lambda number, *_: number < count,
        add,
        (
            tf.constant(0),
            [tf.constant(0.0)] * num_sums,
            [tf.zeros(variable.shape) for variable in variables],
        ),
        parallel_iterations=1,
        maximum_iterations=count,
    )
    return sums, [
        total if known else None for total, known in zip(totals, has_gradient, strict=True)
    ]
