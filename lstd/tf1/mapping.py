"""Which field of a pipeline file goes to which key of `lstd.Config`."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

from lstd.config.train_config import FineTuneConfig
from lstd.tf1.schema import REASONS, SCHEMA, Fields

SSD = "model.ssd"
OPTIMIZER = "train_config.optimizer"
MINER = f"{SSD}.loss.hard_example_miner"
FOCAL = f"{SSD}.loss.classification_loss.weighted_sigmoid_focal"
_RMS_PROP, _ADAM = f"{OPTIMIZER}.rms_prop_optimizer", f"{OPTIMIZER}.adam_optimizer"
LEARNING_RATES = (f"{_RMS_PROP}.learning_rate", f"{_ADAM}.learning_rate")
_EXTRACTOR = f"{SSD}.feature_extractor"
_TYPE = f"{_EXTRACTOR}.type"
_HEADS = f"{SSD}.box_predictor.convolutional_box_predictor"
_RESIZER = f"{SSD}.image_resizer.fixed_shape_resizer"
_ARGMAX = f"{SSD}.matcher.argmax_matcher"
_ANCHORS = f"{SSD}.anchor_generator.ssd_anchor_generator"
_SCALES = f"{SSD}.box_coder.faster_rcnn_box_coder"
_NMS = f"{SSD}.post_processing.batch_non_max_suppression"
_VIDEOS = "external_input_reader.google_input_reader.tf_record_video_input_reader"

INTERLEAVED, SINGLE = "mobilenet_v2", "mobilenet_v1"

FAMILIES: dict[str, str] = {
    "lstm_ssd_interleaved_mobilenet_v2": INTERLEAVED,
    "lstm_ssd_mobilenet_v1": SINGLE,
    # What the published MobileNetV1 config says; the original's code knows the name above only.
    "lstm_mobilenet_v1": SINGLE,
}
"""Feature extractor type of the original -> model.backbone."""

_FAMILY_VALUES: dict[str, dict[str, Any]] = {
    INTERLEAVED: {
        "model.backbone": INTERLEAVED,
        "model.lstm_cell": "grouped",
        "model.feature_map_depths": [256, 256, 256, 256],
        "model.pool_residual": True,
    },
    SINGLE: {
        "model.backbone": SINGLE,
        "model.lstm_cell": "bottleneck",
        "model.feature_map_depths": [512, 256, 256, 128],
        "model.pool_residual": False,
        # One backbone has nothing to take turns with, and its cell is never clipped.
        **{"model.low_resolution": False, "model.clip_state": False},
        **{"model.train_schedule": "LARGE", "model.eval_schedule": "LARGE"},
        "evaluation.schedules": ["LARGE"],
    },
}
"""What the original's two feature extractors have in their code and not in the file."""

_INTERLEAVED_ONLY = (
    *("depth_multipliers", "train_interleave_method", "eval_interleave_method", "pre_bottleneck"),
    *("low_res", "clip_state", "scale_state", "flatten_state", "is_quantized"),
)
"""Fields of lstm_model that never reach the MobileNetV1 model in the original."""


def _rules(table: str, family: str) -> list[tuple[str, str, str]]:
    """Returns the rules of lines `block > section: name there:here name`."""
    found = []
    for line in filter(None, map(str.strip, table.splitlines())):
        blocks, _, names = line.partition(": ")
        source, _, target = blocks.partition(" > ")
        pairs = [name.partition(":") for name in names.split()]
        found += [
            (f"{source}.{there}", f"{target}.{here or there}", family) for there, _, here in pairs
        ]
    return found


def _conv(source: str, target: str) -> str:
    return f"""
        {source}.regularizer.l2_regularizer > {target}: weight:l2_weight
        {source}.initializer.truncated_normal_initializer > {target}: stddev:initializer_stddev
        {source}.batch_norm > {target}: decay:batch_norm_decay epsilon:batch_norm_epsilon"""


