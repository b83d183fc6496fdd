"""Which network sees which frame of a clip, and running each backbone on its own frames only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from lstd.ops import schedule as schedule_ops

NAMES = ("large", "small")


class Choice:
    """The network of each frame: known when the graph is built, or a tensor.

    Args:
        networks: a NumPy int `[T]`, the same for all clips of the batch, or an int tensor `[B, T]`;
            0 large, 1 small.
    """

    def __init__(self, networks: np.ndarray | tf.Tensor) -> None:
        self.networks = networks
        self.known = isinstance(networks, np.ndarray)

    def static(self, frame: int) -> str | None:
        """Returns the name of the frame's network, None if only the graph will know."""
        return NAMES[int(self.networks[frame])] if self.known else None

    def is_large(self, frame: int) -> tf.Tensor:
        """Returns bool `[B]` (or `[]` when known): the large network sees this frame."""
        return tf.equal(self.networks[frame] if self.known else self.networks[:, frame], 0)

    def is_large_where(self, clip: tf.Tensor) -> tf.Tensor:
        """Returns bool `[B, T]` for a clip `[B, T, ...]`."""
        return tf.broadcast_to(tf.equal(self.networks, 0), tf.shape(clip)[:2])


def from_user(networks: Any, *, num_frames: int, available: Sequence[str]) -> Choice:
    """Returns the choice that a caller named.

    Args:
        networks: a name, a sequence of T names, or an int array `[B, T]`. None: "large".
        num_frames: T.
        available: the model's networks.

    Raises:
        ValueError: an unknown name or number, a network that the model has not, or another number
            of frames than T.
    """
    if networks is None:
        networks = "large"
    if isinstance(networks, str):
        networks = (networks,) * num_frames
    if isinstance(networks, (list, tuple)) and all(isinstance(name, str) for name in networks):
        choice = Choice(_numbers_of(networks, available))
    elif tf.is_tensor(networks) and tf.get_static_value(networks) is None:
        if len(available) == 1:
            raise ValueError("a model with one backbone takes networks=None or 'large'")
        choice = Choice(tf.cast(networks, tf.int32))
    else:
        choice = _from_array(np.asarray(networks), available)
    length = choice.networks.shape[-1]
    if length != num_frames:
        raise ValueError(f"networks names {length} frames, the clip has {num_frames}")
    return choice


def _numbers_of(names: Sequence[str], available: Sequence[str]) -> np.ndarray:
    for name in names:
        if name not in available:
            raise ValueError(f"unknown network {name!r}; this model has {', '.join(available)}")
    return np.array([NAMES.index(name) for name in names], dtype=np.int32)


def _from_array(numbers: np.ndarray, available: Sequence[str]) -> Choice:
    if numbers.dtype.kind not in "iu" or numbers.ndim != 2 or not numbers.shape[0]:
        raise ValueError(
            "networks must be a name, T names, or an int array [B, T], got an array of "
            f"{numbers.dtype} with shape {list(numbers.shape)}"
        )
    if numbers.size and (numbers.min() < 0 or numbers.max() >= len(available)):
        raise ValueError(
            f"networks holds {numbers.min()} to {numbers.max()}; this model knows 0 to "
            f"{len(available) - 1}"
        )
    if (numbers == numbers[:1]).all():
        return Choice(numbers[0].astype(np.int32))
    return Choice(tf.constant(numbers, tf.int32))


def from_schedule(
    schedule: str,
    numbers: Any,
    *,
    batch_size: Any,
    large_probability: float,
    uniform: Callable[[tf.Tensor], tf.Tensor],
) -> Choice:
    """Returns what a schedule chooses for frames of these numbers, int `[B or 1, T]`.

    Args:
        schedule: see `lstd.ops.schedule`.
        numbers: NumPy where they are known when the graph is built.
        batch_size: B, where `numbers` stands for all clips alike but the choice is random.
        large_probability: of a random choice.
        uniform: what it is drawn with; takes a shape.
    """
    if isinstance(numbers, np.ndarray) and schedule.startswith("RANDOM") and batch_size is not None:
        numbers = tf.tile(tf.constant(numbers, tf.int32), [batch_size, 1])
    networks = schedule_ops.networks_of(
        schedule, numbers, large_probability=large_probability, uniform=uniform
    )
    if isinstance(networks, np.ndarray):
        same = (networks == networks[:1]).all()
        return Choice(networks[0] if same else tf.constant(networks, tf.int32))
    if schedule in ("LARGE", "SMALL"):  # The same for every number.
        return Choice(np.full(numbers.shape[-1], NAMES.index(schedule.lower()), np.int32))
    return Choice(networks)


