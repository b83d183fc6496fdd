"""The messages of the original's pipeline files as a table: fields, types, defaults.

Each known field is one of these:

* plain: it has a counterpart in `lstd.config.config`; `lstd.tf1.pipeline_config` maps it.
* `only`: lstd can do these values and no others; anything else is an error.
* `absent`: it must not be given; the text says what is possible in its place.
* `note`: it is accepted and not used; the text says why.

Defaults are the original's, which hold when a file does not name the field.

Source: the field lists of `object_detection/protos` and `lstm_object_detection/protos` in
github.com/tensorflow/models; what has no effect was read off its `model_builder`, `trainer` and
`seq_dataset_builder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

NO_COUNTERPART = "without counterpart in lstd"
NO_EFFECT = "without effect in the original"
NO_8_BIT = (
    "nothing is trained in 8 bits: leave it out, and lstd-export --quantization int8 makes them of "
    "what float32 has learnt"
)


@dataclass(frozen=True)
class FieldSpec:
    """One field of a message; see the module's text for `only`, `absent` and `note`."""

    kind: Literal["int", "float", "bool", "string", "enum", "message"]
    default: Any = None
    choices: tuple[str, ...] = ()
    """enum: its names."""
    message: str = ""
    """message: its key in MESSAGES; empty for one that is not looked into."""
    repeated: bool = False
    only: tuple[Any, ...] = ()
    absent: str = ""
    note: str = ""
    one_of: bool = False
    """Of the fields marked so in a message, the one given last counts."""


def _int(default: int = 0, **rest: Any) -> FieldSpec:
    return FieldSpec("int", default, **rest)


def _float(default: float = 0.0, **rest: Any) -> FieldSpec:
    return FieldSpec("float", default, **rest)


def _bool(default: bool = False, **rest: Any) -> FieldSpec:
    return FieldSpec("bool", default, **rest)


def _string(default: str = "", **rest: Any) -> FieldSpec:
    return FieldSpec("string", default, **rest)


def _enum(*choices: str, default: str, **rest: Any) -> FieldSpec:
    return FieldSpec("enum", default, choices=choices, **rest)


def _message(name: str = "", **rest: Any) -> FieldSpec:
    return FieldSpec("message", message=name, **rest)


def _one_of(names: dict[str, str], *, absent: tuple[str, ...] = ()) -> dict[str, FieldSpec]:
    """Members of a oneof: those lstd can do, with their message types, then those it cannot."""
    possible = "possible: " + ", ".join(names)
    return {name: _message(kind, one_of=True) for name, kind in names.items()} | {
        name: _message(absent=possible, one_of=True) for name in absent
    }


def _unused(note: str, **fields: FieldSpec) -> dict[str, FieldSpec]:
    return {
        name: FieldSpec(**{**vars(field), "note": note, "only": (), "absent": ""})
        for name, field in fields.items()
    }


_EMPTY: dict[str, FieldSpec] = {}

_PIPELINE: dict[str, dict[str, FieldSpec]] = {
    "Pipeline": {
        "model": _message("DetectionModel"),
        "train_config": _message("TrainConfig"),
        "train_input_reader": _message("InputReader"),
        "eval_config": _message("EvalConfig"),
        "eval_input_reader": _message("InputReader", repeated=True),
        "lstm_model": _message("LstmModel"),
        "graph_rewriter": _message(absent=NO_8_BIT),
        "quant_overrides": _message(absent=NO_8_BIT),
    },
    "LstmModel": {
        "train_unroll_length": _int(),
        "eval_unroll_length": _int(),
        "lstm_state_depth": _int(256),
        "depth_multipliers": _float(repeated=True),
        "train_interleave_method": _string("RANDOM"),
        "eval_interleave_method": _string("SKIP9"),
        "pre_bottleneck": _bool(),
        "low_res": _bool(),
        "clip_state": _bool(True),
        "scale_state": _bool(),
        "is_quantized": _bool(),
        **_unused(NO_EFFECT, lstm_state_stride=_int(32)),
        **_unused(NO_COUNTERPART, flatten_state=_bool()),
    },
}

