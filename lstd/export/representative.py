"""Frames of the user's own data, as quantisation and its report want them."""

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base.types import ClipBatch, GroundTruth
from lstd.config import schedule_names
from lstd.export.compare import Step, pattern_image
from lstd.export.form import carried
from lstd.export.module import ExportModule
from lstd.ops import images as image_ops
from lstd.ops import schedule as schedule_ops

FORMS = (
    "a dataset as make_dataset gives it, or clips [T, H, W, C], or frames [H, W, C] of one video"
)
_WHERE = "representative_data"
_SEED = 0
"""Of the coins of a random schedule: what is compared has to see the same networks."""


class Frame(NamedTuple):
    """A frame of a stream.

    Attributes:
        image: uint8 or float32 in [0, 255], `[H, W, C]`.
        stream: whose state the frame sees; streams may come in turns.
        starts: the state is zero before it.
        number: which frame of its video it is; the schedule counts this.
        truth: `boxes` in pixels, `classes`, and where known `track_ids` and `is_crowd`, without
            padding; None: not known.
    """

    image: np.ndarray
    stream: int
    starts: bool
    number: int
    truth: dict[str, np.ndarray] | None


def read(data: Any, *, limit: int) -> list[Frame]:
    """Returns the first frames of representative data, see `FORMS`, in order.

    A bare clip starts with a zero state; bare frames are one video; the clips of a dataset say
    themselves where a video starts. The data may be endless.

    Raises:
        ValueError: no frames, or frames that no model takes; the message says which one.
    """
    if isinstance(data, (str, bytes, os.PathLike, dict)) or not isinstance(data, Iterable):
        raise ValueError(f"{_WHERE} must be {FORMS}, got {type(data).__name__}")
    found: list[Frame] = []
    for frame in itertools.islice(_frames(data), limit):
        _check(frame.image, where=f"frame {len(found)} of {_WHERE}")
        found.append(frame)
    if not found:
        raise ValueError(f"{_WHERE} is empty; give {FORMS}")
    if all(frame.image.dtype == np.float32 and frame.image.max() <= 1 for frame in found):
        raise ValueError(
            f"all values of {_WHERE} lie in [0, 1]; expected raw frames from 0 to 255, which the "
            "model normalises by itself"
        )
    return found


