"""Which field of a pipeline file goes to which key of `lstd.Config`, as tables.

What a table cannot say, because it needs more than one field, stands in `pipeline_settings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

SSD = "model.ssd"
OPTIMIZER = "train_config.optimizer"
MINER = f"{SSD}.loss.hard_example_miner"
FOCAL = f"{SSD}.loss.classification_loss.weighted_sigmoid_focal"
VIDEO_READER = "external_input_reader.google_input_reader.tf_record_video_input_reader"
LEARNING_RATES = tuple(
    f"{OPTIMIZER}.{name}.learning_rate" for name in ("rms_prop_optimizer", "adam_optimizer")
)

_ALL_ANCHORS = 1_000_000
"""More than any of these models has; num_hard_examples: 0 means all of them."""


class Rule(NamedTuple):
    """One field's value, converted, goes to each of the targets."""

    source: str
    targets: tuple[str, ...]
    convert: Callable[[Any], Any] = lambda value: value


INTERLEAVED, SINGLE = "mobilenet_v2", "mobilenet_v1"

FAMILIES: dict[str, str] = {
    "lstm_ssd_interleaved_mobilenet_v2": INTERLEAVED,
    "lstm_ssd_mobilenet_v1": SINGLE,
    # What the published MobileNetV1 config says; the original's code knows the name above only.
    "lstm_mobilenet_v1": SINGLE,
}
"""Feature extractor type of the original -> model.backbone."""

FAMILY_VALUES: dict[str, dict[str, Any]] = {
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
        "model.low_resolution": False,
        "model.clip_state": False,
        "model.train_schedule": "LARGE",
        "model.eval_schedule": "LARGE",
        "evaluation.schedules": ["LARGE"],
    },
}
"""What the original's two feature extractors have in their code and not in the file."""

INTERLEAVED_ONLY = (
    "depth_multipliers",
    "train_interleave_method",
    "eval_interleave_method",
    "pre_bottleneck",
    "low_res",
    "clip_state",
    "scale_state",
    "flatten_state",
)
"""Fields of lstm_model that never reach the MobileNetV1 model in the original."""

FAMILY_RULES: dict[str, tuple[Rule, ...]] = {
    INTERLEAVED: (
        Rule(f"{SSD}.feature_extractor.depth_multiplier", ("model.feature_map_depth_multiplier",)),
        Rule("lstm_model.depth_multipliers", ("model.depth_multipliers",), list),
        Rule("lstm_model.train_interleave_method", ("model.train_schedule",)),
        Rule("lstm_model.eval_interleave_method", ("model.eval_schedule",)),
        Rule("lstm_model.eval_interleave_method", ("evaluation.schedules",), lambda name: [name]),
        Rule("lstm_model.low_res", ("model.low_resolution",)),
        Rule("lstm_model.clip_state", ("model.clip_state",)),
        Rule("lstm_model.scale_state", ("model.scale_state",)),
    ),
    SINGLE: (
        Rule(f"{SSD}.feature_extractor.depth_multiplier", ("model.feature_map_depth_multiplier",)),
        Rule(
            f"{SSD}.feature_extractor.depth_multiplier",
            ("model.depth_multipliers",),
            lambda multiplier: [multiplier],
        ),
    ),
}


def _conv_rules(source: str, target: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{source}.regularizer.l2_regularizer.weight", (f"{target}.l2_weight",)),
        Rule(
            f"{source}.initializer.truncated_normal_initializer.stddev",
            (f"{target}.initializer_stddev",),
        ),
        Rule(f"{source}.batch_norm.decay", (f"{target}.batch_norm_decay",)),
        Rule(f"{source}.batch_norm.epsilon", (f"{target}.batch_norm_epsilon",)),
    )


def _same_names(source: str, target: str, *names: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"{source}.{name}", (f"{target}.{name}",)) for name in names)


_EXTRACTOR = f"{SSD}.feature_extractor"
_HEADS = f"{SSD}.box_predictor.convolutional_box_predictor"
_RESIZER = f"{SSD}.image_resizer.fixed_shape_resizer"
_ARGMAX = f"{SSD}.matcher.argmax_matcher"
_ANCHORS = f"{SSD}.anchor_generator.ssd_anchor_generator"
_SCALES = f"{SSD}.box_coder.faster_rcnn_box_coder"

