"""The original's pipeline files: what they become, what they are warned of, what is refused."""

import warnings
from pathlib import Path

import pytest

from lstd.config import augmentation_config as kinds
from lstd.config import config as config_lib
from lstd.config import config_io
from lstd.config.config import Config
from lstd.config.config_io import ConfigError
from lstd.config.model_config import HardNegativeConfig, PostprocessingConfig
from lstd.config.train_config import LearningRateConfig, QuantizationConfig
from lstd.tf1 import mapping, pipeline_config
from lstd.tf1.load_config import load_config
from lstd.tf1.pipeline_config import PipelineConfigWarning
from lstd.tf1.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
ORIGINALS = REFERENCE / "original_configs"
needs_reference = pytest.mark.skipif(
    not ORIGINALS.is_dir(), reason="the original's configs are not beside the checkout"
)

CONV = """conv_hyperparams {
  activation: RELU_6,
  regularizer { l2_regularizer { weight: 0.0001 } }
  initializer { truncated_normal_initializer { stddev: 0.02 } }
  batch_norm { scale: true, decay: 0.99, epsilon: 0.01 }
}"""
INTERLEAVED = f"""
[lstm_object_detection.protos.lstm_model] {{
  train_unroll_length: 6
  eval_unroll_length: 8
  lstm_state_depth: 64
  depth_multipliers: [0.5, 0.35]
  pre_bottleneck: true
  low_res: true
  eval_interleave_method: 'SKIP7'
}}
model {{ ssd {{
  num_classes: 7
  image_resizer {{ fixed_shape_resizer {{ height: 96 width: 160 }} }}
  feature_extractor {{
    type: 'lstm_ssd_interleaved_mobilenet_v2'
    depth_multiplier: 0.25
    {CONV}
  }}
  box_coder {{ faster_rcnn_box_coder {{ x_scale: 9.0 }} }}
  matcher {{ argmax_matcher {{ }} }}
  similarity_calculator {{ iou_similarity {{ }} }}
  box_predictor {{ convolutional_box_predictor {{ use_dropout: false kernel_size: 3 {CONV} }} }}
  anchor_generator {{ ssd_anchor_generator {{ num_layers: 5 aspect_ratios: 1.0 }} }}
  post_processing {{ score_converter: SIGMOID }}
  loss {{
    localization_loss {{ weighted_smooth_l1 {{ }} }}
    classification_loss {{ weighted_sigmoid {{ }} }}
  }}
}} }}
train_config {{
  num_steps: 500
  optimizer {{
    rms_prop_optimizer {{ learning_rate {{ constant_learning_rate {{ learning_rate: 0.1 }} }} }}
  }}
}}
"""
SINGLE = INTERLEAVED.replace("lstm_ssd_interleaved_mobilenet_v2", "lstm_ssd_mobilenet_v1")


def read(text: str) -> Config:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PipelineConfigWarning)
        return pipeline_config.parse(text, source="x.config")


def warning_of(text: str) -> str:
    with pytest.warns(PipelineConfigWarning) as caught:
        pipeline_config.parse(text, source="x.config")
    assert len(caught) == 1
    return str(caught[0].message)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith("x.config")
    return str(caught.value)


