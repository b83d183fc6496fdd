"""Which network sees which frame of a clip, and running each backbone on its own frames only."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.fit import replicas
from lstd.ops import schedule as schedule_ops

NAMES = ("large", "small")


class Choice(NamedTuple):
    """The network of each frame: 0 large, 1 small.

    Attributes:
        networks: NumPy int `[T]`, the same for all clips of the batch, or an int tensor `[B, T]`.
        large_frames: how many frames of each clip of an int tensor are large, where that is known.
    """

    networks: np.ndarray | tf.Tensor
    large_frames: int | None = None

    @property
    def known(self) -> bool:
        """Whether the networks are known when the graph is built."""
        return isinstance(self.networks, np.ndarray)

    def static(self, frame: int) -> str | None:
        """Returns the name of the frame's network, None if only the graph will know."""
        return NAMES[int(self.networks[frame])] if self.known else None


def from_user(networks: Any, *, clip: tf.Tensor, available: Sequence[str]) -> Choice:
    """Returns the choice that a caller named, for a clip `[B, T, ...]`, T statically known.

    That is a name, a sequence of T names, or an int array `[B or 1, T]`; None: "large".

    Raises:
        ValueError: an unknown name or number, a network that the model lacks, or numbers of clips
            or frames that are not B and T.
        tf.errors.InvalidArgumentError: the same, where only the running graph can know.
    """
    if networks is None:
        networks = "large"
    if isinstance(networks, str):
        networks = (networks,) * clip.shape[1]
    if isinstance(networks, (list, tuple)) and all(isinstance(name, str) for name in networks):
        networks = np.array([[number_of(name, available) for name in networks]], dtype=np.int32)
    known = tf.get_static_value(networks) if tf.is_tensor(networks) else np.asarray(networks)
    numbers = tf.convert_to_tensor(networks) if known is None else known
    dtype = tf.as_dtype(numbers.dtype)
    if not dtype.is_integer or len(tf.TensorShape(numbers.shape).dims or ()) != 2:
        raise ValueError(
            "networks must be a name, T names, or an int array [B, T], got an array of "
            f"{dtype.name} with shape {numbers.shape}"
        )
    _check_sizes("networks", numbers.shape, clip)
    last = len(available) - 1
    if known is not None:
        if known.size and (known.min() < 0 or known.max() > last):
            raise ValueError(
                f"networks holds {known.min()} to {known.max()}; this model knows 0 to {last}"
            )
        if (known == known[:1]).all():
            return Choice(known[0].astype(np.int32))
        return Choice(_for_all_clips("networks", tf.constant(known, tf.int32), clip))
    if not last:
        raise ValueError("a model with one backbone takes networks=None or 'large'")
    numbers = tf.cast(numbers, tf.int32)
    sound = tf.debugging.Assert(
        tf.reduce_all((numbers >= 0) & (numbers <= last)),
        [f"networks: this model knows 0 to {last}, got", numbers],
    )
    with tf.control_dependencies([] if sound is None else [sound]):
        numbers = tf.ensure_shape(numbers, [None, clip.shape[1]])
    return Choice(_for_all_clips("networks", numbers, clip))


def number_of(network: Any, available: Sequence[str]) -> int:
    """Returns the number of a network.

    Raises:
        ValueError: the model has no such network; says which it has.
    """
    if not isinstance(network, str) or network not in available:
        raise ValueError(f"unknown network {network!r}; this model has {', '.join(available)}")
    return NAMES.index(network)


def _check_sizes(what: str, shape: Any, clip: tf.Tensor) -> None:
    """Raises unless numbers of this shape can be those of the clip; None fits everything."""
    rows, frames = tf.TensorShape(shape).as_list()
    clips, num_frames = clip.shape[:2]
    if frames not in (num_frames, None):
        raise ValueError(f"{what} are for {frames} frames, the clip has {num_frames}")
    if (rows not in (1, clips, None) and clips is not None) or rows == 0:
        raise ValueError(
            f"{what} are for {rows} clips, the batch has {clips}: give one row for each, or one "
            "for all of them"
        )


def _for_all_clips(what: str, numbers: tf.Tensor, clip: tf.Tensor) -> tf.Tensor:
    """Returns int `[B, T]` from int `[B or 1, T]`."""
    if numbers.shape[0] is not None and numbers.shape[0] == clip.shape[0]:
        return numbers
    rows, clips = tf.shape(numbers)[0], tf.shape(clip)[0]
    fits = tf.debugging.Assert(
        tf.equal(rows, 1) | tf.equal(rows, clips),
        [f"{what} need one row for each clip, or one for all; rows and clips are", rows, clips],
    )
    with tf.control_dependencies([] if fits is None else [fits]):
        return tf.broadcast_to(numbers, [clips, clip.shape[1]])