def _rate(source: str) -> str:
    target, exponential = "train.learning_rate", f"{source}.exponential_decay_learning_rate"
    return f"""
        {source}.constant_learning_rate > {target}: learning_rate:initial
        {exponential} > {target}: initial_learning_rate:initial decay_steps decay_factor staircase
        {source}.cosine_decay_learning_rate > {target}: learning_rate_base:initial warmup_steps"""


# The original's input pipeline resizes to the model's size already.
_BOTH = f"""
    {SSD} > model: num_classes
    {_RESIZER} > model: height:input_height width:input_width convert_to_grayscale:input_channels
    {_RESIZER} > data.train: height width
    {_RESIZER} > data.evaluation: height width
    {_EXTRACTOR} > model: min_depth use_depthwise:feature_map_use_depthwise
    {_EXTRACTOR} > model: depth_multiplier:feature_map_depth_multiplier
    {_conv(f"{_EXTRACTOR}.conv_hyperparams", "model.feature_extractor")}
    {_HEADS} > model.box_predictor: use_depthwise kernel_size
    {_conv(f"{_HEADS}.conv_hyperparams", "model.box_predictor.conv")}
    lstm_model > model: lstm_state_depth:state_depth
    lstm_model > data.train: train_unroll_length:unroll_length
    lstm_model > data.evaluation: eval_unroll_length:unroll_length
    {_ANCHORS} > model.anchors: num_layers min_scale max_scale scales aspect_ratios
    {_ANCHORS} > model.anchors: interpolated_scale_aspect_ratio reduce_boxes_in_lowest_layer
    {_ANCHORS} > model.anchors: base_anchor_height base_anchor_width
    {_SCALES} > model.box_scale_factors: y_scale:0 x_scale:1 height_scale:2 width_scale:3
    {_ARGMAX} > model.matching: matched_threshold unmatched_threshold
    {_ARGMAX} > model.matching: force_match_for_each_row:force_match
    {_NMS} > model.postprocessing: score_threshold iou_threshold
    {_NMS} > model.postprocessing: max_detections_per_class max_total_detections
    {SSD} > model.loss: normalize_loss_by_num_matches:normalize_by_num_matches
    {SSD}.loss > model.loss: classification_weight localization_weight
    {SSD}.loss.localization_loss.weighted_smooth_l1 > model.loss: delta:huber_delta
    {FOCAL} > model.loss: gamma:focal_gamma alpha:focal_alpha
    {MINER} > model.loss.hard_negatives: num_hard_examples loss_type iou_threshold
    {MINER} > model.loss.hard_negatives: max_negatives_per_positive min_negatives_per_image
    graph_rewriter.quantization > train.quantization: delay weight_bits activation_bits
    train_config > data.train: batch_size
    train_config > train.optimizer: gradient_clipping_by_norm:clip_norm
    {_RMS_PROP} > train.optimizer: momentum_optimizer_value:momentum decay epsilon
    {_ADAM} > train.optimizer: epsilon
    {_rate(LEARNING_RATES[0])}
    {_rate(LEARNING_RATES[1])}
    train_input_reader.{_VIDEOS} > data.train: input_path
    eval_input_reader.{_VIDEOS} > data.evaluation: input_path
    eval_config > evaluation: use_moving_averages min_score_threshold"""
_SINGLE = f"{_EXTRACTOR} > model: depth_multiplier:depth_multipliers"
_INTERLEAVED = """
    lstm_model > model: depth_multipliers low_res:low_resolution clip_state scale_state
    lstm_model > model: is_quantized:quantized_cell
    lstm_model > model: train_interleave_method:train_schedule eval_interleave_method:eval_schedule
    lstm_model > evaluation: eval_interleave_method:schedules"""

RULES = (*_rules(_BOTH, ""), *_rules(_SINGLE, SINGLE), *_rules(_INTERLEAVED, INTERLEAVED))
"""(field, key, family): the field's value goes to the key; `family` if only its models have it."""