def load(path: Path) -> Config:
    with pytest.warns(PipelineConfigWarning) as caught:
        config = load_config(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return config


def changed(old: str, new: str, *, text: str = INTERLEAVED) -> str:
    assert old in text
    return text.replace(old, new)


def differences(one: Config, other: Config) -> set[str]:
    """The dotted keys in which two configs differ."""

    def walk(first: object, second: object, place: str) -> set[str]:
        if isinstance(first, dict) and isinstance(second, dict):
            return {
                key
                for name in first
                for key in walk(first[name], second[name], f"{place}.{name}".lstrip("."))
            }
        return set() if first == second else {place}

    return walk(config_lib.to_dict(one), config_lib.to_dict(other), "")


# The original's own files.


@needs_reference
@pytest.mark.parametrize(
    ("original", "serialised"),
    [
        ("lstm_ssd_interleaved_mobilenet_v2_imagenet.config", "iv2_full.config"),
        ("lstm_ssd_mobilenet_v1_imagenet.config", "v1_full.config"),
    ],
)
def test_original_equals_its_reserialised_form(original: str, serialised: str) -> None:
    assert load(ORIGINALS / original) == load(REFERENCE / serialised)


@needs_reference
@pytest.mark.parametrize(
    ("original", "ours", "paths"),
    [
        ("lstm_ssd_interleaved_mobilenet_v2_imagenet", "interleaved_mobilenet_v2_imagenet_vid", ()),
        (
            "lstm_ssd_mobilenet_v1_imagenet",
            "lstm_ssd_mobilenet_v1_imagenet_vid",
            ("train.fine_tune.checkpoints",),
        ),
    ],
)
def test_our_yaml_differs_from_the_original_in_paths_only(
    original: str, ours: str, paths: tuple[str, ...]
) -> None:
    theirs = load(ORIGINALS / f"{original}.config")
    mine = load_config(ROOT / "configs" / f"{ours}.yaml")
    data = {"data.train.input_path", "data.evaluation.input_path", "data.label_map_path"}
    found_by_training = {"evaluation.min_score_threshold"}
    assert differences(theirs, mine) == {*data, *paths, *found_by_training}


@needs_reference
def test_one_warning_lists_what_the_interleaved_original_says_in_vain() -> None:
    path = ORIGINALS / "lstm_ssd_interleaved_mobilenet_v2_imagenet.config"
    message = warning_of(path.read_text(encoding="utf-8"))
    for words in (
        "without counterpart in lstd: train_config.batch_queue_capacity, train_config.prefetch",
        "train_input_reader...video_length",
        "without effect in the original: model...num_layers_before_predictor",
        "train_config...use_moving_average",
        "of 2 eval_input_reader blocks the first counts, as in the original",
        "train_config.num_steps is not given",
    ):
        assert words in message


# What becomes of the fields.


def test_every_known_field_is_mapped_checked_or_explained() -> None:
    mapped = {source.rpartition(".")[2] for source, _, _ in mapping.RULES}
    by_hand = {
        *("type", "num_steps", "use_moving_average", "moving_average_decay", "metrics_set"),
        *("fine_tune_checkpoint", "fine_tune_checkpoint_type", "from_detection_checkpoint"),
        *("label_map_path", "shuffle", "shuffle_buffer_size"),
        *("total_steps", "hold_base_rate_steps"),
        *("probability", "max_delta", "min_delta"),  # of the augmentations
        *("min_object_covered", "min_aspect_ratio", "max_aspect_ratio", "min_area", "max_area"),
        *("overlap_thresh", "random_coef"),
    }
    unused = {"MaskHead", "Fpn", "ExampleSampler", "EqualizationLoss", "Sigma", "Category"}
    unused |= {"QuantOverrides", "QuantConfig"}
    plain = {
        field.name
        for kind in SCHEMA.fields.keys() - unused - {"CocoKeypointMetrics", "ParameterizedMetric"}
        for field in SCHEMA.fields[kind].values()
        if field.type not in SCHEMA.fields and not field.only and field.section in ("", "one of")
    }
    assert plain - mapped == by_hand


def test_what_is_left_out_gets_the_default_of_the_original_not_ours() -> None:
    config = read(INTERLEAVED)
    assert config.model.postprocessing == PostprocessingConfig(0.0, 0.6, 100, 100)
    assert config.model.matching.force_match is False
    assert config.model.loss.localization_weight == 1.0
    assert config.model.loss.hard_negatives is None
    assert config.model.box_predictor.use_depthwise is False
    assert config.model.train_schedule == "RANDOM"
    assert config.train.optimizer.clip_norm == 0.0
    assert config.data.train.batch_size == 32
    assert config.evaluation.use_moving_averages is False


RATE = "constant_learning_rate { learning_rate: 0.1 }"
L2 = "regularizer { l2_regularizer { weight: 0.0001 } }"
MINED = "model.loss.hard_negatives"
CONVS = " ".join(
    f"model.{part}.l2_weight=0.0001 model.{part}.initializer_stddev=0.02 "
    f"model.{part}.batch_norm_decay=0.99 model.{part}.batch_norm_epsilon=0.01"
    for part in ("feature_extractor", "box_predictor.conv")
)


@pytest.mark.parametrize(
    ("old", "new", "settings"),
    [
        (
            "",
            "",
            "model.input_height=96 model.input_width=160 model.num_classes=7 model.state_depth=64 "
            "model.depth_multipliers=[0.5,0.35] model.feature_map_depth_multiplier=0.25 "
            "model.box_scale_factors=[10,9,5,5] data.train.unroll_length=6 data.train.height=96 "
            "data.evaluation.unroll_length=8 data.evaluation.width=160",
        ),
        ("", "", CONVS),
        ("lstm_state_depth: 64", "", "model.state_depth=256"),
        ("low_res: true", "low_res: false", "model.low_resolution=false"),
        ("height: 96", "convert_to_grayscale: true height: 96", "model.input_channels=1"),
        (L2, "", "model.feature_extractor.l2_weight=0 model.box_predictor.conv.l2_weight=0"),
        (
            "loss {\n",
            "loss { hard_example_miner { }\n",
            f"{MINED}.num_hard_examples=64 {MINED}.iou_threshold=0.7 {MINED}.loss_type=both "
            f"{MINED}.max_negatives_per_positive=0",
        ),
        (  # 0: all of them, more than there are anchors
            "loss {\n",
            "loss { hard_example_miner { num_hard_examples: 0 }\n",
            f"{MINED}.num_hard_examples=1000000",
        ),
        (
            "weighted_sigmoid { }",
            "weighted_sigmoid_focal { alpha: 0.75 }",
            "model.loss.classification=focal model.loss.focal_alpha=0.75 model.loss.focal_gamma=2",
        ),
        (
            "rms_prop_optimizer",
            "adam_optimizer",
            "train.optimizer.name=adam train.optimizer.epsilon=1.0e-8",
        ),
        (RATE, RATE, "train.learning_rate.schedule=constant train.learning_rate.initial=0.1"),
        (
            RATE,
            "exponential_decay_learning_rate { decay_steps: 7 staircase: false }",
            "train.learning_rate.schedule=exponential train.learning_rate.decay_steps=7 "
            "train.learning_rate.initial=0.002 train.learning_rate.staircase=false",
        ),
        ("", "", "train.moving_average_decay=0.9999 data.train.shuffle_buffer=32"),
        (
            "optimizer {\n",
            "optimizer { use_moving_average: false moving_average_decay: 0.9\n",
            "train.moving_average_decay=0.9999",
        ),
        (
            "optimizer {\n",
            "optimizer { moving_average_decay: 0.9\n",
            "train.moving_average_decay=0.9",
        ),
        (
            "num_steps: 500",
            "fine_tune_checkpoint: 'a/b, c,' fine_tune_checkpoint_type: 'lstm'",
            "train.fine_tune.checkpoints=[a/b,c] train.fine_tune.kind=lstm",
        ),
        (
            "num_steps",
            "from_detection_checkpoint: true num_steps",
            "train.fine_tune.kind=detection",
        ),
        (
            "num_steps",
            "from_detection_checkpoint: false num_steps",
            "train.fine_tune.kind=classification",
        ),
        (
            "num_steps",
            "from_detection_checkpoint: true fine_tune_checkpoint_type: 'lstm' num_steps",
            "train.fine_tune.kind=lstm",
        ),
        (
            "model {",
            "train_input_reader { shuffle_buffer_size: 5 } model {",
            "data.train.shuffle_buffer=5 data.evaluation.shuffle_buffer=0",
        ),
        (
            "model {",
            "train_input_reader { shuffle_buffer_size: 5 shuffle: false } model {",
            "data.train.shuffle_buffer=0",
        ),
    ],
)
def test_what_a_file_says_becomes(old: str, new: str, settings: str) -> None:
    assert old in INTERLEAVED
    config = read(INTERLEAVED.replace(old, new))
    assert config_io.override(config, settings.split()) == config


@pytest.mark.parametrize("stale", ["lstm_ssd_mobilenet_v1", "lstm_mobilenet_v1"])
def test_both_type_names_of_the_single_backbone_are_understood(stale: str) -> None:
    model = read(SINGLE.replace("lstm_ssd_mobilenet_v1", stale)).model
    assert (model.backbone, model.lstm_cell) == ("mobilenet_v1", "bottleneck")
    assert model.depth_multipliers == (0.25,)
    assert model.feature_map_depth_multiplier == 0.25


def test_lstm_fields_that_never_reach_the_single_backbone_are_named() -> None:
    message = warning_of(SINGLE)
    effect = message[message.index("without effect") :]
    for name in ("depth_multipliers", "pre_bottleneck", "low_res", "eval_interleave_method"):
        assert f"lstm_model.{name}" in effect


def test_names_of_the_first_release_are_understood() -> None:
    old = "[object_detection.protos.lstm_model]"
    text = changed("[lstm_object_detection.protos.lstm_model]", old)
    assert read(text) == read(INTERLEAVED)


# Training.


def test_cosine_ends_with_the_run_and_falls_after_warm_up_and_hold() -> None:
    cosine = (
        "cosine_decay_learning_rate { learning_rate_base: 0.4 total_steps: 1000 warmup_steps: 100 "
        "hold_base_rate_steps: 50 }"
    )
    text = changed(RATE, cosine)
    assert "differs from train_config.num_steps 500" in refusal(text)
    train = read(text.replace("num_steps: 500", "")).train
    assert train.steps == 1000
    rate = train.learning_rate
    assert (rate.schedule, rate.initial, rate.warmup_steps) == ("cosine", 0.4, 100)
    assert "warms up from a learning rate of 0.0002, lstd from 0" in warning_of(
        text.replace("num_steps: 500", "")
    )
    assert rate.hold_fraction == 0.15


def test_file_without_train_config_keeps_our_training() -> None:
    text = INTERLEAVED[: INTERLEAVED.index("train_config")]
    assert read(text).train == Config().train
    assert read(text).data.train.batch_size == Config().data.train.batch_size


def test_steps_stay_ours_where_the_original_never_stops() -> None:
    text = changed("num_steps: 500", "num_steps: 0")
    assert read(text).train.steps == Config().train.steps
    assert "train.steps is 400000" in warning_of(text)
    assert read(INTERLEAVED).train.steps == 500


CROP = kinds.CropOperation(0.25, 0.75, 1.5, 0.2, 0.9, 0.5, 0.125)
BARE_CROP = kinds.CropOperation(0.0, 1.0, 1.0, 0.5, 1.0, 0.0, 0.0)
DISTORTED = [
    kinds.Brightness(max_delta=32 / 255),
    kinds.Contrast(min_factor=0.5, max_factor=1.5),
    kinds.Saturation(min_factor=0.5, max_factor=1.5),
    kinds.Hue(max_delta=0.2),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (  # in their order
            ["ssd_random_crop { }", "random_horizontal_flip { probability: 0.25 }"],
            [kinds.SsdRandomCrop(), kinds.HorizontalFlip(probability=0.25)],
        ),
        (
            [
                """ssd_random_crop { operations {
                min_object_covered: 0.25 min_aspect_ratio: 0.75 max_aspect_ratio: 1.5
                min_area: 0.2 max_area: 0.9 overlap_thresh: 0.5 random_coef: 0.125 } operations {
                min_aspect_ratio: 1 max_aspect_ratio: 1 min_area: 0.5 max_area: 1 } }"""
            ],
            [kinds.SsdRandomCrop(operations=(CROP, BARE_CROP))],
        ),
        (["random_vertical_flip { }"], [kinds.VerticalFlip(probability=0.5)]),
        (["random_adjust_brightness { }"], [kinds.Brightness(max_delta=0.2)]),
        (
            ["random_adjust_contrast { min_delta: 0.5 }"],
            [kinds.Contrast(min_factor=0.5, max_factor=1.25)],
        ),
        (
            ["random_adjust_saturation { max_delta: 2 }"],
            [kinds.Saturation(min_factor=0.8, max_factor=2.0)],
        ),
        (["random_adjust_hue { max_delta: 0.1 }"], [kinds.Hue(max_delta=0.1)]),
        (["random_rgb_to_gray { }"], [kinds.Grayscale(probability=0.1)]),
        (["random_distort_color { color_ordering: 1 }"], DISTORTED),
    ],
)
def test_augmentations_keep_their_order_and_parameters(options: list, expected: list) -> None:
    blocks = " ".join(f"data_augmentation_options {{ {option} }}" for option in options)
    assert list(read(changed("num_steps: 500", blocks)).data.train.augmentation) == expected