_MODEL: dict[str, dict[str, FieldSpec]] = {
    "DetectionModel": _one_of(
        {"ssd": "Ssd"}, absent=("faster_rcnn", "experimental_model", "center_net")
    ),
    "Ssd": {
        "num_classes": _int(),
        "image_resizer": _message("ImageResizer"),
        "feature_extractor": _message("SsdFeatureExtractor"),
        "box_coder": _message("BoxCoder"),
        "matcher": _message("Matcher"),
        "similarity_calculator": _message("RegionSimilarityCalculator"),
        "encode_background_as_zeros": _bool(only=(False,)),
        "negative_class_weight": _float(1.0, only=(1.0,)),
        "box_predictor": _message("BoxPredictor"),
        "anchor_generator": _message("AnchorGenerator"),
        "post_processing": _message("PostProcessing"),
        "normalize_loss_by_num_matches": _bool(True),
        "loss": _message("Loss"),
        **_unused(
            NO_EFFECT,
            normalize_loc_loss_by_codesize=_bool(),
            freeze_batchnorm=_bool(),
            inplace_batchnorm_update=_bool(),
            add_background_class=_bool(True),
            explicit_background_class=_bool(),
            use_confidences_as_targets=_bool(),
            implicit_example_weight=_float(1.0),
            return_raw_detections_during_predict=_bool(),
            mask_head_config=_message(),
        ),
    },
    "ImageResizer": _one_of(
        {"fixed_shape_resizer": "FixedShapeResizer"},
        absent=("keep_aspect_ratio_resizer", "identity_resizer", "conditional_shape_resizer"),
    ),
    "FixedShapeResizer": {
        "height": _int(300),
        "width": _int(300),
        "resize_method": _enum(
            "BILINEAR",
            "NEAREST_NEIGHBOR",
            "BICUBIC",
            "AREA",
            default="BILINEAR",
            only=("BILINEAR",),
        ),
        "convert_to_grayscale": _bool(),
    },
    "SsdFeatureExtractor": {
        "type": _string(),
        "depth_multiplier": _float(1.0),
        "min_depth": _int(16),
        "conv_hyperparams": _message("Hyperparams"),
        "override_base_feature_extractor_hyperparams": _bool(only=(False,)),
        # Sides are multiples of 32 here, so nothing is ever padded for these.
        "pad_to_multiple": _int(1, only=(1, 2, 4, 8, 16, 32)),
        "use_explicit_padding": _bool(only=(False,)),
        "use_depthwise": _bool(),
        **_unused(
            NO_EFFECT,
            fpn=_message(),
            bifpn=_message(),
            replace_preprocessor_with_placeholder=_bool(),
            num_layers=_int(6),
        ),
    },
    "Hyperparams": {
        "op": _enum("CONV", "FC", default="CONV", only=("CONV",)),
        "regularizer": _message("Regularizer"),
        "initializer": _message("Initializer"),
        "activation": _enum("NONE", "RELU", "RELU_6", "SWISH", default="RELU", only=("RELU_6",)),
        **_one_of({"batch_norm": "BatchNorm"}, absent=("group_norm",)),
        **_unused(NO_EFFECT, regularize_depthwise=_bool(), force_use_bias=_bool()),
    },
    "Regularizer": _one_of({"l2_regularizer": "L2Regularizer"}, absent=("l1_regularizer",)),
    "L2Regularizer": {"weight": _float(1.0)},
    "Initializer": _one_of(
        {"truncated_normal_initializer": "TruncatedNormalInitializer"},
        absent=("variance_scaling_initializer", "random_normal_initializer"),
    ),
    "TruncatedNormalInitializer": {"mean": _float(0.0, only=(0.0,)), "stddev": _float(1.0)},
    "BatchNorm": {
        "decay": _float(0.999),
        "center": _bool(True, only=(True,)),
        "scale": _bool(only=(True,)),
        "epsilon": _float(0.001),
        "train": _bool(True, only=(True,)),
    },
    "BoxCoder": _one_of(
        {"faster_rcnn_box_coder": "FasterRcnnBoxCoder"},
        absent=("mean_stddev_box_coder", "square_box_coder", "keypoint_box_coder"),
    ),
    "FasterRcnnBoxCoder": {
        "y_scale": _float(10.0),
        "x_scale": _float(10.0),
        "height_scale": _float(5.0),
        "width_scale": _float(5.0),
    },
    "Matcher": _one_of({"argmax_matcher": "ArgMaxMatcher"}, absent=("bipartite_matcher",)),
    "ArgMaxMatcher": {
        "matched_threshold": _float(0.5),
        "unmatched_threshold": _float(0.5),
        "ignore_thresholds": _bool(only=(False,)),
        "negatives_lower_than_unmatched": _bool(True, only=(True,)),
        "force_match_for_each_row": _bool(),
        **_unused(NO_COUNTERPART, use_matmul_gather=_bool()),
    },
    "RegionSimilarityCalculator": _one_of(
        {"iou_similarity": "IouSimilarity"},
        absent=("neg_sq_dist_similarity", "ioa_similarity", "thresholded_iou_similarity"),
    ),
    "IouSimilarity": _EMPTY,
    "BoxPredictor": _one_of(
        {"convolutional_box_predictor": "ConvolutionalBoxPredictor"},
        absent=(
            "mask_rcnn_box_predictor",
            "rfcn_box_predictor",
            "weight_shared_convolutional_box_predictor",
        ),
    ),
    "ConvolutionalBoxPredictor": {
        "conv_hyperparams": _message("Hyperparams"),
        # With both depths 0 the original inserts no layers before the heads, whatever it is told.
        "min_depth": _int(only=(0,)),
        "max_depth": _int(only=(0,)),
        "use_dropout": _bool(True, only=(False,)),
        "kernel_size": _int(1, only=(1, 3, 5)),
        "box_code_size": _int(4, only=(4,)),
        "apply_sigmoid_to_scores": _bool(only=(False,)),
        "class_prediction_bias_init": _float(0.0, only=(0.0,)),
        "use_depthwise": _bool(),
        "mask_head": _message(absent="lstd predicts boxes, not masks"),
        **_unused(
            NO_EFFECT, num_layers_before_predictor=_int(), dropout_keep_probability=_float(0.8)
        ),
    },
    "AnchorGenerator": _one_of(
        {"ssd_anchor_generator": "SsdAnchorGenerator"},
        absent=(
            "grid_anchor_generator",
            "multiscale_anchor_generator",
            "flexible_grid_anchor_generator",
        ),
    ),
    "SsdAnchorGenerator": {
        "num_layers": _int(6, only=(5,)),
        "min_scale": _float(0.2),
        "max_scale": _float(0.95),
        "scales": _float(repeated=True),
        "aspect_ratios": _float(repeated=True),
        "interpolated_scale_aspect_ratio": _float(1.0),
        "reduce_boxes_in_lowest_layer": _bool(True),
        "base_anchor_height": _float(1.0),
        "base_anchor_width": _float(1.0),
        **{
            name: _int(repeated=True, absent="anchors follow from the feature maps' sizes")
            for name in ("height_stride", "width_stride", "height_offset", "width_offset")
        },
    },
    "PostProcessing": {
        "batch_non_max_suppression": _message("BatchNonMaxSuppression"),
        "score_converter": _enum(
            "IDENTITY", "SIGMOID", "SOFTMAX", default="IDENTITY", only=("SIGMOID",)
        ),
        "logit_scale": _float(1.0, only=(1.0,)),
        "calibration_config": _message(absent="lstd does not calibrate scores"),
    },
    "BatchNonMaxSuppression": {
        "score_threshold": _float(0.0),
        "iou_threshold": _float(0.6),
        "max_detections_per_class": _int(100),
        "max_total_detections": _int(100),
        "use_class_agnostic_nms": _bool(only=(False,)),
        "soft_nms_sigma": _float(0.0, only=(0.0,)),
        "combined_nms": _bool(only=(False,)),
        "change_coordinate_frame": _bool(True, only=(True,)),
        **_unused(
            NO_COUNTERPART,
            use_static_shapes=_bool(),
            max_classes_per_detection=_int(1),
            use_partitioned_nms=_bool(),
            use_hard_nms=_bool(),
            use_cpu_nms=_bool(),
        ),
    },
    "Loss": {
        "localization_loss": _message("LocalizationLoss"),
        "classification_loss": _message("ClassificationLoss"),
        "hard_example_miner": _message("HardExampleMiner"),
        "classification_weight": _float(1.0),
        "localization_weight": _float(1.0),
        **_unused(
            NO_EFFECT,
            random_example_sampler=_message(),
            equalization_loss=_message(),
            expected_loss_weights=_enum(
                "NONE", "EXPECTED_SAMPLING", "REWEIGHTING_UNMATCHED_ANCHORS", default="NONE"
            ),
            min_num_negative_samples=_float(0.0),
            desired_negative_sampling_ratio=_float(3.0),
        ),
    },
    "LocalizationLoss": _one_of(
        {"weighted_smooth_l1": "WeightedSmoothL1"},
        absent=("weighted_l2", "weighted_iou", "l1_localization_loss", "weighted_giou"),
    ),
    "WeightedSmoothL1": {
        "delta": _float(1.0),
        **_unused(NO_EFFECT, anchorwise_output=_bool()),
    },
    "ClassificationLoss": _one_of(
        {"weighted_sigmoid": "WeightedSigmoid", "weighted_sigmoid_focal": "SigmoidFocal"},
        absent=(
            "weighted_softmax",
            "weighted_logits_softmax",
            "bootstrapped_sigmoid",
            "penalty_reduced_logistic_focal_loss",
            "weighted_dice_classification_loss",
        ),
    ),
    "WeightedSigmoid": _unused(NO_EFFECT, anchorwise_output=_bool()),
    "SigmoidFocal": {
        "gamma": _float(2.0),
        "alpha": _float(),
        **_unused(NO_EFFECT, anchorwise_output=_bool()),
    },
    "HardExampleMiner": {
        "num_hard_examples": _int(64),
        "iou_threshold": _float(0.7),
        "loss_type": _enum("BOTH", "CLASSIFICATION", "LOCALIZATION", default="BOTH"),
        "max_negatives_per_positive": _int(),
        "min_negatives_per_image": _int(),
    },
}

