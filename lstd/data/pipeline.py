"""From files to a `tf.data.Dataset` of `(ClipBatch, GroundTruth)`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import tensorflow as tf

from lstd.base import label_map
from lstd.config.augmentation_config import FrameDropping, TimeReversal
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import augment, batches, checked_footage, decode, lanes, open_footage, problems
from lstd.data.batches import FrameSize
from lstd.data.clip import Clip, clip_signature
from lstd.data.dealing import Shuffle
from lstd.data.footage import Footage
from lstd.data.problems import Report
from lstd.data.rows import DEFAULT_ANSWERS, Cleaner
from lstd.data.walk import Dropping, Walk

_LOG = logging.getLogger(__name__)


class Split(NamedTuple):
    """A split of the data that has been opened.

    Attributes:
        dataset: see `make_dataset`.
        videos: in order; `known_frames` is their length as far as it is known yet, `num_frames` may
            have to read for it.
    """

    dataset: tf.data.Dataset
    videos: tuple[Footage, ...]


def make_dataset(
    data: DataConfig,
    split: Literal["train", "evaluation"],
    *,
    seed: int = 0,
    num_classes: int | None = None,
    with_tracks: bool | None = None,
    labels: Sequence[str] = (),
    report: Report | None = None,
    skip_batches: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns the clips of a split, `(ClipBatch, GroundTruth)` with static B and T.

    **train** never ends. Each of the B lanes walks through a video of its own; the clip of lane b
    is continued by lane b of the next batch. A *run* is what the network sees as one video: a pass
    over a video is one run, or several with `reset_probability`. At a run's first frame `starts` is
    True; `frame_index` counts its frames from 0; the frame stride and the augmentation are drawn
    there and hold until it ends, so that a carried state fits. See `lstd.data.dealing` for how
    videos are dealt. With `clips: independent` every clip is a run of its own. Everything is a
    function of `seed`, and begins anew with each iterator; `skip_batches` begins later, which
    continues a training that was interrupted, batch for batch.

    **evaluation** shows every frame once, in order, with a stride of 1, then ends. `frame_index` is
    the frame's number in its video. It is -1 for padding, which is not to be evaluated: the last
    frame of a video repeated to fill a clip, and lanes without a video left.

    Frames are uint8 where they come from the file as they are, float32 in [0, 255] where they were
    resized. Boxes are relative to the frame; metrics in pixels use the size that the pipeline
    gives. Rows without an object (class -1) have zeros for boxes and come last. M is `max_boxes`,
    or what the batch needs where that is 0.

    Args:
        data: see `lstd.DatasetConfig`. The evaluation split is never shuffled, whatever
            `shuffle_buffer` says.
        split: train or evaluation.
        seed: of order, strides and augmentation; not negative.
        num_classes: classes in the files must be 1 to this number; None: any.
        with_tracks: whether `track_ids` is a tensor, or None; None: whether the first video
            has any.
        labels: class names in class order, by which data sets that name their classes are read;
            empty: those of `data.label_map_path`, or else of the data set itself.
        report: counts what was repaired or left out, while the dataset is iterated over; the first
            case of each kind is logged in any event.
        skip_batches: so many batches of training are left out at the beginning, without reading
            their frames; those that follow are the same.
        input_context: of one of several workers that train together: it gets its share of each
            batch, and reads the frames of no other. Worker i of n has lanes i * B / n to
            (i + 1) * B / n. None: whole batches.

    Raises:
        ValueError: no input path, an empty, damaged or foreign file (named), videos of several
            sizes without height and width, a class out of range, settings that evaluation cannot
            have, an unknown problem or answer.
        FileNotFoundError: a pattern matches no file.

    What goes wrong with a later frame is raised by the iterator, as
    `tf.errors.InvalidArgumentError`, with the same message.
    """
    return open_split(
        data,
        split,
        seed=seed,
        num_classes=num_classes,
        with_tracks=with_tracks,
        labels=labels,
        report=report,
        skip_batches=skip_batches,
        input_context=input_context,
    ).dataset