# Data and evaluation.

READER = """external_input_reader {{
  [lstm_object_detection.protos.GoogleInputReader.google_input_reader] {{
    tf_record_video_input_reader: {{ input_path: {paths} video_length: 4 }} }} }}"""


def test_readers_give_paths_and_the_first_for_evaluation_counts() -> None:
    text = INTERLEAVED + (
        f"train_input_reader {{ label_map_path: 't' {READER.format(paths='[`a`, `b`]')} }}"
        f"eval_input_reader {{ label_map_path: 'e' {READER.format(paths='`c`')} }}\n"
        f"eval_input_reader {{ label_map_path: 'f' {READER.format(paths='`d`')} }}"
    ).replace("`", '"')
    config = read(text)
    assert config.data.train.input_path == ("a", "b")
    assert config.data.evaluation.input_path == ("c",)
    assert config.data.label_map_path == "e"
    assert "of 2 eval_input_reader blocks the first counts" in warning_of(text)


def test_other_metrics_than_coco_over_all_frames_are_named() -> None:
    ours = INTERLEAVED + 'eval_config { metrics_set: "coco_evaluation_all_frames" }'
    assert "metrics_set" not in warning_of(ours)
    assert "eval_config.metrics_set" in warning_of(ours.replace("coco_evaluation", "voc"))