_ALL_ANCHORS = 1_000_000
"""More than any of these models has; num_hard_examples: 0 means all of them."""

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "model.input_channels": lambda is_gray: 1 if is_gray else 3,
    "model.depth_multipliers": lambda value: value if isinstance(value, list) else [value],
    "evaluation.schedules": lambda name: [name],
    "model.loss.hard_negatives.num_hard_examples": lambda number: number or _ALL_ANCHORS,
    "model.loss.hard_negatives.loss_type": str.lower,
}
"""By the key; other values go as they are."""


_CHOICES: dict[str, dict[str, Any]] = {
    _RMS_PROP: {"train.optimizer.name": "rms_prop"},
    _ADAM: {"train.optimizer.name": "adam"},
    **{
        f"{rate}.{name}_learning_rate": {
            "train.learning_rate.schedule": name.removesuffix("_decay"),
            "train.learning_rate.warmup_steps": 0,
            "train.learning_rate.hold_fraction": 0.0,
        }
        for rate in LEARNING_RATES
        for name in ("constant", "exponential_decay", "cosine_decay")
    },
    f"{SSD}.loss.classification_loss.weighted_sigmoid": {"model.loss.classification": "sigmoid"},
    FOCAL: {"model.loss.classification": "focal"},
}
"""Blocks whose presence is itself a value: the first key is the choice, the others come with it."""

_STRONG = {"probability": 1.0, "min_factor": 0.5, "max_factor": 1.5}
_BRIGHTNESS = {"name": "brightness", "probability": 1.0, "max_delta": 32 / 255}
_CONTRAST = {"name": "contrast", **_STRONG}
_SATURATION = {"name": "saturation", **_STRONG}
_HUE = {"name": "hue", "probability": 1.0, "max_delta": 0.2}
_COLOR_ORDERINGS: tuple[list[dict[str, Any]], ...] = (
    [_BRIGHTNESS, _SATURATION, _HUE, _CONTRAST],
    [_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE],
)
"""What the original's random_distort_color does, by its color_ordering."""

_CONV = " ".join(
    f"{part}.conv_hyperparams{name}"
    for part in (_EXTRACTOR, _HEADS)
    for name in ("", ".initializer.truncated_normal_initializer", ".batch_norm")
)
_REQUIRED = f"""
    {SSD} {SSD}.num_classes {_RESIZER} {_TYPE} {_SCALES} {_ARGMAX} {_HEADS} {_CONV}
    {SSD}.similarity_calculator.iou_similarity {_ANCHORS} {_ANCHORS}.aspect_ratios
    {SSD}.post_processing {SSD}.loss.localization_loss.weighted_smooth_l1
    {SSD}.loss.classification_loss
    lstm_model.train_unroll_length lstm_model.eval_unroll_length""".split()
"""What a whole file must hold; the original cannot be built without it either."""


