"""From files to a `tf.data.Dataset` of `(ClipBatch, GroundTruth)`."""

import functools
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from lstd.base import label_map
from lstd.base.types import ClipBatch, GroundTruth
from lstd.config.data_config import DataConfig, DatasetConfig
from lstd.data import augment, decode, open_videos, problems
from lstd.data.checked_video import CheckedVideo
from lstd.data.clip_streams import Clip, evaluation_clips, training_clips
from lstd.data.problems import Checks, Report

_LOG = logging.getLogger(__name__)

_DEFAULT_ANSWERS: dict[str, str] = {
    # As the original, which said nothing.
    "box_not_a_number": "skip",
    "too_many_boxes": "skip",
    "doubled_video": "repair",
}


class Split(NamedTuple):
    """A split of the data that has been opened: what `make_dataset` returns, and its videos."""

    dataset: tf.data.Dataset
    videos: tuple[CheckedVideo, ...]


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
    there and hold until it ends, so that a carried state fits. With `clips: independent` every clip
    is a run of its own. Everything is a function of `seed`, and begins anew with each iterator;
    `skip_batches` begins later, which continues a training that was interrupted, batch for batch.

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
        with_tracks: `track_ids` is a tensor, or None; None: as the first video has any or not.
        labels: class names in class order, by which data sets that name their classes are read;
            empty: those of `data.label_map_path`, or else of the data set itself.
        report: counts what was repaired or left out, while the dataset is iterated over; the first
            case of each kind is logged in any event.
        skip_batches: so many batches of training are left out, without reading their frames.
        input_context: of one of several workers that train together: it gets its share of each
            batch, and reads the frames of no other: of n, worker i has lanes i * B / n and on.

    Raises:
        ValueError: no input path, an empty, damaged or foreign file (named), videos of several
            sizes without height and width, a class out of range, settings that evaluation cannot
            have, an unknown problem or answer.
        FileNotFoundError: a pattern matches no file.

    What goes wrong with a later frame is raised by the iterator, as
    `tf.errors.InvalidArgumentError`, with the same message.
    """
    return open_split(**locals()).dataset


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
    """Returns the dataset of a split, and its videos; arguments and errors as `make_dataset`."""
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
    try:
        answers = problems.policy({**_DEFAULT_ANSWERS, **config.problems})
    except ValueError as error:
        raise ValueError(f"{where}.problems: {error}") from None
    checks = Checks(answers, report, max_boxes=config.max_boxes)
    names = tuple(labels) or _labels_of(data.label_map_path)
    found = open_videos.open_all(config, checks, names, num_classes=num_classes, where=where)
    # Those at the beginning that show no frame; the others are looked at when their turn comes.
    videos = tuple(itertools.dropwhile(lambda video: not video.num_frames, found))
    if not videos:
        raise ValueError(f"{where}.input_path: there is no video in these files")
    size = _frame_size(config, videos, where=where)
    steps = augment.steps_of(config.augmentation, height=size.height, width=size.width)

    def clips() -> Iterator[Clip]:
        before = dict(checks.report.counts)
        skip = skip_batches * config.batch_size
        try:
            for clip in (
                training_clips(videos, config, seed=seed, skip=skip, own=own)
                if split == "train"
                else evaluation_clips(videos, config)
            ):
                yield clip._replace(images=np.array([*map(decode.packed, clip.images)], object))
        finally:
            if checks.report.counts != before:
                _LOG.warning("%s, all in all:\n%s", where, "\n".join(checks.report.lines()))

    dataset = tf.data.Dataset.from_generator(
        clips, output_signature=_signature(config.unroll_length)
    )
    decoded = functools.partial(
        _decoded, config=config, steps=steps, size=size, scale=answers["frame_size"] == "repair"
    )
    dataset = dataset.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = _batched(dataset, len(own), max_boxes=config.max_boxes)
    if not (videos[0].has_tracks if with_tracks is None else with_tracks):
        dataset = dataset.map(lambda clip, truth: (clip, truth._replace(track_ids=None)))
    return Split(dataset.prefetch(tf.data.AUTOTUNE), videos)


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
    strides = ("min_frame_stride", "max_frame_stride")
    for name in ("augmentation", "reset_probability", *strides, "clips", "random_start"):
        value, neutral = getattr(config, name), getattr(DatasetConfig(), name)
        if value != neutral:
            raise ValueError(
                f"data.evaluation.{name} is {value!r}, but evaluation shows every frame once, as "
                f"it is: leave it at {neutral!r}"
            )


def _labels_of(path: str) -> tuple[str, ...]:
    """Returns the names of a label map, () without one; warns where there is no such file.

    A `.config` of the original names a file of the machine it was written on.
    """
    if path and not tf.io.gfile.exists(path):
        _LOG.warning("data.label_map_path: there is no file %s; it names no classes", path)
        return ()
    return label_map.load(path) if path else ()


class _FrameSize(NamedTuple):
    """The size of frames in pixels: as given out, and as stored (0: not one size, or unknown)."""

    height: int
    width: int
    stored: tuple[int, int]


def _frame_size(config: DatasetConfig, videos: Sequence[CheckedVideo], *, where: str) -> _FrameSize:
    """Returns the frames' size, by what the media tell; decodes the first frame."""
    reel = videos[0].open()
    frame = reel.frame(0)
    height, width, _ = decode.pixels(frame.image, where=frame.where).shape
    reel.close()
    seen = {(height, width): videos[0].name}
    for video in videos:
        if all(video.size):
            seen.setdefault(video.size, video.name)
    if not config.height and len(seen) > 1:
        (one, name), (other, other_name), *_ = seen.items()
        raise ValueError(
            f"{where}: videos differ in size, {name!r} is {one[0]} x {one[1]} pixels, "
            f"{other_name!r} is {other[0]} x {other[1]}; set {where}.height and {where}.width"
        )
    known = len(seen) == 1 and all(all(video.size) for video in videos)
    stored = (0, 0) if config.height and not known else (height, width)
    return _FrameSize(config.height or height, config.width or width, stored)