def test_schedule_that_the_original_would_count_otherwise_is_named() -> None:
    assert "SKIP7" not in warning_of(INTERLEAVED)  # clips of 8 frames, a turn of 8
    message = warning_of(changed("eval_unroll_length: 8", "eval_unroll_length: 4"))
    assert (
        "SKIP7 counts the frames of the video; the original starts anew with every clip" in message
    )
    assert "schedule_counts: unroll" in message
    assert read(INTERLEAVED).model.schedule_counts == "video"


def test_training_in_8_bits_is_read() -> None:
    overrides = "[lstm_object_detection.protos.quant_overrides] { quant_configs { delay: 9 } }"
    text = changed("low_res: true", "low_res: true is_quantized: true") + overrides
    model = read(text).model
    assert (model.quantized_cell, model.int8) == (True, False)
    assert not read(INTERLEAVED).model.quantized_cell
    assert "without effect in the original: quant_overrides" in warning_of(text)
    assert "8 bits (lstm_model.is_quantized) cannot be exported without" in warning_of(text)
    assert "8 bits" not in warning_of(INTERLEAVED)

    text += "graph_rewriter { quantization { delay: 70 } }"
    config = read(text)
    assert config.train.quantization == QuantizationConfig(delay=70)
    assert config.model.int8
    assert "without counterpart in lstd: quant_overrides...delay" in warning_of(text)
    assert "cannot be exported" not in warning_of(text)
    assert read(INTERLEAVED + "graph_rewriter { }").train.quantization is None
    fragment = "graph_rewriter { quantization { delay: 3 } }"
    override = pipeline_config.apply_override(read(INTERLEAVED), fragment)
    assert override.train.quantization == QuantizationConfig(delay=3)