MODEL_RULES: tuple[Rule, ...] = (
    Rule(f"{SSD}.num_classes", ("model.num_classes",)),
    # The original's input pipeline resizes to the model's size already.
    Rule(
        f"{_RESIZER}.height", ("model.input_height", "data.train.height", "data.evaluation.height")
    ),
    Rule(f"{_RESIZER}.width", ("model.input_width", "data.train.width", "data.evaluation.width")),
    Rule(
        f"{_RESIZER}.convert_to_grayscale",
        ("model.input_channels",),
        lambda is_gray: 1 if is_gray else 3,
    ),
    Rule("lstm_model.lstm_state_depth", ("model.state_depth",)),
    Rule(f"{_EXTRACTOR}.min_depth", ("model.min_depth",)),
    Rule(f"{_EXTRACTOR}.use_depthwise", ("model.feature_map_use_depthwise",)),
    *_conv_rules(f"{_EXTRACTOR}.conv_hyperparams", "model.feature_extractor"),
    *_same_names(_HEADS, "model.box_predictor", "use_depthwise", "kernel_size"),
    *_conv_rules(f"{_HEADS}.conv_hyperparams", "model.box_predictor.conv"),
    *_same_names(
        _ANCHORS,
        "model.anchors",
        "num_layers",
        "min_scale",
        "max_scale",
        "scales",
        "aspect_ratios",
        "interpolated_scale_aspect_ratio",
        "reduce_boxes_in_lowest_layer",
        "base_anchor_height",
        "base_anchor_width",
    ),
    *(
        Rule(f"{_SCALES}.{name}", (f"model.box_scale_factors.{index}",))
        for index, name in enumerate(("y_scale", "x_scale", "height_scale", "width_scale"))
    ),
    *_same_names(_ARGMAX, "model.matching", "matched_threshold", "unmatched_threshold"),
    Rule(f"{_ARGMAX}.force_match_for_each_row", ("model.matching.force_match",)),
    *_same_names(
        f"{SSD}.post_processing.batch_non_max_suppression",
        "model.postprocessing",
        "score_threshold",
        "iou_threshold",
        "max_detections_per_class",
        "max_total_detections",
    ),
)

LOSS_RULES: tuple[Rule, ...] = (
    Rule(f"{SSD}.normalize_loss_by_num_matches", ("model.loss.normalize_by_num_matches",)),
    *_same_names(f"{SSD}.loss", "model.loss", "classification_weight", "localization_weight"),
    Rule(f"{SSD}.loss.localization_loss.weighted_smooth_l1.delta", ("model.loss.huber_delta",)),
    Rule(f"{FOCAL}.gamma", ("model.loss.focal_gamma",)),
    Rule(f"{FOCAL}.alpha", ("model.loss.focal_alpha",)),
    Rule(
        f"{MINER}.num_hard_examples",
        ("model.loss.hard_negatives.num_hard_examples",),
        lambda number: number or _ALL_ANCHORS,
    ),
    Rule(f"{MINER}.loss_type", ("model.loss.hard_negatives.loss_type",), str.lower),
    *_same_names(
        MINER,
        "model.loss.hard_negatives",
        "iou_threshold",
        "max_negatives_per_positive",
        "min_negatives_per_image",
    ),
)


def _rate_rules(source: str) -> tuple[Rule, ...]:
    target = "train.learning_rate"
    exponential = f"{source}.exponential_decay_learning_rate"
    return (
        Rule(f"{source}.constant_learning_rate.learning_rate", (f"{target}.initial",)),
        Rule(f"{exponential}.initial_learning_rate", (f"{target}.initial",)),
        *_same_names(exponential, target, "decay_steps", "decay_factor", "staircase"),
        Rule(f"{source}.cosine_decay_learning_rate.learning_rate_base", (f"{target}.initial",)),
        Rule(f"{source}.cosine_decay_learning_rate.warmup_steps", (f"{target}.warmup_steps",)),
    )


TRAIN_RULES: tuple[Rule, ...] = (
    Rule("train_config.batch_size", ("data.train.batch_size",)),
    Rule("train_config.gradient_clipping_by_norm", ("train.optimizer.clip_norm",)),
    Rule(f"{OPTIMIZER}.rms_prop_optimizer.momentum_optimizer_value", ("train.optimizer.momentum",)),
    *_same_names(f"{OPTIMIZER}.rms_prop_optimizer", "train.optimizer", "decay", "epsilon"),
    *_same_names(f"{OPTIMIZER}.adam_optimizer", "train.optimizer", "epsilon"),
    *(rule for source in LEARNING_RATES for rule in _rate_rules(source)),
)