def open_split(
    data: DataConfig,
    split: Literal["train", "evaluation"],
    *,
    seed: int = 0,
    num_classes: int | None = None,
    with_tracks: bool | None = None,
    labels: Sequence[str] = (),
    report: Report | None = None,
    skip_batches: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> Split:
    """Returns the dataset of a split, and its videos.

    Arguments and errors are those of `make_dataset`.
    """
    if split not in ("train", "evaluation"):
        raise ValueError(f"split must be 'train' or 'evaluation', got {split!r}")
    config: DatasetConfig = getattr(data, split)
    where = f"data.{split}"
    if split == "evaluation":
        _refuse_training_settings(config)
        if skip_batches:
            raise ValueError(f"skip_batches is for training, got {skip_batches} for evaluation")
        if input_context is not None:
            raise ValueError("input_context is for training; evaluation is not divided")
    own = _own_lanes(config.batch_size, input_context, where=where)
    cleaner = _cleaner(config, num_classes, report, where=where)
    names = tuple(labels) or _labels_of(data.label_map_path)
    videos = checked_footage.usable(
        open_footage.open_all(config, cleaner, names, where=where),
        policy=cleaner.policy,
        report=cleaner.report,
    )
    videos = _not_empty(videos, where=where)
    size = _frame_size(config, videos, where=where)
    steps = augment.steps_of(config.augmentation, height=size.height, width=size.width)
    if with_tracks is None:
        with_tracks = videos[0].has_tracks
    make = _generator(config, videos, split=split, seed=seed, skip_batches=skip_batches, own=own)
    clips = _reported(make, cleaner.report, where)
    dataset = tf.data.Dataset.from_generator(
        clips, output_signature=clip_signature(config.unroll_length)
    )
    dataset = dataset.map(
        functools.partial(
            batches.decode_clip,
            steps=steps,
            size=size,
            max_boxes=config.max_boxes,
            scale=cleaner.policy["frame_size"] == "repair",
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    dataset = batches.batch_lanes(dataset, len(own))
    dataset = dataset.map(functools.partial(batches.as_types, with_tracks=with_tracks))
    return Split(dataset.prefetch(tf.data.AUTOTUNE), tuple(videos))


def _own_lanes(lanes: int, context: tf.distribute.InputContext | None, *, where: str) -> range:
    """Returns the lanes of one of the workers."""
    if context is None:
        return range(lanes)
    workers, number = context.num_input_pipelines, context.input_pipeline_id
    if lanes % workers:
        raise ValueError(
            f"{where}.batch_size {lanes} cannot be divided among {workers} workers: it counts the "
            f"clips of all of them together, so take a multiple of {workers}"
        )
    each = lanes // workers
    return range(number * each, (number + 1) * each)


def _refuse_training_settings(config: DatasetConfig) -> None:
    """Raises where a setting would silently do nothing."""
    for name, neutral in (
        ("augmentation", ()),
        ("reset_probability", 0.0),
        ("min_frame_stride", 1),
        ("max_frame_stride", 1),
        ("clips", "carried"),
        ("random_start", True),
    ):
        if getattr(config, name) != neutral:
            raise ValueError(
                f"data.evaluation.{name} is {getattr(config, name)!r}, but evaluation shows "
                f"every frame once, as it is: leave it at {neutral!r}"
            )


def _cleaner(
    config: DatasetConfig, num_classes: int | None, report: Report | None, *, where: str
) -> Cleaner:
    try:
        answers = problems.policy({**DEFAULT_ANSWERS, **config.problems})
    except ValueError as error:
        raise ValueError(f"{where}.problems: {error}") from None
    return Cleaner(max_boxes=config.max_boxes, labels=num_classes, answers=answers, report=report)


def _labels_of(path: str) -> tuple[str, ...]:
    """Returns the names of a label map, () without one; warns where there is no such file.

    A `.config` of the original names a file of the machine it was written on.
    """
    if path and not tf.io.gfile.exists(path):
        _LOG.warning("data.label_map_path: there is no file %s; it names no classes", path)
        return ()
    return label_map.load(path) if path else ()


def _not_empty(videos: list[Footage], *, where: str) -> list[Footage]:
    """Returns the videos without those at the beginning of which no frame can be shown.

    The others are looked at when their turn comes.
    """
    while videos and not videos[0].num_frames:
        videos = videos[1:]
    if not videos:
        raise ValueError(f"{where}.input_path: there is no video in these files")
    return videos


def _frame_size(config: DatasetConfig, videos: Sequence[Footage], *, where: str) -> FrameSize:
    """Returns the frames' size, by what the media tell; decodes the first frame."""
    reel = videos[0].open()
    row = reel.row(0)
    first = decode.pixels(*decode.packed(row.image, where=row.where), where=row.where)
    reel.close()
    seen: dict[tuple[int, int], str] = {(first.shape[0], first.shape[1]): videos[0].name}
    known = True
    for video in videos:
        for size in video.sizes:
            if all(size):
                seen.setdefault(size, video.name)
            else:
                known = False
    if not config.height and len(seen) > 1:
        (one, name), (other, other_name), *_ = seen.items()
        raise ValueError(
            f"{where}: videos differ in size, {name!r} is {one[0]} x {one[1]} pixels, "
            f"{other_name!r} is {other[0]} x {other[1]}; set {where}.height and {where}.width"
        )
    stored = next(iter(seen))
    if config.height and (len(seen) > 1 or not known):
        return FrameSize(config.height, config.width, 0, 0)
    return FrameSize(config.height or stored[0], config.width or stored[1], *stored)


def _generator(
    config: DatasetConfig,
    videos: Sequence[Footage],
    *,
    split: str,
    seed: int,
    skip_batches: int,
    own: range,
) -> Callable[[], Iterator[Clip]]:
    """Returns what makes a fresh iterator over the clips of all lanes, in turn."""

    def clips() -> Iterator[Clip]:
        if split == "evaluation":
            return lanes.evaluation_clips(
                videos, lanes=config.batch_size, unroll_length=config.unroll_length
            )
        return lanes.training_clips(
            videos,
            lanes=config.batch_size,
            walk=_walk(config),
            shuffle=Shuffle(config.shuffle, config.shuffle_buffer, config.clip_buffer),
            seed=seed,
            skip=skip_batches * config.batch_size,
            own=own,
        )

    return clips


def _reported(
    make: Callable[[], Iterator[Clip]], report: Report, where: str
) -> Callable[[], Iterator[Clip]]:
    """Returns the generator that says when it ends what was repaired or left out since it began."""

    def clips() -> Iterator[Clip]:
        before = dict(report.counts)
        try:
            yield from make()
        finally:
            if report.counts != before:
                _LOG.warning("%s, all in all:\n%s", where, "\n".join(report.lines()))

    return clips


def _walk(config: DatasetConfig) -> Walk:
    steps = config.augmentation
    reversal = [step.probability for step in steps if isinstance(step, TimeReversal)]
    dropping = [
        Dropping(step.probability, step.rate, step.max_consecutive)
        for step in steps
        if isinstance(step, FrameDropping)
    ]
    return Walk(
        unroll_length=config.unroll_length,
        min_frame_stride=config.min_frame_stride,
        max_frame_stride=config.max_frame_stride,
        reset_probability=config.reset_probability,
        random_start=config.random_start,
        independent=config.clips == "independent",
        overlap=config.overlap,
        reversal=reversal[0] if reversal else 0.0,
        dropping=dropping[0] if dropping else None,
    )