# What is refused.


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("num_classes: 7", "num_clases: 7", "unknown field 'num_clases' in Ssd; did you mean"),
        ("protos.lstm_model]", "protos.lstm_modl]", "'lstm_modl' in Pipeline; did you mean"),
        ("num_classes: 7", "num_classes: 7.5", "parse integer: 7.5 in 'num_classes: 7.5'"),
        ("activation: RELU_6", "activation: RELU6", "'RELU6' of activation; did you mean 'RELU"),
        ("num_classes: 7", f"num_classes: {'9' * 5000}", "parse integer: 999"),
        ("num_classes: 7", "model {" * 2000, "unknown field 'model' in Ssd"),
        ("low_res: true", "low_res: true }", "unknown field 'eval_interleave_method' in Pipeline"),
        (
            "num_steps: 500",
            "data_augmentation_options { random_rotation90 { } }",
            "possible: random_horizontal_flip, random_vertical_flip, ssd_random_crop",
        ),
    ],
)
def test_refused_with_its_line(old: str, new: str, problem: str) -> None:
    message = refusal(changed(old, new))
    assert problem in message
    line = INTERLEAVED[: INTERLEAVED.index(old)].count("\n") + 1
    last = line + (old == "low_res: true")  # a block closed too early is noticed below
    assert message.startswith(f"x.config, line {last}: ")
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "activation: RELU_6",
            "activation: RELU",
            "RELU is not available in lstd; possible: RELU_",
        ),
        ("activation: RELU_6,", "", "activation: is not given, which means RELU in the original"),
        ("weighted_sigmoid", "weighted_sigmoid_focal", "alpha: is not given"),
        ("pre_bottleneck: true", "", "pre_bottleneck: is not given, which means false"),
        ("pre_bottleneck: true", "pre_bottleneck: false", "false is not available in lstd"),
        ("low_res: true", "", "low_res: is not given. The original then takes false"),
        ("low_res: true", "low_res: true scale_state: true", "from lstm_model.clip_state, lstm_m"),
        ("[0.5, 0.35]", "0.5", "depth_multipliers: needs two numbers"),
        ("'SKIP7'", "'SKIP'", "unknown schedule 'SKIP'"),
        ("mobilenet_v2'", "mobilenet_v3'", "possible: lstm_ssd_interleaved_mobilenet_v2"),
        ("num_classes: 7", "num_classes: 0", "equal to 1, got 0; from model.ssd.num_classes"),
        ("num_steps: 500", "fine_tune_checkpoint: 'a'", "fine_tune_checkpoint_type: is missing"),
        ("num_steps: 500", "fine_tune_checkpoint_type: 'x'", "'x' is unknown; possible: classif"),
        ("num_steps: 500", "data_augmentation_options { }", "names no augmentation"),
        (
            "num_steps: 500",
            "data_augmentation_options { ssd_random_crop { operations { min_area: 0.5 } } }",
            "augmentation.0.operations.0.max_area: input should be greater than 0",
        ),
        (
            "train_config {",
            "graph_rewriter { quantization { weight_bits: 4 } } train_config {",
            "graph_rewriter.quantization.weight_bits: 4 is not available in lstd; possible: 8",
        ),
        (
            "train_config {",
            "quant_overrides { quant_configs { activation_bits: 16 } } train_config {",
            "quant_overrides.quant_configs[0].activation_bits: 16 is not available in lstd",
        ),
        (
            "train_config {",
            "graph_rewriter { quantization { } } train_config {",  # the original's default
            "quantization.delay is 500000, but the run has 500 steps",
        ),
        (INTERLEAVED, "", "no [lstm_object_detection.protos.lstm_model]"),
    ],
)
def test_value_is_refused_with_what_is_possible(old: str, new: str, problem: str) -> None:
    assert problem in refusal(changed(old, new))


