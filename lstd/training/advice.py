"""What will train badly, each with its cure: a line for lstd-train."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lstd.config.config import Config
from lstd.ops import anchors as anchor_ops

_SHORT_RUN = 20_000
"""Steps up to which the settings of the papers, whose runs had 200,000 and more, do harm."""


def on_anchors(overlaps: np.ndarray, config: Config) -> Iterator[str]:
    """Yields what to do about boxes that few anchors fit; nothing where trained heads have them.

    The overlaps `[B]` are the IoU of each box with its best anchor.
    """
    share = (overlaps >= config.model.matching.matched_threshold).mean()
    given = config.train.fine_tune
    has_heads = given.run or (given.checkpoints and given.kind != "classification")
    if share < 0.5 and not config.model.anchors.scales and not has_heads:
        yield "few boxes have an anchor; anchors made for them: --set model.anchors.auto=true"


def on_sizes(boxes: np.ndarray, config: Config) -> Iterator[str]:
    """Yields what to do about boxes `[B, 4]` that are small beside a cell of the first grid."""
    model = config.model
    height, width, stride = model.input_height, model.input_width, anchor_ops.first_stride(model)
    sides = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) * (height, width)).prod(axis=-1))
    side = float(np.median(sides))
    if side >= 1.5 * stride:
        return
    text = (
        f"half of the boxes measure less than {side:.0f} pixels of the model's input, whose first "
        f"grid has cells of {stride}"
    )
    if not model.fine_map:
        settings: dict[str, Any] = {
            "fine_map": 64,
            "anchors.num_layers": model.anchors.num_layers + 1,
        }
        if model.anchors.scales:
            settings |= {"anchors.scales": "[]", "anchors.auto": "true"}
        yield f"{text}; a finer map: {_lines('model', settings)}"
        return
    factor = int(np.ceil(2 * stride / max(side, stride / 2)))
    sizes = {"height": height * factor, "width": width * factor}
    lines = [_lines("model", {f"input_{name}": size for name, size in sizes.items()})]
    for part in ("train", "evaluation"):
        if getattr(config.data, part).height:  # 0: frames of the video's own size
            lines.append(_lines(f"data.{part}", sizes))
    yield f"{text}; a larger input, if the video has it: {' '.join(lines)}"


def _lines(section: str, settings: dict[str, Any]) -> str:
    return " ".join(f"--set {section}.{name}={value}" for name, value in settings.items())


def on_frames(config: Config) -> Iterator[str]:
    """Yields which frames are made small before the model makes them large again."""
    height, width = config.model.input_height, config.model.input_width
    for part in ("train", "evaluation"):
        frames = getattr(config.data, part)
        if frames.height and (frames.height < height or frames.width < width):
            lines = _lines(f"data.{part}", {"height": height, "width": width})
            yield (
                f"data.{part} gives frames of {frames.height} x {frames.width} (height x width), "
                f"which the model enlarges to {height} x {width}: {lines}"
            )


def on_classes(classes: np.ndarray, config: Config) -> Iterator[str]:
    """Yields which classes, from 0, stand in few of the boxes, int `[B]`."""
    counts = np.bincount(classes[classes >= 0], minlength=config.model.num_classes)
    rare = np.flatnonzero(counts < 0.01 * counts.sum())
    if len(rare):
        labels = config.model.labels or tuple(map(str, range(1, config.model.num_classes + 1)))
        named = ", ".join(f"{labels[index]} ({counts[index]})" for index in rare[:5])
        yield (
            f"of the {counts.sum()} boxes looked at, fewer than 1 % have the class {named}"
            f"{', ...' if len(rare) > 5 else ''}; give more video of them, or leave them out of "
            "model.labels"
        )


def on_memory(lengths: Sequence[int | None], config: Config) -> Iterator[str]:
    """Yields why the memory has nothing to learn of videos of such lengths (None: not known)."""
    data = config.data.train
    if set(lengths) == {1}:
        yield (
            "all videos are single frames, on which the memory learns nothing; give the frames of "
            "a video together (data.train.folders=true: a folder is a video), or train a model for "
            "single frames: --set model.train_schedule=LARGE --set model.eval_schedule=LARGE"
        )
    elif data.unroll_length == 1 and (data.clips == "independent" or not config.train.carry_state):
        yield (
            "every clip is one frame and starts with an empty memory: --set "
            "data.train.unroll_length=4 --set data.train.clips=carried --set train.carry_state=true"
        )


def on_settings(config: Config) -> Iterator[str]:
    """Yields which settings are those of far longer runs; nothing where weights are given."""
    train, model = config.train, config.model
    given = train.fine_tune
    if given.run or given.checkpoints or given.large_backbone or given.small_backbone:
        return
    decays = {
        "model.feature_extractor.batch_norm_decay": model.feature_extractor.batch_norm_decay,
        "model.box_predictor.conv.batch_norm_decay": model.box_predictor.conv.batch_norm_decay,
    }
    decay = max(0.9, round(0.01 ** (5 / train.steps), 4))
    slow = {key: old for key, old in decays.items() if old > decay and old**train.steps > 0.01}
    if slow:
        lines = " ".join(f"--set {key}={decay:g}" for key in slow)
        kept = max(slow.values()) ** train.steps
        yield (
            f"after {train.steps} steps batch norm still holds {kept:.0%} of the values it starts "
            f"with: {lines}"
        )
    is_slow = train.optimizer.name == "rms_prop" and train.optimizer.epsilon >= 0.1
    if is_slow and train.steps <= _SHORT_RUN:
        yield (
            f"RMSProp with epsilon {train.optimizer.epsilon:g} makes small steps, for runs of "
            "hundreds of thousands: --set train.optimizer.name=adam --set "
            "train.optimizer.epsilon=1.0e-7"
        )
    rate = train.learning_rate
    if rate.schedule == "exponential" and rate.decay_steps > train.steps:
        yield (
            f"the learning rate falls after {rate.decay_steps} steps, the run ends after "
            f"{train.steps}: --set train.learning_rate.schedule=cosine"
        )