def pattern(module: ExportModule, number: int) -> list[Frame]:
    """Returns frames of one stream with a test pattern, or whole clips of them."""
    length = module.form.unroll_length
    return [
        Frame(pattern_image(place, module.image_shape)[0], 0, place == 0, place, None)
        for place in range(-(-number // length) * length)
    ]


def whole_clips(frames: list[Frame], length: int) -> list[Frame]:
    """Returns the frames that make clips of T frames, each one's side by side.

    What is left at the end of a video is too short for another one; a ValueError if all is.
    """
    begun: dict[int, list[Frame]] = {}
    found: list[Frame] = []
    longest = 0
    for frame in frames:
        clip = begun.setdefault(frame.stream, [])
        if frame.starts:
            clip.clear()
        clip.append(frame)
        longest = max(longest, len(clip))
        if len(clip) == length:
            found.extend(clip)
            clip.clear()
    if not found:
        raise ValueError(
            f"{_WHERE}: a clip has {length} frames, but no video has more than {longest} of the "
            f"{len(frames)} that are used; give longer ones, or more frames, or a shorter clip"
        )
    return found


def replay(
    module: ExportModule, frames: list[Frame], step: Step, *, schedule: str | None = None
) -> Iterator[tuple[str, dict[str, np.ndarray], tuple[Frame, ...], dict[str, np.ndarray]]]:
    """Yields each call: entry point, inputs, their frames, and outputs, the state carried.

    The small network alone sees every frame, and the model's large one writes the state, as in an
    app that has each in a file of its own.

    The frames may be of any number of streams. For a clip they come from `whole_clips`; its
    schedule is built in, and `schedule` has no effect.
    """
    states: dict[int, dict[str, np.ndarray]] = {}
    writer, form = module.writer(), module.form
    if schedule is None:
        schedule = module.schedule if writer is module else _writing(module.schedule)
    length = form.unroll_length
    calls = [tuple(frames[start : start + length]) for start in range(0, len(frames), length)]
    networks = _networks(writer, schedule, [call[0].number for call in calls])
    for call, network in zip(calls, networks, strict=True):
        stream = call[0].stream
        if call[0].starts or stream not in states:
            states[stream] = module.zero_state()
        images = np.concatenate([prepared(frame.image, module.image_shape) for frame in call])
        given = np.rint(images).astype(np.uint8) if form.input_type == "uint8" else images
        entry_point = network if network in module.entry_points else next(iter(module.entry_points))
        inputs = {form.image_input: given, **states[stream]}
        outputs = after = step(entry_point, **inputs)
        if network != entry_point:
            after = writer.raw_outputs(network, image=images[-1:], **states[stream])
        states[stream] = carried(after)
        yield entry_point, inputs, call, outputs


def samples(module: ExportModule, frames: list[Frame]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields what the converter is to see: entry point and inputs.

    The state is the one that the schedule leaves behind, or, where that never runs the large
    network, SKIP9: a range that was measured on zeros would fit no other state. Every entry point
    sees every frame with it: the large network would otherwise be measured on one frame in ten.
    """
    schedule = _writing(module.schedule)
    for _, inputs, *_ in replay(module, frames, module.raw_outputs, schedule=schedule):
        for entry_point in module.entry_points:
            yield entry_point, inputs


def prepared(image: np.ndarray, shape_hwc: tuple[int, int, int]) -> np.ndarray:
    """Returns an image as a model's entry points take it, float32 `[1, H, W, C]`."""
    height, width, channels = shape_hwc
    batch = image_ops.to_channels(tf.constant(image[np.newaxis]), channels)
    return image_ops.resize(batch, height, width).numpy()


def _writing(schedule: str) -> str:
    """Returns a schedule that writes the state: itself, unless it is SMALL."""
    return schedule_names.DEFAULT if schedule == "SMALL" else schedule


def _networks(module: ExportModule, schedule: str, numbers: list[int]) -> list[str]:
    names = list(module.entry_points)
    if len(names) == 1:
        return names * len(numbers)
    coin = np.random.default_rng(_SEED)
    chosen = schedule_ops.networks_of(
        schedule,
        np.array(numbers),
        uniform=lambda shape: tf.constant(coin.random(shape.numpy(), np.float32)),
    )
    return [("large", "small")[int(network)] for network in np.asarray(chosen)]


def _frames(data: Iterable[Any]) -> Iterator[Frame]:
    """Yields the frames of all elements, in order."""
    next_stream, loose = 0, 0
    for place, element in enumerate(data):
        batch, *truth = element if type(element) is tuple and element else (element,)
        if isinstance(batch, ClipBatch):
            known = truth and isinstance(truth[0], GroundTruth)
            yield from _of_batch(batch, truth[0] if known else None)
            continue
        try:
            images = np.asarray(element)
        except (ValueError, TypeError):
            images = np.empty(())
        if images.ndim not in (3, 4, 5):
            raise ValueError(
                f"element {place} of {_WHERE} is {type(element).__name__} of shape {images.shape}; "
                f"expected {FORMS}"
            )
        if images.ndim == 3:
            yield Frame(images, -1, loose == 0, loose, None)
            loose += 1
            continue
        for clip in images if images.ndim == 5 else images[np.newaxis]:
            for number, image in enumerate(clip):
                yield Frame(image, next_stream, number == 0, number, None)
            next_stream += 1


def _of_batch(clip: ClipBatch, truth: GroundTruth | None) -> Iterator[Frame]:
    """Yields the frames of a batch of clips, lane by lane, without padding."""
    images = np.asarray(clip.frames)
    starts, numbers = np.asarray(clip.starts), np.asarray(clip.frame_index)
    size = np.array(images.shape[2:4] * 2, np.float64)
    named = {} if truth is None else truth._asdict()
    known = {name: np.asarray(values) for name, values in named.items() if values is not None}
    for at in np.ndindex(*numbers.shape):
        if numbers[at] < 0:
            continue
        objects = None
        if known:
            rows = known["classes"][at] >= 0
            objects = {name: values[at][rows] for name, values in known.items()}
            objects["boxes"] = objects["boxes"] * size
        yield Frame(images[at], at[0], bool(starts[at]), int(numbers[at]), objects)


def _check(image: np.ndarray, *, where: str) -> None:
    has_range = image.size and image.dtype == np.float32
    low, high = (image.min(), image.max()) if has_range else (0, 0)
    for wrong, sentence in (
        (
            image.dtype not in (np.uint8, np.float32),
            f"must be uint8 or float32 in [0, 255], got {image.dtype}",
        ),
        (
            image.shape[-1] not in (1, 3),
            f"must have 1 (grey) or 3 (RGB) channels on the last axis, got shape {image.shape}",
        ),
        (image.size == 0, f"has no pixels, its shape is {image.shape}"),
        (
            not (low >= 0 and high <= 255),
            f"must hold values from 0 to 255, got {low:g} to {high:g}; the model normalises by "
            "itself",
        ),
    ):
        if wrong:
            raise ValueError(f"{where} {sentence}")