DATA_RULES: tuple[Rule, ...] = (
    Rule("lstm_model.train_unroll_length", ("data.train.unroll_length",)),
    Rule("lstm_model.eval_unroll_length", ("data.evaluation.unroll_length",)),
    Rule(f"train_input_reader.{VIDEO_READER}.input_path", ("data.train.input_path",)),
    # Blocks of a repeated message are numbered; of several the first counts, as in the original.
    Rule(f"eval_input_reader[0].{VIDEO_READER}.input_path", ("data.evaluation.input_path",)),
    *_same_names("eval_config", "evaluation", "use_moving_averages", "min_score_threshold"),
)

_NO_WARMUP = {"train.learning_rate.warmup_steps": 0, "train.learning_rate.hold_fraction": 0.0}


def _rate_choices(source: str) -> dict[str, dict[str, Any]]:
    schedule = "train.learning_rate.schedule"
    return {
        f"{source}.constant_learning_rate": {schedule: "constant", **_NO_WARMUP},
        f"{source}.exponential_decay_learning_rate": {schedule: "exponential", **_NO_WARMUP},
        f"{source}.cosine_decay_learning_rate": {schedule: "cosine", **_NO_WARMUP},
    }


CHOICES: dict[str, dict[str, Any]] = {
    f"{OPTIMIZER}.rms_prop_optimizer": {"train.optimizer.name": "rms_prop"},
    f"{OPTIMIZER}.adam_optimizer": {"train.optimizer.name": "adam"},
    **{name: value for source in LEARNING_RATES for name, value in _rate_choices(source).items()},
    f"{SSD}.loss.classification_loss.weighted_sigmoid": {"model.loss.classification": "sigmoid"},
    FOCAL: {"model.loss.classification": "focal"},
}
"""Blocks whose presence is itself a value: the first key is the choice, the others come with it."""

AUGMENTATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "random_horizontal_flip": ("horizontal_flip", {"probability": "probability"}),
    "random_vertical_flip": ("vertical_flip", {"probability": "probability"}),
    "random_adjust_brightness": ("brightness", {"max_delta": "max_delta"}),
    "random_adjust_contrast": (
        "contrast",
        {"min_delta": "min_factor", "max_delta": "max_factor"},
    ),
    "random_adjust_saturation": (
        "saturation",
        {"min_delta": "min_factor", "max_delta": "max_factor"},
    ),
    "random_adjust_hue": ("hue", {"max_delta": "max_delta"}),
    "random_rgb_to_gray": ("grayscale", {"probability": "probability"}),
}
"""Option of the original -> its name here, and the names of its fields there and here."""

CROP_FIELDS = (
    "min_object_covered",
    "min_aspect_ratio",
    "max_aspect_ratio",
    "min_area",
    "max_area",
    "overlap_thresh",
    "random_coef",
)

_STRONG = {"probability": 1.0, "min_factor": 0.5, "max_factor": 1.5}
_DISTORTION: dict[str, dict[str, Any]] = {
    "brightness": {"name": "brightness", "probability": 1.0, "max_delta": 32 / 255},
    "contrast": {"name": "contrast", **_STRONG},
    "saturation": {"name": "saturation", **_STRONG},
    "hue": {"name": "hue", "probability": 1.0, "max_delta": 0.2},
}
COLOR_ORDERINGS: tuple[tuple[dict[str, Any], ...], ...] = tuple(
    tuple(_DISTORTION[name] for name in names)
    for names in (
        ("brightness", "saturation", "hue", "contrast"),
        ("brightness", "contrast", "saturation", "hue"),
    )
)
"""What the original's random_distort_color does, by its color_ordering."""

_CONV = (
    "conv_hyperparams",
    "conv_hyperparams.initializer.truncated_normal_initializer",
    "conv_hyperparams.batch_norm",
)

REQUIRED: tuple[str, ...] = (
    "model.ssd",
    f"{SSD}.num_classes",
    _RESIZER,
    f"{_EXTRACTOR}.type",
    *(f"{_EXTRACTOR}.{name}" for name in _CONV),
    _SCALES,
    _ARGMAX,
    f"{SSD}.similarity_calculator.iou_similarity",
    _HEADS,
    *(f"{_HEADS}.{name}" for name in _CONV),
    _ANCHORS,
    f"{_ANCHORS}.aspect_ratios",
    f"{SSD}.post_processing",
    f"{SSD}.loss.localization_loss.weighted_smooth_l1",
    f"{SSD}.loss.classification_loss",
    "lstm_model",
    "lstm_model.train_unroll_length",
    "lstm_model.eval_unroll_length",
)
"""What a whole file must hold; the original cannot be built without it either."""

RULES = (*MODEL_RULES, *LOSS_RULES, *TRAIN_RULES, *DATA_RULES)