_TRAINING: dict[str, dict[str, FieldSpec]] = {
    "TrainConfig": {
        "batch_size": _int(32),
        "data_augmentation_options": _message("PreprocessingStep", repeated=True),
        "optimizer": _message("Optimizer"),
        "gradient_clipping_by_norm": _float(0.0),
        "fine_tune_checkpoint": _string(),
        "fine_tune_checkpoint_type": _string(),
        "from_detection_checkpoint": _bool(),
        "num_steps": _int(),
        "bias_grad_multiplier": _float(0.0, only=(0.0,)),
        "merge_multiple_label_boxes": _bool(only=(False,)),
        "add_regularization_loss": _bool(True, only=(True,)),
        **_unused(
            NO_EFFECT,
            load_all_detection_checkpoint_vars=_bool(),
            update_trainable_variables=_string(repeated=True),
            freeze_variables=_string(repeated=True),
            use_multiclass_scores=_bool(),
            max_number_of_boxes=_int(100),
            unpad_groundtruth_tensors=_bool(True),
            retain_original_images=_bool(),
        ),
        **_unused(
            NO_COUNTERPART,
            sync_replicas=_bool(),
            keep_checkpoint_every_n_hours=_int(1000),
            startup_delay_steps=_float(15.0),
            replicas_to_aggregate=_int(1),
            batch_queue_capacity=_int(150),
            num_batch_queue_threads=_int(8),
            prefetch_queue_capacity=_int(5),
        ),
    },
    "PreprocessingStep": _one_of(
        {
            "random_horizontal_flip": "RandomFlip",
            "random_vertical_flip": "RandomFlip",
            "ssd_random_crop": "SSDRandomCrop",
            "random_adjust_brightness": "RandomAdjustBrightness",
            "random_adjust_contrast": "RandomAdjustFactor",
            "random_adjust_saturation": "RandomAdjustFactor",
            "random_adjust_hue": "RandomAdjustHue",
            "random_distort_color": "RandomDistortColor",
            "random_rgb_to_gray": "RandomRGBtoGray",
        },
        absent=(
            "normalize_image",
            "random_pixel_value_scale",
            "random_image_scale",
            "random_jitter_boxes",
            "random_crop_image",
            "random_pad_image",
            "random_absolute_pad_image",
            "random_crop_pad_image",
            "random_crop_to_aspect_ratio",
            "random_black_patches",
            "random_resize_method",
            "random_rotation90",
            "random_self_concat_image",
            "rgb_to_gray",
            "scale_boxes_to_pixel_coordinates",
            "resize_image",
            "subtract_channel_mean",
            "convert_class_logits_to_softmax",
            "ssd_random_crop_pad",
            "ssd_random_crop_fixed_aspect_ratio",
            "ssd_random_crop_pad_fixed_aspect_ratio",
        ),
    ),
    "RandomFlip": {
        "probability": _float(0.5),
        **_unused(NO_COUNTERPART, keypoint_flip_permutation=_int(repeated=True)),
    },
    "SSDRandomCrop": {"operations": _message("SSDRandomCropOperation", repeated=True)},
    "SSDRandomCropOperation": {
        name: _float(0.0)
        for name in (
            "min_object_covered",
            "min_aspect_ratio",
            "max_aspect_ratio",
            "min_area",
            "max_area",
            "overlap_thresh",
            "random_coef",
        )
    },
    "RandomAdjustBrightness": {"max_delta": _float(0.2)},
    "RandomAdjustFactor": {"min_delta": _float(0.8), "max_delta": _float(1.25)},
    "RandomAdjustHue": {"max_delta": _float(0.02)},
    "RandomDistortColor": {"color_ordering": _int(0, only=(0, 1))},
    "RandomRGBtoGray": {"probability": _float(0.1)},
    "Optimizer": {
        **_one_of(
            {"rms_prop_optimizer": "RMSProp", "adam_optimizer": "Adam"},
            absent=("momentum_optimizer",),
        ),
        "use_moving_average": _bool(True),
        "moving_average_decay": _float(0.9999),
    },
    "RMSProp": {
        "learning_rate": _message("LearningRate"),
        "momentum_optimizer_value": _float(0.9),
        "decay": _float(0.9),
        "epsilon": _float(1.0),
    },
    "Adam": {"learning_rate": _message("LearningRate"), "epsilon": _float(1e-8)},
    "LearningRate": _one_of(
        {
            "constant_learning_rate": "ConstantRate",
            "exponential_decay_learning_rate": "ExponentialRate",
            "cosine_decay_learning_rate": "CosineRate",
        },
        absent=("manual_step_learning_rate",),
    ),
    "ConstantRate": {"learning_rate": _float(0.002)},
    "ExponentialRate": {
        "initial_learning_rate": _float(0.002),
        "decay_steps": _int(4000000),
        "decay_factor": _float(0.95),
        "staircase": _bool(True),
        "burnin_steps": _int(only=(0,)),
        "min_learning_rate": _float(0.0, only=(0.0,)),
        **_unused(NO_EFFECT, burnin_learning_rate=_float(0.0)),
    },
    "CosineRate": {
        "learning_rate_base": _float(0.002),
        "total_steps": _int(4000000),
        "warmup_steps": _int(10000),
        "hold_base_rate_steps": _int(),
        **_unused(NO_COUNTERPART, warmup_learning_rate=_float(0.0002)),
    },
}

