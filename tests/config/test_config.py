"""Configs: YAML in and out, overrides, and what their errors say."""

import dataclasses
from pathlib import Path

import pytest

import lstd
from lstd.config import augmentation_config, config_io
from lstd.config.config import Config
from lstd.config.config_io import ConfigError
from lstd.config.model_config import ConvConfig, HardNegativeConfig, ModelConfig
from lstd.tf1.load_config import load_config

CONFIGS = Path(__file__).resolve().parent.parents[1] / "configs"


def load(folder: Path, text: str) -> Config:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert str(folder / "x.yaml") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "model: {}\n"])
def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Config()


def test_values_arrive_with_their_types(tmp_path: Path) -> None:
    text = """
model:
  depth_multipliers: [0.5]
  labels: [ant, bee]
  num_classes: 2
  low_resolution: false
  box_scale_factors: [10, 10, 5, 5]
  loss: {hard_negatives: null}
data:
  train:
    augmentation: [{name: vertical_flip, probability: 1}]
"""
    config = load(tmp_path, text)
    assert config.model.depth_multipliers == (0.5,)
    assert config.model.labels == ("ant", "bee")
    assert config.model.low_resolution is False
    assert config.model.loss.hard_negatives is None
    assert isinstance(config.model.box_scale_factors[0], float)
    (augmentation,) = config.data.train.augmentation
    assert augmentation == augmentation_config.VerticalFlip(probability=1.0)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_saved_config_loads_equal(tmp_path: Path, path: Path) -> None:
    config = load_config(path)
    config_io.save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
    assert [file.name for file in tmp_path.iterdir()] == ["saved.yaml"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_config_opens_with_paper_command_duration_and_result(path: Path) -> None:
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for word in ("Paper:", "Command:", "Duration:", "Result:"):
        assert any(line.startswith(f"# {word}") for line in head), word
    assert any(f"configs/{path.name}" in line for line in head)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modle: {}", "unknown key 'modle'; did you mean 'model'?"),
        ("model: {num_clases: 3}", "unknown key 'model.num_clases'; did you mean 'num_classes'?"),
        (
            "data: {train: {augmentation: [{name: horizontal_flp}]}}",
            "augmentation.0.name: unknown name 'horizontal_flp'; did you mean 'horizontal_flip'?",
        ),
        (
            "data: {train: {augmentation: [{name: brightness, max_delt: 0.1}]}}",
            "unknown key 'data.train.augmentation.0.max_delt'; did you mean 'max_delta'?",
        ),
        (
            "data: {train: {augmentation: [{name: brightness, min_factor: 0.1}]}}",
            "augmentation.0.min_factor'; expected one of name, probability, max_delta",
        ),
        (
            "data: {train: {augmentation: [{probability: 0.1}]}}",
            "augmentation.0: 'name' is missing; expected one of horizontal_flip, vertical_flip",
        ),
        (
            "model: {loss: {hard_negatives: {iou_treshold: 0.5}}}",
            "unknown key 'model.loss.hard_negatives.iou_treshold'; did you mean 'iou_threshold'?",
        ),
        ("export: {zzz: 1}", "unknown key 'export.zzz'; expected one of max_detections"),
        ("model: {num_classes: three}", 'classes: input should be a valid integer, got "three"'),
        ("model: {num_classes: 2.5}", "num_classes: input should be a valid integer, got 2.5"),
        ("model: {low_resolution: 1}", "low_resolution: input should be a valid boolean, got 1"),
        (
            "model: {backbone: resnet}",
            "model.backbone: input should be 'mobilenet_v1' or 'mobilenet_v2', got \"resnet\"",
        ),
        ("model: 3", "model: input should be a section, got 3"),
        ("train: {freeze: a}", 'train.freeze: input should be a list, got "a"'),
        ("train: {steps: 0}", "train.steps: input should be greater than or equal to 1, got 0"),
        ("data: {train: {batch_size: 0}}", "data.train.batch_size: input should be greater"),
        (
            "train: {learning_rate: {initial: 1e-3}}",
            'train.learning_rate.initial: input should be a valid number, got "1e-3"; YAML reads '
            "'1e-3' as text, write 0.001",
        ),
        ("a: [1\nb: 2", "line 2: not valid YAML"),
        ("- 1\n- 2", "expected sections such as `model:`, found list"),
        ("just text", "expected sections such as `model:`, found str"),
        ("train: {seed: 2001-99-99}", "line 1: not valid YAML: '2001-99-99' is no timestamp"),
        ("base: {a: 1}", "base: expected the name of a config or a YAML file, got {'a': 1}"),
        ("base: missing", "base: no config 'missing' comes with lstd, and no such file stands"),
        ("base: x.yaml", "base: x.yaml has this file for its own base"),
        ("base: old.config", "base: expected the name of a config or a YAML file, got old.config"),
    ],
)
def test_what_no_config_says_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"state_depth": 30}, "state_depth 30 is not divisible by groups 4"),
        ({"scale_state": True}, "clip_state and scale_state exclude each other"),
        ({"input_height": 300}, "input_height\n.*multiple of 32"),
        ({"input_width": 32}, "input_width\n.*greater than or equal to 64"),
        ({"labels": ("ant",)}, "labels has 1 names for num_classes 30; set both"),
        ({"labels": ("ant", "ant"), "num_classes": 2}, "labels holds a name twice"),
        ({"depth_multipliers": (1.0, 0.5, 0.25)}, "depth_multipliers\n.*at most 2 items"),
        ({"lstm_cell": "bottleneck"}, "lstm_cell 'bottleneck' serves a single backbone"),
        (
            {"lstm_cell": "bottleneck", "depth_multipliers": (1.0,), "quantized_cell": True},
            "quantized_cell needs lstm_cell 'grouped', got 'bottleneck'",
        ),
        (
            {"lstm_cell": "bottleneck", "depth_multipliers": (1.0,), "int8": True},
            "int8 \\(of train.quantization\\) needs lstm_cell 'grouped', got 'bottleneck'",
        ),
        ({"backbone": "mobilenet_v1"}, "backbone 'mobilenet_v1' has no low-resolution twin"),
        ({"feature_map_depths": (64,)}, "anchors.num_layers is 5, but the model has 2 feature"),
        ({"eval_schedule": "SKIP"}, "eval_schedule\n.*unknown schedule 'SKIP'"),
        ({"train_schedule": "ADAPTIVE"}, "the ADAPTIVE schedule is not available"),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    values: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        ModelConfig(**values)  # type: ignore[arg-type]