def frame_numbers(first_frame: Any, counted: tf.Variable | None, *, num_frames: int) -> Any:
    """Returns int `[B or 1, T]`: NumPy where the numbers are known when the graph is built.

    Args:
        first_frame: an int, or int `[B]`.
        counted: int32 `[B]`, added to it; None: 0.
        num_frames: T.
    """
    steps = np.arange(num_frames)[np.newaxis]
    if not isinstance(first_frame, (tf.Tensor, tf.Variable)):
        first_frame = np.reshape(first_frame, [-1, 1])
        if counted is None:
            return first_frame + steps
    start = tf.reshape(tf.cast(first_frame, tf.int32), [-1, 1])
    if counted is not None:
        start += counted[:, tf.newaxis]
    return start + tf.constant(steps, tf.int32)


def scheduled(
    run: Callable[[tf.Tensor, str], tf.Tensor],
    images: tf.Tensor,
    choice: Choice,
    *,
    num_frames: int,
    result_shape: tuple[int, ...],
    dtype: tf.DType,
) -> tf.Tensor:
    """Returns `run(image, its network)` for all frames, one batch for each network.

    Args:
        run: takes images `[n, H, W, C]` and a network's name, returns `[n, *result_shape]`.
        images: `[T * B, H, W, C]`, as `fold` gives them.
        choice: the frames' networks. A network that no frame asks for does not run.
        num_frames: T.
        result_shape: of `run`, for one image.
        dtype: of `run`.

    Returns:
        `[B, T, *result_shape]`.
    """
    if choice.known:
        return _scheduled_known(run, images, choice.networks, num_frames=num_frames)
    flat = fold(choice.networks)
    rows, results = [], []
    for number, name in enumerate(NAMES):
        mine = tf.where(tf.equal(flat, number))[:, 0]
        rows.append(tf.cast(mine, tf.int32))
        results.append(
            tf.cond(
                tf.size(mine) > 0,
                lambda mine=mine, name=name: run(tf.gather(images, mine), name),
                lambda: tf.zeros([0, *result_shape], dtype),
            )
        )
    together = tf.dynamic_stitch(rows, results)
    return unfold(tf.ensure_shape(together, [None, *result_shape]), num_frames)


def _scheduled_known(
    run: Callable[[tf.Tensor, str], tf.Tensor],
    images: tf.Tensor,
    networks: np.ndarray,
    *,
    num_frames: int,
) -> tf.Tensor:
    if (networks == networks[0]).all():
        return unfold(run(images, NAMES[int(networks[0])]), num_frames)
    clip = unfold(images, num_frames)
    order, parts = [], []
    for number, name in enumerate(NAMES):
        mine = np.flatnonzero(networks == number)
        order.append(mine)
        parts.append(unfold(run(fold(tf.gather(clip, mine, axis=1)), name), len(mine)))
    return tf.gather(tf.concat(parts, axis=1), np.argsort(np.concatenate(order)), axis=1)


def fold(clip: tf.Tensor) -> tf.Tensor:
    """Returns `[B, T, ...]` as `[T * B, ...]`, time-major.

    Batch norm in training sums over this axis, and batch norm without the fused kernel is sensitive
    to the order: time-major, as in the original, gives its numbers to the last bit.
    """
    rest = clip.shape[2:]
    if clip.shape[1] == 1:
        return clip[:, 0]
    return tf.reshape(_swap(clip), [-1, *rest])


def unfold(images: tf.Tensor, num_frames: int) -> tf.Tensor:
    """Returns `[T * B, ...]`, time-major, as `[B, T, ...]`, T = `num_frames`."""
    if num_frames == 1:
        return images[:, tf.newaxis]
    return _swap(tf.reshape(images, [num_frames, -1, *images.shape[1:]]))


def _swap(clip: tf.Tensor) -> tf.Tensor:
    """Returns the tensor with its first two axes exchanged."""
    return tf.transpose(clip, [1, 0, *range(2, clip.shape.rank)])


def select(condition: tf.Tensor, if_true: tf.Tensor, if_false: tf.Tensor) -> tf.Tensor:
    """Returns `if_true` where the bool `[...]` holds, else `if_false`, both `[..., rest]`."""
    missing = if_true.shape.rank - condition.shape.rank
    shaped = tf.reshape(condition, tf.concat([tf.shape(condition), [1] * missing], axis=0))
    return tf.where(shaped, if_true, if_false)