def from_schedule(
    schedule: str,
    numbers: Any,
    *,
    clip: tf.Tensor,
    large_probability: float,
    uniform: Callable[[tf.Tensor], tf.Tensor],
    large_frames: int = 0,
    large_first: bool = False,
) -> Choice:
    """Returns what a schedule chooses for frames of these numbers, int `[B or 1, T]`.

    Args:
        schedule: see `lstd.ops.schedule`.
        numbers: NumPy where they are known when the graph is built; one row is for all clips.
        clip: `[B, T, ...]`, which they are for; T statically known.
        large_probability: chance of the large network in a random choice; each clip has its own.
        uniform: draws the random numbers; takes a shape.
        large_frames: how many large frames a random choice has in each clip; 0: any number.
        large_first: a random choice is large for frames of number 0.

    Raises:
        ValueError: the schedule is unknown; a clip has no more frames than `large_frames`; numbers
            of clips or frames that are not B and T.
        tf.errors.InvalidArgumentError: the same, where only the running graph can know.
    """
    _check_sizes("frame numbers", numbers.shape, clip)
    if tf.is_tensor(numbers) or schedule.startswith("RANDOM"):
        numbers = _for_all_clips("frame numbers", tf.cast(numbers, tf.int32), clip)

    def draw(shape: tf.Tensor) -> tf.Tensor:
        drawn = uniform(shape)
        return tf.where(tf.equal(numbers, 0), 0.0, drawn) if large_first else drawn

    if large_frames and schedule.startswith("RANDOM"):
        num_frames = numbers.shape[-1]
        if not 0 < large_frames < num_frames:
            raise ValueError(
                f"large_frames is {large_frames}, but the clip has {num_frames} frames: from 1 to "
                f"{num_frames - 1} can be large, at least one is left to the small network"
            )
        # All sets of so many frames are alike probable.
        drawn = tf.ensure_shape(draw(tf.shape(numbers)), numbers.shape)
        ranks = tf.argsort(tf.argsort(drawn, axis=-1), axis=-1)
        return Choice(tf.where(ranks < large_frames, 0, 1), large_frames=large_frames)
    networks = schedule_ops.networks_of(
        schedule, numbers, large_probability=large_probability, uniform=draw
    )
    if isinstance(networks, np.ndarray):
        same = (networks == networks[:1]).all()
        return Choice(networks[0] if same else tf.constant(networks, tf.int32))
    if schedule in ("LARGE", "SMALL"):  # The same for every number.
        return Choice(np.full(numbers.shape[-1], NAMES.index(schedule.lower()), np.int32))
    return Choice(networks)