def _signature(unroll_length: int) -> Clip:
    """Returns the shapes and dtypes of a clip whose images are packed."""

    def rows(dtype: tf.DType, *rest: int) -> tf.TensorSpec:
        return tf.TensorSpec([unroll_length, None, *rest], dtype)

    return Clip(
        images=tf.TensorSpec([unroll_length], tf.string),
        truth=GroundTruth(rows(tf.float32, 4), rows(tf.int32), rows(tf.int32), rows(tf.bool)),
        frame_index=tf.TensorSpec([unroll_length], tf.int32),
        start=tf.TensorSpec([], tf.bool),
        video_id=tf.TensorSpec([], tf.string),
        seed=tf.TensorSpec([2], tf.int64),
        reference_boxes=tf.TensorSpec([None, 4], tf.float32),
        still=tf.TensorSpec([], tf.bool),
        wheres=tf.TensorSpec([unroll_length], tf.string),
    )


def _decoded(
    clip: Clip,
    *,
    config: DatasetConfig,
    steps: Sequence[augment.Step],
    size: _FrameSize,
    scale: bool,
) -> tuple[ClipBatch, GroundTruth]:
    """Returns one clip of a lane with its frames decoded, augmented and resized."""

    def frames_of(packed: Sequence[bytes], wheres: Sequence[bytes]) -> np.ndarray:
        images = [*map(decode.unpacked, packed)]
        names = [where.decode() for where in wheres]
        return decode.stacked(images, names, size=size.stored, scale=scale)

    frames = tf.numpy_function(frames_of, [clip.images, clip.wheres], tf.uint8)
    known: list[Any] = [*size.stored] if all(size.stored) else [None, None]
    frames, truth = augment.apply(
        tf.ensure_shape(frames, [config.unroll_length, *known, 3]),
        clip.truth,
        steps=steps,
        seed=clip.seed,
        reference_boxes=clip.reference_boxes,
        height=size.height,
        width=size.width,
        frame_index=clip.frame_index,
        still=clip.still,
    )
    starts = clip.start & (tf.range(config.unroll_length) == 0)
    return ClipBatch(frames, starts, clip.frame_index, clip.video_id, clip.wheres), truth


def _batched(dataset: tf.data.Dataset, lanes: int, *, max_boxes: int) -> tf.data.Dataset:
    """Returns batches of one clip from each lane, padded to M rows, or the largest among them."""
    clip, truth = dataset.element_spec
    rows = [[part.shape[0], max_boxes or None, *part.shape[2:]] for part in truth]
    padding = [
        tf.cast(value, part.dtype) for value, part in zip((0, -1, -1, 0), truth, strict=True)
    ]
    return dataset.padded_batch(
        lanes,
        padded_shapes=(ClipBatch(*(part.shape for part in clip)), GroundTruth(*rows)),
        padding_values=(ClipBatch(*[None] * len(clip)), GroundTruth(*padding)),
        drop_remainder=True,
    )
