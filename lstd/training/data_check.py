"""Looks the training data over before the first step: what would else be found out after weeks."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from lstd.base.types import GroundTruth
from lstd.config.config import Config
from lstd.data import augment
from lstd.data.checked_video import CheckedVideo
from lstd.data.clean_boxes import objects_of
from lstd.data.problems import ProblemError
from lstd.ops import anchor_fit
from lstd.training import advice

_FRAMES = 200
"""Looked at for the anchors where `train.check_frames` is 0."""


def check(videos: Sequence[CheckedVideo], config: Config, *, say: Callable[[str], None]) -> Config:
    """Returns the config, with the anchors that fit these videos where it leaves them open.

    Looks at `train.check_frames` frames, evenly spread over the videos, and says how well the
    anchors fit their boxes as training will see them, and what is likely to train badly.

    Raises:
        ValueError: there are fewer clips than a batch has; a class that the config does not have,
            or another problem of the boxes whose answer is error; too few boxes have an anchor, or
            there is none to make anchors for.
    """
    _refuse_small_data(videos, config)
    count = config.train.check_frames or (_FRAMES if config.model.anchors.auto else 0)
    if not count:
        return config
    try:
        truths = _truths(videos, count)
    except ProblemError as error:
        if error.kind != "unknown_class":
            raise
        raise ValueError(
            f"{error}; do model.num_classes and model.labels fit the training data?"
        ) from None
    boxes, classes = _as_trained(truths, config)
    if not len(boxes):
        if config.model.anchors.auto:
            raise ValueError(
                f"model.anchors.auto: there are no boxes in the {len(truths)} frames looked at; "
                "raise train.check_frames, or set model.anchors.scales and auto=false"
            )
        say(f"training data: no boxes at all in the {len(truths)} frames looked at")
        return config
    if config.model.anchors.auto:
        anchors = anchor_fit.fit(boxes, config.model)
        model = dataclasses.replace(config.model, anchors=anchors)
        config = dataclasses.replace(config, model=model)
        say(f"anchors: scales {list(anchors.scales)}, aspect ratios {list(anchors.aspect_ratios)}")
    threshold = config.model.matching.matched_threshold
    overlaps = anchor_fit.best_overlaps(boxes, config.model)
    share = (overlaps >= threshold).mean()
    text = (
        f"{share:.0%} of the {len(boxes)} boxes in {len(truths)} frames looked at have an anchor "
        f"of IoU {threshold:g} or more"
    )
    advices = [*advice.on_anchors(overlaps, config), *advice.on_sizes(boxes, config)]
    if share < config.train.min_anchor_share:
        cures = "; ".join([*advices, "to train all the same: --set train.min_anchor_share=0"])
        raise ValueError(
            f"training data: only {text}, train.min_anchor_share is "
            f"{config.train.min_anchor_share:g}; {cures}"
        )
    say(f"training data: {text}")
    advices += advice.on_classes(classes, config)
    advices += advice.on_memory([video.known_frames for video in videos], config)
    for line in [*advices, *advice.on_frames(config), *advice.on_settings(config)]:
        say(f"likely to train badly: {line}")
    return config


def _refuse_small_data(videos: Sequence[CheckedVideo], config: Config) -> None:
    batch_size, unroll_length = config.data.train.batch_size, config.data.train.unroll_length
    clips = 0
    for video in videos:
        clips += -(-video.num_frames // unroll_length)
        if clips >= batch_size:  # looked at no longer than needed: a length may have to be read
            return
    raise ValueError(
        f"data.train: a batch has {batch_size} clips of {unroll_length} frames, but all the data, "
        f"{sum(video.num_frames for video in videos)} frames of {len(videos)} video(s), makes no "
        f"more than {clips}; lower data.train.batch_size or unroll_length, or give more data"
    )


def _truths(videos: Sequence[CheckedVideo], count: int) -> list[GroundTruth]:
    """Returns the objects of `count` frames: of the same number from videos evenly spread."""
    chosen = _spread(len(videos), count)
    each = max(1, count // len(chosen))
    frames = []
    for video in (videos[place] for place in chosen):
        if video.num_frames:
            reel = video.open()
            for number in _spread(video.num_frames, each):
                frames.append(objects_of(reel.frame(number).truth))
            reel.close()
    return frames


def _as_trained(truths: Sequence[GroundTruth], config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Returns the boxes `[B, 4]` and classes `[B]` of frames, after the augmentation's windows."""
    data, model = config.data.train, config.model
    size = {"height": data.height or model.input_height, "width": data.width or model.input_width}
    steps = augment.windows_of(data.augmentation)
    boxes, classes = [np.zeros([0, 4], np.float32)], [np.zeros(0, np.int32)]
    for number, truth in enumerate(truths):
        if steps and len(truth.boxes):
            _, changed = augment.apply(
                tf.zeros([1, size["height"], size["width"], 3]),
                GroundTruth(truth.boxes[np.newaxis], truth.classes[np.newaxis]),
                steps=steps,
                seed=tf.constant([config.train.seed, number], tf.int64),
                reference_boxes=tf.constant(truth.boxes),
                **size,
            )
            seen = changed.classes[0].numpy() >= 0
            truth = GroundTruth(changed.boxes[0].numpy()[seen], changed.classes[0].numpy()[seen])
        boxes.append(truth.boxes)
        classes.append(truth.classes)
    return np.concatenate(boxes), np.concatenate(classes)


def _spread(length: int, count: int) -> list[int]:
    """Returns so many places of a row, from its beginning to its end; all if there are fewer."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int)).tolist()