def test_quantization_makes_the_model_int8() -> None:
    config = config_io.override(Config(), ["train.quantization={}", "train.steps=50"])
    assert config.model.int8
    assert (config.train.quantization.delay, config.train.quantization.fold_after(50)) == (0, 40)
    assert not Config().model.int8


def test_int8_follows_quantization_wherever_it_is_changed(tmp_path: Path) -> None:
    quantized = load_config("freedoom_s_int8")
    config_io.save_config(quantized, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == quantized
    assert config_io.override(quantized, ["train.steps=700"]).model.int8
    assert config_io.override(quantized, ["train.quantization=null"]).model == dataclasses.replace(
        quantized.model, int8=False
    )
    for said, is_int8 in (("quantization: null", False), ("steps: 700", True)):
        (tmp_path / "next.yaml").write_text(f"{{base: config.yaml, train: {{{said}}}}}")
        assert load_config(tmp_path / "next.yaml").model.int8 == is_int8
    with pytest.raises(ConfigError, match=r"for float32 say --set train\.quantization=null"):
        config_io.override(quantized, ["model.int8=false"])
    # What runs of before have in their config.yaml, the latter without quantization.
    for said in ("model: {int8: false}, train: {quantization: {}}", "model: {int8: true}"):
        (tmp_path / "old.yaml").write_text(f"{{{said}}}")
        old = load_config(tmp_path / "old.yaml")
        config_io.save_config(old, tmp_path / "old.yaml")
        assert old.model.int8
        assert load_config(tmp_path / "old.yaml") == old
    assert not config_io.override(old, ["model.int8=false"]).model.int8


def test_configs_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().model.num_classes = 3  # type: ignore[misc]


def test_override_sets_values_in_order_and_leaves_the_rest() -> None:
    config = config_io.override(
        Config(), ["train.steps=2", "train.steps=7", "model.feature_extractor.l2_weight=0"]
    )
    assert config.train.steps == 7
    assert config.model.feature_extractor == ConvConfig(l2_weight=0.0)
    assert dataclasses.replace(config.train, steps=400000) == Config().train


@pytest.mark.parametrize(
    "settings",
    [
        ["model.num_classes=3", "model.labels=[no, 1, null]"],
        ["model={num_classes: 3, labels: [no, 1, null]}"],
    ],
)
def test_class_names_are_text_whatever_they_look_like(tmp_path: Path, settings: list[str]) -> None:
    config = config_io.override(Config(), settings)
    assert config.model.labels == ("no", "1", "null")
    config_io.save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
    (tmp_path / "c.yaml").write_text("model:\n  num_classes: 3\n  labels: [no, 1, null]\n")
    assert load_config(tmp_path / "c.yaml").model.labels == ("no", "1", "null")


def test_override_opens_a_section_that_was_null() -> None:
    without = config_io.override(Config(), ["model.loss.hard_negatives=null"])
    config = config_io.override(without, ["model.loss.hard_negatives.iou_threshold=0.5"])
    assert config.model.loss.hard_negatives == HardNegativeConfig(iou_threshold=0.5)


def test_path_of_a_base_is_taken_back_by_nothing(tmp_path: Path) -> None:
    assert load_config("interleaved_s").train.fine_tune.run == "freedoom_s"
    config = config_io.override(load_config("interleaved_s"), ["train.fine_tune.run="])
    assert config.train.fine_tune.run == ""
    (tmp_path / "c.yaml").write_text("{base: interleaved_s, train: {fine_tune: {run: null}}}")
    assert load_config(tmp_path / "c.yaml").train.fine_tune.run == ""


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("train.steps", "expected section.key=value"),
        ("=3", "expected section.key=value"),
        ("train.stpes=3", "unknown key 'train.stpes'; did you mean 'steps'?"),
        ("trian.steps=3", "unknown key 'trian'; did you mean 'train'?"),
        ("train.steps.more=3", "steps is a value, not a section"),
        ("train.steps=[", "is not valid YAML"),
        ("train.seed=2001-99-99", "train.seed=2001-99-99: '2001-99-99' is not valid YAML"),
        ("train.steps=1e3", "train.steps"),
        ("model.state_depth=30", "is not divisible by groups"),
        ("model.groups=0", "model.groups: input should be greater than or equal to 1, got 0"),
        ("model.feature_map_depths=[0, 0, 0, 0]", "model.feature_map_depths.0: input should be"),
        ("model.depth_multipliers=[.inf]", "depth_multipliers.0: input should be a finite number"),
        ("model.anchors.base_anchor_height=-1", "base_anchor_height: input should be greater than"),
        ("model.loss.focal_alpha=3", "less than or equal to 1"),
        ("model.loss.hard_negatives.max_negatives_per_positive=-3", "positive: input should be gr"),
        ("model.matching.unmatched_threshold=0.6", "unmatched_threshold <= matched_threshold must"),
        ("model.anchors.scales=[0.5]", "scales needs one value for each of the 5 layers"),
        ("model.postprocessing.score_threshold=.nan", "greater than or equal to -inf, got NaN"),
        ("train.optimizer.momentum=2", "train.optimizer.momentum: input should be less than 1"),
        ("train.quantization={delay: 400000}", "delay is 400000, but the run has 400000 steps"),
        ("train.quantization.fold_batch_norm=500000", "fold_batch_norm is 500000, but the run"),
        ("train.quantization.weight_bits=4", "weight_bits must be 8, all that TFLite computes"),
        ("train.quantization.activation_bits=16", "train.quantization: activation_bits must be 8"),
        ("train.quantization.per_channel=all", "per_channel must be 'weights', got 'all'"),
        ("train={quantization: {}, precision: mixed_bfloat16}", "needs precision float32"),
        ("train.quantization.dely=1", "'train.quantization.dely'; did you mean 'delay'"),
        ("data.train.width=3", "height and width must both be 0 or both be above 0"),
        ("model={anchors: auto, feature_map_depths: 9}", "depths: input should be a list, got 9"),
        ("evaluation.schedules=[]", "evaluation.schedules: tuple should have at least 1 item"),
        ("evaluation.schedules=[SKIP]", "evaluation.schedules.0: unknown schedule 'SKIP'"),
    ],
)
def test_bad_overrides_are_refused(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_io.override(Config(), [setting])
    assert str(caught.value).startswith("--set ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "model.anchors.interpolated_scale_aspect_ratio=0",
        "model.loss.hard_negatives.max_negatives_per_positive=0",
        "model.postprocessing.score_threshold=-.inf",
        "train.optimizer.momentum=0",
        "train.optimizer.clip_norm=0",
    ],
)
def test_values_at_the_edge_of_what_means_something_are_accepted(setting: str) -> None:
    config_io.override(Config(), [setting])


def test_config_that_comes_with_lstd_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lstd.list_configs() == sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    assert lstd.load_config("sowbug_demo") == load_config(CONFIGS / "sowbug_demo.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sowbug_demo").write_text("train: {steps: 3}")
    assert lstd.load_config("sowbug_demo").train.steps == 3  # a file of the user's comes first


def test_missing_config_is_told_with_those_that_come_with_lstd() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^sowbug: cannot read the config: No such file .*; with lstd come .*sowbug_demo",
    ):
        lstd.load_config("sowbug")


def test_a_config_changes_what_its_base_says(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        "{base: interleaved_s, model: {anchors: {num_layers: 6}}, train: {steps: 3}}"
    )
    (tmp_path / "new.yaml").write_text("{base: old.yaml, model: {state_depth: 64}}")
    config, first = load_config(tmp_path / "new.yaml"), load_config("interleaved_s")
    assert (config.model.state_depth, config.train.steps) == (64, 3)
    assert first.model.anchors.auto
    assert not config.model.anchors.auto
    assert config.data == first.data
    assert config.train.optimizer == first.train.optimizer