def settings_of(fields: Fields, *, current: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a value for each key of the config that the file decides, keys dotted.

    Of the fragment of an override only what it names is set; `current` is the config that it lies
    on, as plain dicts. What a whole file leaves out gets the original's default.

    Raises:
        ConfigError: a value that lstd cannot do, or a part that is missing.
    """
    family = _family_of(fields, current)
    _check(fields, family, whole=current is None)
    settings: dict[str, Any] = {}
    if current is None:
        # Without a regularizer the original has none, and without a miner nothing is mined.
        parts = ("model.feature_extractor", "model.box_predictor.conv")
        settings = _FAMILY_VALUES[family] | {f"{part}.l2_weight": 0.0 for part in parts}
        settings |= {} if MINER in fields else {"model.loss.hard_negatives": None}
    new = _new_choices(fields, current)
    for path in new:
        settings.update(_CHOICES.get(path, {}))
    for source, key, only in RULES:
        is_new = current is None or any(source.startswith(f"{path}.") for path in new)
        if only in ("", family) and (source in fields or (is_new and fields.applies(source))):
            value = fields[source]
            settings[key] = _CONVERSIONS[key](value) if key in _CONVERSIONS else value
    if "train_config" in fields:
        settings |= _training(fields, whole=current is None)
    if current is None and "eval_config.min_score_threshold" not in fields:
        settings["evaluation.min_score_threshold"] = None  # which the training finds
    return settings | _augmentation(fields) | _readers(fields)


def value_at(data: Any, key: str) -> Any:
    """Returns what plain dicts and lists hold under a dotted key."""
    for part in key.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def is_idle(path: str, family: str) -> bool:
    """Returns whether a field never reaches the model, in the original, because of its backbone."""
    block, _, name = path.rpartition(".")
    return block == "lstm_model" and family == SINGLE and name in _INTERLEAVED_ONLY


def _family_of(fields: Fields, current: dict[str, Any] | None) -> str:
    name, own = fields[_TYPE], current and str(value_at(current, "model.backbone"))
    if own and _TYPE not in fields:
        return own
    if current is None:
        if "lstm_model" not in fields:
            raise fields.error(
                "no [lstm_object_detection.protos.lstm_model] {...} block; this is no pipeline of "
                "the LSTM-SSD detector"
            )
        for path in _REQUIRED:
            if path not in fields:
                raise fields.error(f"{path}: is missing")
    if name not in FAMILIES:
        possible = ", ".join(FAMILIES)
        raise fields.error(f"{_TYPE}: {name!r} is not available in lstd; possible: {possible}")
    if own and own != FAMILIES[name]:
        raise fields.error(f"{_TYPE}: {name!r}: an override cannot change the type")
    return FAMILIES[name]


def _check(fields: Fields, family: str, *, whole: bool) -> None:
    """Raises for a value, given or by default, that lstd cannot do."""
    for path, field, value, is_given in fields.each():
        written = str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
        if not field.only or written in field.only or is_idle(path, family):
            continue
        possible = REASONS.get(field.name) or f"possible: {', '.join(field.only)}"
        if is_given:
            raise fields.error(f"{path}: {written} is not available in lstd; {possible}")
        if whole:
            raise fields.error(
                f"{path}: is not given, which means {written} in the original; {possible}"
            )
    choices = [f"{SSD}.loss.classification_loss"] if whole else []
    if whole and "train_config" in fields:
        optimizer = fields.message.train_config.optimizer.WhichOneof("one_of")
        choices += [OPTIMIZER, f"{OPTIMIZER}.{optimizer}.learning_rate"]
    for path in choices:
        if path not in fields or not fields[path].WhichOneof("one_of"):
            raise fields.error(f"{path}: is missing, or names none of its kinds")
    path = "lstm_model.depth_multipliers"
    if family == INTERLEAVED and (whole or path in fields) and len(fields[path]) != 2:
        needed = "needs two numbers, the large network's and the small one's"
        raise fields.error(f"{path}: {needed}; got {len(fields[path])}")
    if whole and family == INTERLEAVED and "lstm_model.low_res" not in fields:
        raise fields.error(
            "lstm_model.low_res: is not given. The original then takes false, the file format's "
            "default, although its model's own default is true: write low_res: true, as the "
            "published config does, or low_res: false"
        )


def _new_choices(fields: Fields, current: dict[str, Any] | None) -> list[str]:
    """Returns the blocks that are another choice than the config's: their defaults count."""
    new = [MINER] if current and not value_at(current, "model.loss.hard_negatives") else []
    for path, values in _CHOICES.items():
        key, value = next(iter(values.items()))
        # The fields of the cosine depend on one another, so it is always taken as a whole.
        is_other = current is None or value_at(current, key) != value or value == "cosine"
        if path in fields and is_other:
            new.append(path)
    if FOCAL in new and f"{FOCAL}.alpha" not in fields:
        raise fields.error(
            f"{FOCAL}.alpha: is not given, which means no weighting; lstd needs a number"
        )
    return new


def _training(fields: Fields, *, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    steps = fields["train_config.num_steps"]
    if steps:  # 0: train until stopped
        found["train.steps"] = steps
    for path in (f"{rate}.cosine_decay_learning_rate" for rate in LEARNING_RATES):
        if path not in fields:
            continue
        # The cosine ends with the run here, so the run must end where the original's rate is 0.
        total, place = fields[f"{path}.total_steps"], f"{path}.total_steps"
        if steps and steps != total:
            raise fields.error(
                f"{place}: {total} differs from train_config.num_steps {steps}; lstd's cosine "
                "falls over the whole run: make them equal"
            )
        before = fields[f"{path}.warmup_steps"] + fields[f"{path}.hold_base_rate_steps"]
        if before >= total:
            raise fields.error(
                f"{place}: {total} leaves no steps after warm-up and hold ({before})"
            )
        found |= {"train.steps": total, "train.learning_rate.hold_fraction": before / total}
        break
    use, decay = f"{OPTIMIZER}.use_moving_average", f"{OPTIMIZER}.moving_average_decay"
    if whole or decay in fields:  # the original's trainer keeps averages whatever the file says
        found["train.moving_average_decay"] = fields[decay] if fields[use] or not whole else 0.9999
    return found | _fine_tuning(fields, whole=whole)


def _fine_tuning(fields: Fields, *, whole: bool) -> dict[str, Any]:
    source, kind = "train_config.fine_tune_checkpoint", "train_config.fine_tune_checkpoint_type"
    is_detection = "train_config.from_detection_checkpoint"
    paths = [path.strip() for path in fields[source].split(",") if path.strip()]
    found: dict[str, Any] = {"train.fine_tune.checkpoints": paths} if source in fields else {}
    chosen = fields[kind]
    if not chosen and is_detection in fields:
        chosen = "detection" if fields[is_detection] else "classification"
    kinds = typing.get_args(typing.get_type_hints(FineTuneConfig)["kind"])
    if chosen and chosen not in kinds:
        raise fields.error(f"{kind}: {chosen!r} is unknown; possible: {', '.join(kinds)}")
    if not chosen and paths and whole:
        raise fields.error(f"{kind}: is missing; possible: {', '.join(kinds)}")
    return found | ({"train.fine_tune.kind": chosen} if chosen else {})


def _augmentation(fields: Fields) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for option in fields.message.train_config.data_augmentation_options:
        name = option.WhichOneof("one_of")
        if not name:
            raise fields.error("train_config.data_augmentation_options: names no augmentation")
        values = getattr(option, name)
        if name == "random_distort_color":
            steps += _COLOR_ORDERINGS[values.color_ordering]
        elif name == "ssd_random_crop":  # without operations the original has its own, and so lstd
            operations = [_used(operation) for operation in values.operations]
            steps.append({"name": name, **({"operations": operations} if operations else {})})
        else:
            step = _used(values)
            if "min_delta" in step:
                step = {key.replace("delta", "factor"): value for key, value in step.items()}
            own = (
                name.removeprefix("random_")
                .removeprefix("adjust_")
                .replace("rgb_to_gray", "grayscale")
            )
            steps.append({"name": own, "probability": 1.0, **step})
    return {"data.train.augmentation": steps} if steps else {}


def _used(message: Any) -> dict[str, Any]:
    """Returns the values of a block that are used, given or by default."""
    fields = SCHEMA.fields[message.DESCRIPTOR.name].values()
    return {field.name: getattr(message, field.name) for field in fields if not field.section}


def _readers(fields: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    size = "train_input_reader.shuffle_buffer_size"
    if not fields["train_input_reader.shuffle"]:
        found["data.train.shuffle_buffer"] = 0
    elif size in fields:  # its default, 2048, is of single images, and no video reader obeyed it
        found["data.train.shuffle_buffer"] = fields[size]
    # The original reads names to evaluate and never else, so the evaluation's label map counts.
    for reader in ("train_input_reader", "eval_input_reader"):
        if f"{reader}.label_map_path" in fields:
            found["data.label_map_path"] = fields[f"{reader}.label_map_path"]
    return found