def test_value_given_twice_counts_as_given_last() -> None:
    text = INTERLEAVED + "model { ssd { num_classes: 8 loss { classification_weight: 3 } } }"
    model = read(text).model
    assert (model.num_classes, model.loss.classification_weight) == (8, 3.0)


@pytest.mark.parametrize(
    ("first", "last", "name", "epsilon"),
    [
        ("rms_prop_optimizer", "adam_optimizer", "adam", 1e-8),
        ("adam_optimizer", "rms_prop_optimizer", "rms_prop", 1.0),
    ],
)
def test_last_member_of_a_choice_counts(first: str, last: str, name: str, epsilon: float) -> None:
    text = changed("rms_prop_optimizer", first)
    text += f"train_config {{ optimizer {{ {last} {{ learning_rate {{"
    text += " constant_learning_rate { learning_rate: 0.5 } } } } }"
    train = read(text).train
    assert (train.optimizer.name, train.optimizer.epsilon) == (name, epsilon)
    assert train.learning_rate.initial == 0.5


# Overrides.


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "configs" / "interleaved_mobilenet_v2_imagenet_vid.yaml")


EXPONENTIAL = "learning_rate { exponential_decay_learning_rate { initial_learning_rate: 0.5 } }"
LSTM = "[lstm_object_detection.protos.lstm_model]"