_DATA: dict[str, dict[str, FieldSpec]] = {
    "InputReader": {
        "label_map_path": _string(),
        "shuffle": _bool(True),
        "shuffle_buffer_size": _int(2048),
        **_one_of(
            {"external_input_reader": "ExternalInputReader"}, absent=("tf_record_input_reader",)
        ),
        **_unused(
            NO_COUNTERPART,
            name=_string(),
            filenames_shuffle_buffer_size=_int(100),
            num_epochs=_int(),
            num_readers=_int(64),
            num_parallel_batches=_int(8),
            num_prefetch_batches=_int(2),
            queue_capacity=_int(2000),
            min_after_dequeue=_int(1000),
            read_block_length=_int(32),
            prefetch_size=_int(512),
            num_parallel_map_calls=_int(64),
        ),
        **_unused(
            NO_EFFECT,
            sample_1_of_n_examples=_int(1),
            num_additional_channels=_int(),
            num_keypoints=_int(),
            keypoint_type_weight=_float(repeated=True),
            max_number_of_boxes=_int(100),
            load_multiclass_scores=_bool(),
            load_context_features=_bool(),
            load_instance_masks=_bool(),
            mask_type=_enum("DEFAULT", "NUMERICAL_MASKS", "PNG_MASKS", default="NUMERICAL_MASKS"),
            load_dense_pose=_bool(),
            use_display_name=_bool(),
            include_source_id=_bool(),
            input_type=_enum(
                "INPUT_DEFAULT", "TF_EXAMPLE", "TF_SEQUENCE_EXAMPLE", default="TF_EXAMPLE"
            ),
            expand_labels_hierarchy=_bool(),
        ),
    },
    "ExternalInputReader": {"google_input_reader": _message("GoogleInputReader")},
    "GoogleInputReader": _one_of({"tf_record_video_input_reader": "TFRecordVideoInputReader"}),
    "TFRecordVideoInputReader": {
        "input_path": _string(repeated=True),
        "data_type": _enum(
            "UNSPECIFIED",
            "ANNOTATED_IMAGE",
            "TF_EXAMPLE",
            "TF_SEQUENCE_EXAMPLE",
            default="TF_SEQUENCE_EXAMPLE",
            only=("TF_SEQUENCE_EXAMPLE",),
        ),
        **_unused(NO_COUNTERPART, video_length=_int()),
    },
    "EvalConfig": {
        "use_moving_averages": _bool(),
        "min_score_threshold": _float(0.5),
        "metrics_set": _string(repeated=True),
        **_unused(
            NO_COUNTERPART,
            batch_size=_int(1),
            num_visualizations=_int(10),
            num_examples=_int(5000),
            eval_interval_secs=_int(300),
            max_evals=_int(),
            save_graph=_bool(),
            visualization_export_dir=_string(),
            eval_master=_string(),
            parameterized_metric=_message(repeated=True),
            export_path=_string(),
            ignore_groundtruth=_bool(),
            eval_instance_masks=_bool(),
            max_num_boxes_to_visualize=_int(20),
            skip_scores=_bool(),
            skip_labels=_bool(),
            visualize_groundtruth_boxes=_bool(),
            groundtruth_box_visualization_color=_string("black"),
            keep_image_id_for_visualization_export=_bool(),
            retain_original_images=_bool(True),
            include_metrics_per_category=_bool(),
            recall_lower_bound=_float(0.0),
            recall_upper_bound=_float(1.0),
            retain_original_image_additional_channels=_bool(),
            force_no_resize=_bool(),
            super_categories=_message(repeated=True),
        ),
    },
}

MESSAGES: dict[str, dict[str, FieldSpec]] = {**_PIPELINE, **_MODEL, **_TRAINING, **_DATA}
"""Message type -> field name -> what it is."""

EXTENSIONS = {
    "lstm_object_detection.protos.lstm_model": "lstm_model",
    "lstm_object_detection.protos.quant_overrides": "quant_overrides",
    "lstm_object_detection.protos.GoogleInputReader.google_input_reader": "google_input_reader",
    # The names of the original's first release, of 2018.
    "object_detection.protos.lstm_model": "lstm_model",
    "lstm_object_detection.input_readers.GoogleInputReader.google_input_reader": (
        "google_input_reader"
    ),
}
"""Full name of an extension -> the field of MESSAGES that stands for it."""