def scheduled(
    run: Callable[[tf.Tensor, str], tuple[tf.Tensor, ...]],
    images: tf.Tensor,
    choice: Choice,
    *,
    num_frames: int,
    result_shapes: Sequence[tuple[int, ...]],
    dtype: tf.DType,
) -> tuple[tf.Tensor, ...]:
    """Returns `run(image, its network)` for all frames, one batch for each network.

    Args:
        run: takes images `[n, H, W, C]` and a network's name, returns one or more tensors
            `[n, *result_shape]`.
        images: `[T * B, H, W, C]`, as `fold` gives them.
        choice: the frames' networks. A network that no frame asks for does not run.
        num_frames: T.
        result_shapes: what `run` returns for one image.
        dtype: what `run` returns.

    Returns:
        `[B, T, *result_shape]` each.
    """
    if choice.known and (choice.networks == choice.networks[0]).all():
        results = run(images, NAMES[int(choice.networks[0])])
        return tuple(unfold(result, num_frames) for result in results)
    if choice.known:
        clip, order = unfold(images, num_frames), np.argsort(choice.networks, kind="stable")
        parts: list[Sequence[tf.Tensor]] = []
        for number, name in enumerate(NAMES):
            mine = np.flatnonzero(choice.networks == number)
            results = run(fold(tf.gather(clip, mine, axis=1)), name)
            parts.append(tuple(unfold(result, len(mine)) for result in results))
        return tuple(
            tf.gather(tf.concat(shares, axis=1), np.argsort(order), axis=1)
            for shares in zip(*parts, strict=True)
        )
    flat = fold(choice.networks)
    if choice.large_frames is not None:  # So all shapes are static.
        total = images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
        large = total * choice.large_frames // num_frames
        order = tf.argsort(flat, stable=True)  # The large ones first, each in the order of `fold`.
        shares = zip(tf.split(order, [large, total - large]), NAMES, strict=True)
        parts = [run(tf.gather(images, mine), name) for mine, name in shares]
        # Not a gather by the inverse: its gradient would be sparse, and taken apart by its values.
        joined = [tf.concat(shares, axis=0) for shares in zip(*parts, strict=True)]
        return tuple(
            unfold(tf.scatter_nd(order[:, tf.newaxis], each, tf.shape(each)), num_frames)
            for each in joined
        )
    rows: list[tf.Tensor] = []
    parts = []
    for number, name in enumerate(NAMES):
        mine = tf.where(tf.equal(flat, number))[:, 0]
        rows.append(tf.cast(mine, tf.int32))
        parts.append(
            tf.cond(
                tf.size(mine) > 0,
                lambda mine=mine, name=name: run(tf.gather(images, mine), name),
                lambda: tuple(tf.zeros([0, *shape], dtype) for shape in result_shapes),
            )
        )
    return tuple(
        unfold(tf.ensure_shape(tf.dynamic_stitch(rows, shares), [None, *shape]), num_frames)
        for shares, shape in zip(zip(*parts, strict=True), result_shapes, strict=True)
    )


def fold(clip: tf.Tensor) -> tf.Tensor:
    """Returns `[B, T, ...]` as `[T * B, ...]`, time-major.

    Batch norm in training sums over this axis, and batch norm without the fused kernel is sensitive
    to the order: time-major, as in the original, gives its numbers to the last bit.
    """
    if clip.shape[1] == 1:
        return clip[:, 0]
    return tf.reshape(_swap(clip), [-1, *_sizes(clip)[2:]])


def unfold(images: tf.Tensor, num_frames: int) -> tf.Tensor:
    """Returns `[T * B, ...]`, time-major, as `[B, T, ...]`, T = `num_frames`."""
    if num_frames == 1:
        return images[:, tf.newaxis]
    return _swap(tf.reshape(images, [num_frames, -1, *_sizes(images)[1:]]))


def _sizes(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    sizes = tf.shape(tensor)
    return [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def _swap(clip: tf.Tensor) -> tf.Tensor:
    return tf.transpose(clip, [1, 0, *range(2, clip.shape.rank)])


def select(condition: tf.Tensor, if_true: tf.Tensor, if_false: tf.Tensor) -> tf.Tensor:
    """Returns `if_true` where the bool `[...]` holds, else `if_false`, both `[..., rest]`."""
    missing = if_true.shape.rank - condition.shape.rank
    shaped = tf.reshape(condition, tf.concat([tf.shape(condition), [1] * missing], axis=0))
    return tf.where(shaped, if_true, if_false)


class Coins(tf.Module):
    """A generator of random numbers that a checkpoint can save, seeded by the global seed.

    Like `tf.random.Generator`, but each replica draws the numbers of all and takes its rows: so the
    schedule of a clip does not depend on how many replicas share the batch, and the state stays the
    same everywhere.
    """

    def __init__(self) -> None:
        super().__init__(name="coins")
        with tf.init_scope():
            seed = tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)
            self._state_var = tf.Variable(
                tf.random.create_rng_state(seed, "philox"),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                name="state",
            )

    def uniform(self, shape: tf.Tensor) -> tf.Tensor:
        """Returns float32 in [0, 1) of a shape whose first axis is that of the clips."""
        shape = tf.convert_to_tensor(shape)
        everyone = tf.concat([replicas.count() * shape[:1], shape[1:]], axis=0)
        before = tf.raw_ops.RngReadAndSkip(
            resource=self._state_var.handle,
            alg=tf.random.Algorithm.PHILOX.value,
            delta=tf.cast(tf.reduce_prod(everyone), tf.uint64),
        )
        drawn = tf.raw_ops.StatelessRandomUniformV2(
            shape=everyone,
            counter=tf.bitcast(before[:2], tf.uint64),
            key=tf.bitcast(before[2:3], tf.uint64),
            alg=tf.random.Algorithm.PHILOX.value,
            dtype=tf.float32,
        )
        return tf.reshape(replicas.own_rows(drawn), shape)
