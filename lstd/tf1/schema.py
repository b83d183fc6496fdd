"""The fields of the original's pipeline files, as a table, and what a file says of them.

Fields without a section have a counterpart in `lstd.config`, by `lstd.tf1.mapping`. `in (...)`
lists all values that lstd can do. What is `refused` must not be given; fields of the other two
sections are accepted and not used. Defaults are the original's.

Source: `object_detection/protos` and `lstm_object_detection/protos` in
github.com/tensorflow/models; what has no effect was read off its `model_builder`, `trainer` and
`seq_dataset_builder`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lstd.base.protos import ONE_OF, REFUSED, Field, Schema
from lstd.config.config_io import ConfigError

NO_COUNTERPART = "without counterpart in lstd"
NO_EFFECT = "without effect in the original"

_NO_STRIDES = "anchors follow from the feature maps' sizes"
REASONS = {
    **dict.fromkeys(
        ("height_stride", "width_stride", "height_offset", "width_offset"), _NO_STRIDES
    ),
    "pre_bottleneck": (
        "possible: true, as in the published config; without it the two backbones would have to "
        "end in equally many channels"
    ),
    "mask_head": "lstd predicts boxes, not masks",
    "calibration_config": "lstd does not calibrate scores",
}
"""Why a field, or a value of it, is refused, where no list of what is possible says it."""

_MESSAGES = {
    "Pipeline": """
        DetectionModel model; TrainConfig train_config; InputReader train_input_reader;
        EvalConfig eval_config; repeated InputReader eval_input_reader; LstmModel lstm_model;
        GraphRewriter graph_rewriter; QuantOverrides quant_overrides""",
    "GraphRewriter": "Quantization quantization",
    "Quantization": """
        int delay = 500000; int weight_bits = 8 in (8); int activation_bits = 8 in (8);
        bool symmetric in (false)""",
    # What is rounded in the original beside what the graph_rewriter finds; lstd rounds everything.
    "QuantOverrides": "repeated QuantConfig quant_configs",
    "QuantConfig": """
        int weight_bits = 8 in (8); int activation_bits = 8 in (8);
        without counterpart in lstd: string op_name; string quant_op_name; bool fixed_range;
        float min = -6; float max = 6; int delay = 500000""",
    "LstmModel": """
        int train_unroll_length; int eval_unroll_length; int lstm_state_depth = 256;
        repeated float depth_multipliers; string train_interleave_method = RANDOM;
        string eval_interleave_method = SKIP9; bool pre_bottleneck in (true); bool low_res;
        bool clip_state = true; bool scale_state; bool is_quantized;
        without effect in the original: int lstm_state_stride = 32;
        without counterpart in lstd: bool flatten_state""",
    "DetectionModel": """
        one of: Ssd ssd;
        refused: faster_rcnn; experimental_model; center_net""",
    "Ssd": """
        int num_classes; ImageResizer image_resizer; SsdFeatureExtractor feature_extractor;
        BoxCoder box_coder; Matcher matcher; RegionSimilarityCalculator similarity_calculator;
        bool encode_background_as_zeros in (false); float negative_class_weight = 1 in (1);
        BoxPredictor box_predictor; AnchorGenerator anchor_generator;
        PostProcessing post_processing; bool normalize_loss_by_num_matches = true; Loss loss;
        without effect in the original: bool normalize_loc_loss_by_codesize;
        bool freeze_batchnorm; bool inplace_batchnorm_update; bool add_background_class = true;
        bool explicit_background_class; bool use_confidences_as_targets;
        float implicit_example_weight = 1; bool return_raw_detections_during_predict;
        MaskHead mask_head_config""",
    "MaskHead": """
        int mask_height; int mask_width; bool masks_are_class_agnostic;
        int mask_prediction_conv_depth; int mask_prediction_num_conv_layers;
        bool convolve_then_upsample_masks; float mask_loss_weight; int mask_loss_sample_size;
        Hyperparams conv_hyperparams; int initial_crop_size""",
    "ImageResizer": """
        one of: FixedShapeResizer fixed_shape_resizer;
        refused: keep_aspect_ratio_resizer; identity_resizer; conditional_shape_resizer""",
    "FixedShapeResizer": """
        int height = 300; int width = 300; bool convert_to_grayscale;
        BILINEAR|NEAREST_NEIGHBOR|BICUBIC|AREA resize_method = BILINEAR in (BILINEAR)""",
    # Sides are multiples of 32 here, so nothing is ever padded for pad_to_multiple.
    "SsdFeatureExtractor": """
        string type; float depth_multiplier = 1; int min_depth = 16; Hyperparams conv_hyperparams;
        bool override_base_feature_extractor_hyperparams in (false);
        int pad_to_multiple = 1 in (1 2 4 8 16 32); bool use_explicit_padding in (false);
        bool use_depthwise;
        without effect in the original: Fpn fpn; Fpn bifpn;
        bool replace_preprocessor_with_placeholder; int num_layers = 6""",
    "Fpn": """
        int min_level; int max_level; int additional_layer_depth; int num_iterations;
        int num_filters; string combine_method""",
    "Hyperparams": """
        CONV|FC op = CONV in (CONV); Regularizer regularizer; Initializer initializer;
        NONE|RELU|RELU_6|SWISH activation = RELU in (RELU_6);
        one of: BatchNorm batch_norm;
        refused: group_norm;
        without effect in the original: bool regularize_depthwise; bool force_use_bias""",
    "Regularizer": "one of: L2Regularizer l2_regularizer; refused: l1_regularizer",
    "L2Regularizer": "float weight = 1",
    "Initializer": """
        one of: TruncatedNormalInitializer truncated_normal_initializer;
        refused: variance_scaling_initializer; random_normal_initializer""",
    "TruncatedNormalInitializer": "float mean in (0); float stddev = 1",
    "BatchNorm": """
        float decay = 0.999; bool center = true in (true); bool scale in (true);
        float epsilon = 0.001; bool train = true in (true)""",
    "BoxCoder": """
        one of: FasterRcnnBoxCoder faster_rcnn_box_coder;
        refused: mean_stddev_box_coder; square_box_coder; keypoint_box_coder""",
    "FasterRcnnBoxCoder": """
        float y_scale = 10; float x_scale = 10; float height_scale = 5; float width_scale = 5""",
    "Matcher": "one of: ArgMaxMatcher argmax_matcher; refused: bipartite_matcher",
    "ArgMaxMatcher": """
        float matched_threshold = 0.5; float unmatched_threshold = 0.5;
        bool ignore_thresholds in (false); bool negatives_lower_than_unmatched = true in (true);
        bool force_match_for_each_row;
        without counterpart in lstd: bool use_matmul_gather""",
    "RegionSimilarityCalculator": """
        one of: Empty iou_similarity;
        refused: neg_sq_dist_similarity; ioa_similarity; thresholded_iou_similarity""",
    "Empty": "",
    "BoxPredictor": """
        one of: ConvolutionalBoxPredictor convolutional_box_predictor;
        refused: mask_rcnn_box_predictor; rfcn_box_predictor;
        weight_shared_convolutional_box_predictor""",
    # With both depths 0 the original inserts no layers before the heads, whatever it is told.
    "ConvolutionalBoxPredictor": """
        Hyperparams conv_hyperparams; int min_depth in (0); int max_depth in (0);
        bool use_dropout = true in (false); int kernel_size = 1 in (1 3 5);
        int box_code_size = 4 in (4); bool apply_sigmoid_to_scores in (false);
        float class_prediction_bias_init in (0); bool use_depthwise;
        refused: mask_head;
        without effect in the original: int num_layers_before_predictor;
        float dropout_keep_probability = 0.8""",
    "AnchorGenerator": """
        one of: SsdAnchorGenerator ssd_anchor_generator;
        refused: grid_anchor_generator; multiscale_anchor_generator;
        flexible_grid_anchor_generator""",
    "SsdAnchorGenerator": """
        int num_layers = 6 in (5); float min_scale = 0.2; float max_scale = 0.95;
        repeated float scales; repeated float aspect_ratios;
        float interpolated_scale_aspect_ratio = 1; bool reduce_boxes_in_lowest_layer = true;
        float base_anchor_height = 1; float base_anchor_width = 1;
        refused: height_stride; width_stride; height_offset; width_offset""",
    "PostProcessing": """
        BatchNonMaxSuppression batch_non_max_suppression; float logit_scale = 1 in (1);
        IDENTITY|SIGMOID|SOFTMAX score_converter = IDENTITY in (SIGMOID);
        refused: calibration_config""",
    "BatchNonMaxSuppression": """
        float score_threshold; float iou_threshold = 0.6; int max_detections_per_class = 100;
        int max_total_detections = 100; bool use_class_agnostic_nms in (false);
        float soft_nms_sigma in (0); bool combined_nms in (false);
        bool change_coordinate_frame = true in (true);
        without counterpart in lstd: bool use_static_shapes; int max_classes_per_detection = 1;
        bool use_partitioned_nms; bool use_hard_nms; bool use_cpu_nms""",
    "Loss": """
        LocalizationLoss localization_loss; ClassificationLoss classification_loss;
        HardExampleMiner hard_example_miner; float classification_weight = 1;
        float localization_weight = 1;
        without effect in the original: ExampleSampler random_example_sampler;
        EqualizationLoss equalization_loss; float min_num_negative_samples;
        float desired_negative_sampling_ratio = 3;
        NONE|EXPECTED_SAMPLING|REWEIGHTING_UNMATCHED_ANCHORS expected_loss_weights = NONE""",
    "ExampleSampler": "float positive_sample_fraction",
    "EqualizationLoss": "float weight; repeated string exclude_prefixes",
    "LocalizationLoss": """
        one of: WeightedSmoothL1 weighted_smooth_l1;
        refused: weighted_l2; weighted_iou; l1_localization_loss; weighted_giou""",
    "WeightedSmoothL1": """
        float delta = 1;
        without effect in the original: bool anchorwise_output""",
    "ClassificationLoss": """
        one of: WeightedSigmoid weighted_sigmoid; SigmoidFocal weighted_sigmoid_focal;
        refused: weighted_softmax; weighted_logits_softmax; bootstrapped_sigmoid;
        penalty_reduced_logistic_focal_loss; weighted_dice_classification_loss""",
    "WeightedSigmoid": "without effect in the original: bool anchorwise_output",
    "SigmoidFocal": """
        float gamma = 2; float alpha;
        without effect in the original: bool anchorwise_output""",
    "HardExampleMiner": """
        int num_hard_examples = 64; float iou_threshold = 0.7;
        BOTH|CLASSIFICATION|LOCALIZATION loss_type = BOTH; int max_negatives_per_positive;
        int min_negatives_per_image""",
    "TrainConfig": """
        int batch_size = 32; repeated PreprocessingStep data_augmentation_options;
        Optimizer optimizer; float gradient_clipping_by_norm; string fine_tune_checkpoint;
        string fine_tune_checkpoint_type; bool from_detection_checkpoint; int num_steps;
        float bias_grad_multiplier in (0); bool merge_multiple_label_boxes in (false);
        bool add_regularization_loss = true in (true);
        without effect in the original: bool load_all_detection_checkpoint_vars;
        repeated string update_trainable_variables; repeated string freeze_variables;
        bool use_multiclass_scores; int max_number_of_boxes = 100;
        bool unpad_groundtruth_tensors = true; bool retain_original_images;
        without counterpart in lstd: bool sync_replicas; int keep_checkpoint_every_n_hours = 1000;
        float startup_delay_steps = 15; int replicas_to_aggregate = 1;
        int batch_queue_capacity = 150; int num_batch_queue_threads = 8;
        int prefetch_queue_capacity = 5""",
    "PreprocessingStep": """
        one of: RandomFlip random_horizontal_flip; RandomFlip random_vertical_flip;
        SSDRandomCrop ssd_random_crop; RandomAdjustBrightness random_adjust_brightness;
        RandomAdjustFactor random_adjust_contrast; RandomAdjustFactor random_adjust_saturation;
        RandomAdjustHue random_adjust_hue; RandomDistortColor random_distort_color;
        RandomRGBtoGray random_rgb_to_gray;
        refused: normalize_image; random_pixel_value_scale; random_image_scale;
        random_jitter_boxes; random_crop_image; random_pad_image; random_absolute_pad_image;
        random_crop_pad_image; random_crop_to_aspect_ratio; random_black_patches;
        random_resize_method; random_rotation90; random_self_concat_image; rgb_to_gray;
        scale_boxes_to_pixel_coordinates; resize_image; subtract_channel_mean;
        convert_class_logits_to_softmax; ssd_random_crop_pad; ssd_random_crop_fixed_aspect_ratio;
        ssd_random_crop_pad_fixed_aspect_ratio""",
    "RandomFlip": """
        float probability = 0.5;
        without counterpart in lstd: repeated int keypoint_flip_permutation""",
    "SSDRandomCrop": "repeated SSDRandomCropOperation operations",
    "SSDRandomCropOperation": """
        float min_object_covered; float min_aspect_ratio; float max_aspect_ratio; float min_area;
        float max_area; float overlap_thresh; float random_coef""",
    "RandomAdjustBrightness": "float max_delta = 0.2",
    "RandomAdjustFactor": "float min_delta = 0.8; float max_delta = 1.25",
    "RandomAdjustHue": "float max_delta = 0.02",
    "RandomDistortColor": "int color_ordering in (0 1)",
    "RandomRGBtoGray": "float probability = 0.1",
    "Optimizer": """
        bool use_moving_average = true; float moving_average_decay = 0.9999;
        one of: RMSProp rms_prop_optimizer; Adam adam_optimizer;
        refused: momentum_optimizer""",
    "RMSProp": """
        LearningRate learning_rate; float momentum_optimizer_value = 0.9; float decay = 0.9;
        float epsilon = 1""",
    "Adam": "LearningRate learning_rate; float epsilon = 1e-8",
    "LearningRate": """
        one of: ConstantRate constant_learning_rate;
        ExponentialRate exponential_decay_learning_rate; CosineRate cosine_decay_learning_rate;
        refused: manual_step_learning_rate""",
    "ConstantRate": "float learning_rate = 0.002",
    "ExponentialRate": """
        float initial_learning_rate = 0.002; int decay_steps = 4000000; float decay_factor = 0.95;
        bool staircase = true; int burnin_steps in (0); float min_learning_rate in (0);
        without effect in the original: float burnin_learning_rate""",
    "CosineRate": """
        float learning_rate_base = 0.002; int total_steps = 4000000; int warmup_steps = 10000;
        int hold_base_rate_steps;
        without counterpart in lstd: float warmup_learning_rate = 0.0002""",
    "InputReader": """
        string label_map_path; bool shuffle = true; int shuffle_buffer_size = 2048;
        one of: ExternalInputReader external_input_reader;
        refused: tf_record_input_reader;
        without counterpart in lstd: string name; int filenames_shuffle_buffer_size = 100;
        int num_epochs; int num_readers = 64; int num_parallel_batches = 8;
        int num_prefetch_batches = 2; int queue_capacity = 2000; int min_after_dequeue = 1000;
        int read_block_length = 32; int prefetch_size = 512; int num_parallel_map_calls = 64;
        without effect in the original: int sample_1_of_n_examples = 1;
        int num_additional_channels; int num_keypoints; repeated float keypoint_type_weight;
        int max_number_of_boxes = 100; bool load_multiclass_scores; bool load_context_features;
        bool load_instance_masks; DEFAULT|NUMERICAL_MASKS|PNG_MASKS mask_type = NUMERICAL_MASKS;
        bool load_dense_pose; bool use_display_name; bool include_source_id;
        INPUT_DEFAULT|TF_EXAMPLE|TF_SEQUENCE_EXAMPLE input_type = TF_EXAMPLE;
        bool expand_labels_hierarchy""",
    "ExternalInputReader": "GoogleInputReader google_input_reader",
    "GoogleInputReader": "one of: TFRecordVideoInputReader tf_record_video_input_reader",
    "TFRecordVideoInputReader": """
        repeated string input_path; UNSPECIFIED|ANNOTATED_IMAGE|TF_EXAMPLE|TF_SEQUENCE_EXAMPLE
        data_type = TF_SEQUENCE_EXAMPLE in (TF_SEQUENCE_EXAMPLE);
        without counterpart in lstd: int video_length""",
    "EvalConfig": """
        bool use_moving_averages; float min_score_threshold = 0.5; repeated string metrics_set;
        without counterpart in lstd: int batch_size = 1; int num_visualizations = 10;
        int num_examples = 5000; int eval_interval_secs = 300; int max_evals; bool save_graph;
        string visualization_export_dir; string eval_master;
        repeated ParameterizedMetric parameterized_metric; string export_path;
        bool ignore_groundtruth; bool eval_instance_masks; int max_num_boxes_to_visualize = 20;
        bool skip_scores; bool skip_labels; bool visualize_groundtruth_boxes;
        string groundtruth_box_visualization_color = black;
        bool keep_image_id_for_visualization_export; bool retain_original_images = true;
        bool include_metrics_per_category; float recall_lower_bound;
        float recall_upper_bound = 1; bool retain_original_image_additional_channels;
        bool force_no_resize; repeated Category super_categories""",
    "ParameterizedMetric": "CocoKeypointMetrics coco_keypoint_metrics",
    "CocoKeypointMetrics": "string class_label; repeated Sigma keypoint_label_to_sigmas",
    "Sigma": "string key; float value",
    "Category": "string key; string value",
}

SCHEMA = Schema(_MESSAGES, reasons=REASONS)

# Extensions are fields here, so that an unknown one gets its closest match as well. They had other
# packages in the original's first release, of 2018.
_EXTENSION = re.compile(r"\[[ \t]*(?:lstm_)?object_detection\.[\w.]*?(\w+)[ \t]*\](?=\s*[:{<])")

_OPTIONAL = ("train_config", "hard_example_miner", "graph_rewriter", "quantization")
"""Blocks without which their fields have no value, not even a default; as it is with choices."""


class Given(NamedTuple):
    """A field of a message; its value is the original's default where it is not given."""

    path: str
    field: Field
    value: Any
    is_given: bool