@pytest.mark.parametrize(
    ("fragment", "settings"),
    [
        (
            """model{ ssd{ post_processing { batch_non_max_suppression {
            score_threshold: 0.0 iou_threshold: 0.25 } } } }""",
            "model.postprocessing.score_threshold=0 model.postprocessing.iou_threshold=0.25",
        ),
        (
            "model { ssd { loss { localization_weight: 1.0 } } }",  # the file format's default
            "model.loss.localization_weight=1",
        ),
        (
            "model { ssd { box_coder { faster_rcnn_box_coder { width_scale: 4 } } } }",
            "model.box_scale_factors=[10,10,5,4]",
        ),
        (LSTM + "{ depth_multipliers: [1.0, 0.5] }", "model.depth_multipliers=[1.0,0.5]"),
        (
            LSTM + "{ eval_interleave_method: 'SKIP9' }",
            "model.eval_schedule=SKIP9 evaluation.schedules=[SKIP9]",
        ),
        (
            f"train_config {{ optimizer {{ rms_prop_optimizer {{ {EXPONENTIAL} }} }} }}",
            "train.learning_rate.initial=0.5",
        ),
    ],
)
def test_override_changes_what_it_names_and_nothing_else(
    config: Config, fragment: str, settings: str
) -> None:
    expected = config_io.override(config, settings.split())
    assert pipeline_config.apply_override(config, fragment) == expected != config


@pytest.mark.parametrize("fragment", ["", "# nothing", "model { ssd { } }"])
def test_empty_override_changes_nothing(config: Config, fragment: str) -> None:
    assert pipeline_config.apply_override(config, fragment) == config


def test_override_with_another_choice_brings_its_defaults(config: Config) -> None:
    warmed = config_io.override(
        config, ["train.learning_rate.schedule=cosine", "train.learning_rate.warmup_steps=10"]
    )
    fragment = f"train_config {{ optimizer {{ adam_optimizer {{ {EXPONENTIAL} }} }} }}"
    train = pipeline_config.apply_override(warmed, fragment).train
    assert (train.optimizer.name, train.optimizer.epsilon) == ("adam", 1e-8)
    assert train.learning_rate == LearningRateConfig("exponential", 0.5, 4000000, 0.95)


def test_override_opens_mining_that_was_off(config: Config) -> None:
    off = config_io.override(config, ["model.loss.hard_negatives=null"])
    other = pipeline_config.apply_override(off, "model { ssd { num_classes: 3 } }")
    assert other.model.loss.hard_negatives is None
    fragment = "model { ssd { loss { hard_example_miner { iou_threshold: 0.5 } } } }"
    mined = pipeline_config.apply_override(off, fragment).model.loss.hard_negatives
    assert mined == HardNegativeConfig(64, 0.5, "both", 0.0, 0)


def test_override_of_a_yaml_value_that_a_file_cannot_say_is_kept(config: Config) -> None:
    ours = config_io.override(config, ["train.steps=12", "model.groups=2"])
    fragment = "train_config { batch_size: 3 optimizer { use_moving_average: false } }"
    with pytest.warns(PipelineConfigWarning, match="use_moving_average"):
        result = pipeline_config.apply_override(ours, fragment)
    assert differences(ours, result) == {"data.train.batch_size"}


def test_override_equals_the_file_with_the_fragment_in_it() -> None:
    fragment = """model { ssd { num_classes: 9 matcher { argmax_matcher {
        matched_threshold: 0.75 } } feature_extractor { use_depthwise: true } } }
        train_config { gradient_clipping_by_norm: 3 num_steps: 77 }
        eval_config { min_score_threshold: 0.125 }"""
    overridden = pipeline_config.apply_override(read(INTERLEAVED), fragment)
    assert overridden == read(INTERLEAVED + fragment)


@pytest.mark.parametrize(
    ("fragment", "problem"),
    [
        ("model { ssd { num_clases: 3 } }", "line 1: unknown field 'num_clases'"),
        ("model {", 'line 1: expected "}"'),
        ("model { ssd { num_classes: 0 } }", "model.num_classes: input should be greater"),
        (
            "model { ssd { feature_extractor { type: 'lstm_ssd_mobilenet_v1' } } }",
            "an override cannot change the type",
        ),
        (
            "[lstm_object_detection.protos.lstm_model] { pre_bottleneck: false }",
            "false is not available",
        ),
        (
            "[lstm_object_detection.protos.lstm_model] { scale_state: true }",
            "clip_state and scale_state exclude each other",
        ),
    ],
)
def test_bad_overrides_are_refused(config: Config, fragment: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline_config.apply_override(config, fragment)
    assert str(caught.value).startswith("--config_override")
    assert problem in str(caught.value)