class Fields:
    """What a file, or a fragment of one, says by path, such as `model.ssd.num_classes`.

    Of a repeated block, the first counts. A text that cannot be read is a `ConfigError`, see
    `protos.Schema.read`.
    """

    def __init__(self, text: str, *, source: str) -> None:
        self.source = source
        try:
            self.message = SCHEMA.read(_EXTENSION.sub(r"\1", text), source=source)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def __contains__(self, path: str) -> bool:
        """Returns whether the file names the path."""
        return self._look(path)[-1].is_given

    def __getitem__(self, path: str) -> Any:
        """Returns the value, or the original's default."""
        return self._look(path)[-1].value

    def applies(self, path: str) -> bool:
        """Returns whether the path lies in no block, left out, without which it has no value."""
        return all(
            block.is_given
            or not (
                block.field.repeated
                or block.field.section == ONE_OF
                or block.field.name in _OPTIONAL
            )
            for block in self._look(path)[: path.count(".")]
        )

    def each(self) -> Iterator[Given]:
        """Yields every field of each block that is given, except within blocks without use."""
        return _each(self.message, "")

    def error(self, problem: str) -> ConfigError:
        """Returns the error that names the source before the problem."""
        return ConfigError(f"{self.source}: {problem}")

    def _look(self, path: str) -> list[Given]:
        """Returns the fields along a path; a repeated block that has none ends it."""
        message, along = self.message, []
        for name in path.split("."):
            found = _look(message, name, path)
            along.append(found)
            message = found.value
            if found.field.repeated and found.field.type in SCHEMA.fields:
                if not found.is_given:
                    break
                message = message[0]
        return along


def _each(message: Any, place: str) -> Iterator[Given]:
    for name, field in SCHEMA.fields[message.DESCRIPTOR.name].items():
        if field.section == REFUSED:
            continue
        found = _look(message, name, f"{place}{name}")
        yield found
        is_used = found.is_given and field.section not in (NO_EFFECT, NO_COUNTERPART)
        if is_used and field.type in SCHEMA.fields:
            for number, block in enumerate(found.value if field.repeated else [found.value]):
                index = f"[{number}]" if field.repeated else ""
                yield from _each(block, f"{found.path}{index}.")


def _look(message: Any, name: str, path: str) -> Given:
    field = SCHEMA.fields[message.DESCRIPTOR.name][name]
    value = getattr(message, name)
    if field.repeated:
        is_block = field.type in SCHEMA.fields
        return Given(path, field, value if is_block else list(value), bool(value))
    return Given(path, field, field.names[value] if field.names else value, message.HasField(name))
