"""The configuration of a model, its training, data, evaluation and export: frozen dataclasses.

Loading, saving and overriding stand in `lstd.config_io`. Only builders read these classes;
everything else is given plain values.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lstd import schedule_names
from lstd.augmentation_config import AugmentationConfig

Precision: TypeAlias = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Distribution: TypeAlias = Literal["none", "mirrored", "multi_worker"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class ConvConfig:
    """How the convolutions of a part of the model are initialised, normalised and regularised."""

    l2_weight: float = 4e-5
    """L2 regularisation: l2_weight * sum(w^2) / 2."""
    initializer_stddev: float = 0.03
    """Standard deviation of the truncated normal initialiser (the backbones always use 0.09)."""
    batch_norm_decay: float = 0.9997
    batch_norm_epsilon: float = 0.001

    def __post_init__(self) -> None:
        _require(0 <= self.batch_norm_decay < 1, "batch_norm_decay must be in [0, 1)")
        _require(self.batch_norm_epsilon > 0, "batch_norm_epsilon must be above 0")
        _require(self.l2_weight >= 0, "l2_weight must not be negative")
        _require(self.initializer_stddev > 0, "initializer_stddev must be above 0")


@dataclass(frozen=True)
class BoxPredictorConfig:
    """The SSD heads."""

    use_depthwise: bool = True
    """True: depthwise k x k, batch norm, relu6, then 1x1. False: one dense k x k convolution."""
    kernel_size: int = 3
    conv: ConvConfig = ConvConfig()

    def __post_init__(self) -> None:
        _require(self.kernel_size in (1, 3, 5), "kernel_size must be 1, 3 or 5")


@dataclass(frozen=True)
class AnchorConfig:
    """SSD anchors. All lengths are relative to the frame."""

    num_layers: int = 5
    min_scale: float = 0.2
    max_scale: float = 0.95
    scales: tuple[float, ...] = ()
    """One scale a layer; replaces min_scale and max_scale when given."""
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    interpolated_scale_aspect_ratio: float = 1.0
    """Aspect ratio of the extra anchor at sqrt(scale * next scale); 0 leaves it out."""
    reduce_boxes_in_lowest_layer: bool = True
    """The first layer has the three anchors (lowest_scale, 1), (s_0, 2), (s_0, 0.5) only."""
    lowest_scale: float = 0.1
    """Scale of the square anchor in a reduced first layer (fixed to 0.1 in the original)."""
    base_anchor_height: float = 1.0
    base_anchor_width: float = 1.0

    def __post_init__(self) -> None:
        _require(self.num_layers >= 1, "num_layers must be at least 1")
        _require(
            not self.scales or len(self.scales) == self.num_layers,
            f"scales needs one value for each of the {self.num_layers} layers",
        )
        _require(0 < self.min_scale <= self.max_scale, "0 < min_scale <= max_scale must hold")
        _require(all(s > 0 for s in (*self.scales, self.lowest_scale)), "scales must be above 0")
        _require(
            bool(self.aspect_ratios) and all(ratio > 0 for ratio in self.aspect_ratios),
            "aspect_ratios needs values above 0",
        )


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchor answers for which object."""

    matched_threshold: float = 0.5
    unmatched_threshold: float = 0.5
    """Anchors with an IoU in [unmatched_threshold, matched_threshold) are ignored by the loss."""
    force_match: bool = True
    """Every object takes its best anchor, however small the overlap."""

    def __post_init__(self) -> None:
        _require(
            0 <= self.unmatched_threshold <= self.matched_threshold <= 1,
            "0 <= unmatched_threshold <= matched_threshold <= 1 must hold",
        )


@dataclass(frozen=True)
class HardNegativeConfig:
    """Hard-negative mining."""

    num_hard_examples: int = 3000
    iou_threshold: float = 0.99
    loss_type: Literal["classification", "localization", "both"] = "classification"
    max_negatives_per_positive: float = 3.0
    """0 means no limit."""
    min_negatives_per_image: int = 0

    def __post_init__(self) -> None:
        _require(self.num_hard_examples > 0, "num_hard_examples must be above 0")
        _require(0 < self.iou_threshold <= 1, "iou_threshold must be in (0, 1]")


@dataclass(frozen=True)
class LossConfig:
    """The detection loss."""

    classification: Literal["sigmoid", "focal"] = "sigmoid"
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    classification_weight: float = 1.0
    localization_weight: float = 4.0
    huber_delta: float = 1.0
    normalize_by_num_matches: bool = True
    hard_negatives: HardNegativeConfig | None = HardNegativeConfig()
    """null switches mining off: every anchor counts."""


@dataclass(frozen=True)
class PostprocessingConfig:
    """From raw predictions to detections."""

    score_threshold: float = -20.0
    iou_threshold: float = 0.5
    max_detections_per_class: int = 100
    max_total_detections: int = 100

    def __post_init__(self) -> None:
        _require(0 < self.iou_threshold <= 1, "iou_threshold must be in (0, 1]")
        _require(self.max_detections_per_class > 0, "max_detections_per_class must be above 0")
        _require(self.max_total_detections > 0, "max_total_detections must be above 0")


@dataclass(frozen=True)
class ModelConfig:
    """The network and what belongs to its outputs: anchors, box coding, loss, post-processing."""

    backbone: Literal["mobilenet_v1", "mobilenet_v2"] = "mobilenet_v2"
    lstm_cell: Literal["grouped", "bottleneck"] = "grouped"
    """grouped: the second paper's. bottleneck: the first paper's, for a single backbone."""
    num_classes: int = 30
    labels: tuple[str, ...] = ()
    """Class names in order, without background; empty: the classes are called by number."""
    input_height: int = 320
    input_width: int = 320
    input_channels: Literal[1, 3] = 3
    depth_multipliers: tuple[float, ...] = (1.4, 0.35)
    """One number: a single backbone. Two: the large one and the small one, which take turns."""
    min_depth: int = 16
    low_resolution: bool = True
    """The small network sees every second pixel, at half its usual total stride."""
    state_depth: int = 320
    groups: int = 4
    clip_state: bool = True
    scale_state: bool = False
    feature_map_depths: tuple[int, ...] = (256, 256, 256, 256)
    feature_map_depth_multiplier: float = 1.0
    feature_map_use_depthwise: bool = False
    pool_residual: bool = True
    """Adds a pooled copy of the map before; in effect only with feature_map_use_depthwise."""
    train_schedule: str = "RANDOM"
    eval_schedule: str = "SKIP3"
    schedule_counts: Literal["video", "unroll"] = "video"
    """unroll: the schedule starts anew with every clip, as in the original."""
    large_probability: float = 0.5
    """The large network's share of the frames under RANDOM; 0.5 is the original's fair coin."""
    train_backbone_frames: Literal["scheduled", "all"] = "scheduled"
    """all: in training both backbones see every frame, as in the original, which matters for batch
    norm; far slower."""
    large_frames: int = 0
    """Above 0: in training so many frames of each clip, drawn anew each time, see the large
    network, and no coin is tossed. All shapes of a step are then static, as a TPU needs."""
    feature_extractor: ConvConfig = ConvConfig()
    box_predictor: BoxPredictorConfig = BoxPredictorConfig()
    anchors: AnchorConfig = AnchorConfig()
    box_scale_factors: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """(y, x, height, width)."""
    matching: MatchingConfig = MatchingConfig()
    loss: LossConfig = LossConfig()
    postprocessing: PostprocessingConfig = PostprocessingConfig()

    def __post_init__(self) -> None:
        _require(self.num_classes >= 1, "num_classes must be at least 1")
        _require(
            len(self.labels) in (0, self.num_classes),
            f"labels has {len(self.labels)} names for num_classes {self.num_classes}; set both",
        )
        _require(len(set(self.labels)) == len(self.labels), "labels holds a name twice")
        for name in ("input_height", "input_width"):
            value = getattr(self, name)
            _require(
                value >= 64 and value % 32 == 0,
                f"{name} must be a multiple of 32, at least 64 (the state has {name} / 32 cells); "
                f"got {value}",
            )
        _require(
            len(self.depth_multipliers) in (1, 2) and all(m > 0 for m in self.depth_multipliers),
            "depth_multipliers needs one or two numbers above 0",
        )
        _require(
            self.lstm_cell == "grouped" or len(self.depth_multipliers) == 1,
            "lstm_cell 'bottleneck' serves a single backbone; use 'grouped' for two",
        )
        _require(
            self.backbone == "mobilenet_v2" or len(self.depth_multipliers) == 1,
            "backbone 'mobilenet_v1' has no low-resolution twin; give one depth multiplier",
        )
        _require(self.state_depth > 0, "state_depth must be above 0")
        _require(0 < self.large_probability < 1, "large_probability must be in (0, 1)")
        self._check_large_frames()
        _require(
            self.lstm_cell != "grouped" or max(self.min_depth, self.state_depth) % self.groups == 0,
            f"state_depth {max(self.min_depth, self.state_depth)} is not divisible by groups "
            f"{self.groups}",
        )
        _require(
            not (self.clip_state and self.scale_state),
            "clip_state and scale_state exclude each other; switch one off",
        )
        _require(
            len(self.feature_map_depths) + 1 == self.anchors.num_layers,
            f"anchors.num_layers is {self.anchors.num_layers}, but the model has "
            f"{len(self.feature_map_depths) + 1} feature maps",
        )
        _require(
            all(factor > 0 for factor in self.box_scale_factors),
            "box_scale_factors must be above 0",
        )
        for name in ("train_schedule", "eval_schedule"):
            schedule_names.check(getattr(self, name), where=name)

    def _check_large_frames(self) -> None:
        """Raises unless a fixed number of large frames can be what it says."""
        if self.large_frames == 0:
            return
        _require(self.large_frames > 0, f"large_frames must not be negative: {self.large_frames}")
        _require(
            len(self.depth_multipliers) == 2,
            f"large_frames {self.large_frames} needs two backbones; with one, it sees all frames",
        )
        _require(
            self.train_schedule.startswith("RANDOM"),
            f"large_frames {self.large_frames} needs train_schedule RANDOM, of which it fixes the "
            f"number; {self.train_schedule} chooses by the frame's number",
        )
        _require(
            self.large_probability == 0.5,
            f"large_frames {self.large_frames} and large_probability {self.large_probability} "
            "exclude each other: a fixed number leaves nothing to chance; take one",
        )


@dataclass(frozen=True)
class LearningRateConfig:
    """The learning rate over the steps."""

    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    initial: float = 0.002
    decay_steps: int = 200000
    """exponential: steps between two decays. cosine: ignored, the run's length counts."""
    decay_factor: float = 0.95
    staircase: bool = True
    warmup_steps: int = 0
    hold_fraction: float = 0.0
    """cosine: the share of the run before the rate begins to fall."""

    def __post_init__(self) -> None:
        _require(self.initial > 0, "initial must be above 0")
        _require(self.decay_steps > 0, "decay_steps must be above 0")
        _require(0 <= self.hold_fraction < 1, "hold_fraction must be in [0, 1)")
        _require(self.warmup_steps >= 0, "warmup_steps must not be negative")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer."""

    name: Literal["rms_prop", "adam", "adamw"] = "rms_prop"
    momentum: float = 0.9
    decay: float = 0.9
    """rms_prop: decay of the mean square, which starts at 1."""
    epsilon: float = 1.0
    """rms_prop: inside the root. adam: beside it; 1e-7 is usual there."""
    beta_1: float = 0.9
    beta_2: float = 0.999
    weight_decay: float = 0.0
    clip_norm: float = 10.0
    """Each variable's gradient is clipped to this L2 norm by itself; 0 means no clipping."""

    def __post_init__(self) -> None:
        _require(self.epsilon > 0, "epsilon must be above 0")
        _require(self.clip_norm >= 0, "clip_norm must not be negative")


@dataclass(frozen=True)
class FineTuneConfig:
    """Weights to start from."""

    checkpoints: tuple[str, ...] = ()
    """TF1 checkpoint prefixes or .npz files; the first that has a variable wins."""
    kind: Literal["classification", "detection", "lstm", "interleaved", "interleaved_pretrain"] = (
        "lstm"
    )
    moving_averages: bool = False
    large_backbone: str = ""
    """A keras.applications weights file for the large (or only) backbone."""
    small_backbone: str = ""


@dataclass(frozen=True)
class EarlyStoppingConfig:
    """When a run ends before its last step."""

    patience: int = 5
    """Epochs after the best one, of which none was better."""
    metric: str = ""
    """A column of history.csv, such as val_coco/ap; empty: what decides which weights are best,
    COCO's average precision if it is measured, else the loss."""
    min_delta: float = 0.0
    """An epoch is better when it is so by more than this."""

    def __post_init__(self) -> None:
        _require(self.patience >= 1, "patience must be at least 1")
        _require(self.min_delta >= 0, "min_delta must not be negative")


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    steps: int = 400000
    optimizer: OptimizerConfig = OptimizerConfig()
    learning_rate: LearningRateConfig = LearningRateConfig()
    moving_average_decay: float = 0.0
    """Averages of all variables, min(decay, (1 + step) / (10 + step)); 0: none."""
    accumulate_steps: int = 1
    """Batches for each update, taken one after the other: the update of a batch as large as all of
    them, in the memory of one. Steps count updates."""
    gradient_checkpointing: bool = False
    """The backbones keep only what enters each of their blocks, and compute the rest again for the
    gradient: less memory for long clips and large batches, more time, the same update."""
    precision: Precision = "float32"
    """What the network computes in while it is trained; all that is saved is float32. float16
    scales the loss, lest small gradients vanish, and leaves out steps whose gradients overflow."""
    distribution: Distribution = "none"
    """mirrored: on all GPUs of this machine. multi_worker: on those of all machines that the
    environment variable TF_CONFIG names. data.train.batch_size counts the clips of all of them
    together, each takes its share. See docs/distribution.md."""
    carry_state: bool = True
    """A clip that continues the one before it starts from that one's last state."""
    fine_tune: FineTuneConfig = FineTuneConfig()
    freeze: tuple[str, ...] = ()
    """Regular expressions; variables whose name one of them is found in keep their values, the
    statistics of batch norm included. ^large/: the large backbone; /moving_: all statistics."""
    seed: int = 0
    """Of initial weights, data order, augmentation and the random schedule; not negative."""
    deterministic: bool = False
    """Only operations that give the same bits each time: slower, for comparing runs bit by bit."""
    steps_per_epoch: int = 1000
    """Between two checkpoints, and two evaluations if there are any."""
    evaluate: bool = True
    """COCO on the evaluation data after each epoch; the best checkpoint is kept beside the last."""
    keep_checkpoints: int = 2
    early_stopping: EarlyStoppingConfig | None = None
    """null: all steps are done."""
    check_frames: int = 200
    """Frames of the training data that are looked at before the first step; 0: none."""
    min_anchor_share: float = 0.1
    """The least share of the true boxes in these frames that must have an anchor of IoU
    matching.matched_threshold. The others only ever teach the one anchor that is forced on them."""

    def __post_init__(self) -> None:
        for name in ("steps", "steps_per_epoch", "keep_checkpoints", "accumulate_steps"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")
        _require(0 <= self.moving_average_decay < 1, "moving_average_decay must be in [0, 1)")
        for name in ("seed", "check_frames"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative")
        _require(0 <= self.min_anchor_share <= 1, "min_anchor_share must be in [0, 1]")


@dataclass(frozen=True)
class DatasetConfig:
    """One split of the data."""

    input_path: tuple[str, ...] = ()
    """TFRecord files of SequenceExamples, or any data set that `lstd.data.readers` knows, such as a
    CocoVID JSON or a folder of MOT Challenge; names may hold * and ?."""
    format: str = ""
    """Of a data set that is no TFRecord file; empty: found out by its content."""
    subset: str = ""
    """A part of such a data set, such as "train"; empty: all of it, or the only one."""
    images: str = ""
    """Its pictures, where they do not stand where the format has them."""
    stills: bool = False
    """Every picture of such a data set is a video of one frame."""
    folders: bool = False
    """The pictures of a folder are a video, whatever their names say (YOLO, COCO)."""
    batch_size: int = 8
    """Clips in a batch, B."""
    unroll_length: int = 4
    """Frames in a clip, T."""
    height: int = 0
    """Frames are resized to height x width before they are batched (TF1 bilinear); 0 keeps their
    size, which must then be the same in all videos."""
    width: int = 0
    min_frame_stride: int = 1
    max_frame_stride: int = 1
    """A clip takes every s-th frame; s is drawn where a lane starts with a zero state."""
    reset_probability: float = 0.0
    """How often a clip starts from a zero state although it continues a video."""
    clips: Literal["carried", "independent"] = "carried"
    """carried: a place of the batch walks through a video, clip after clip, with its state.
    independent: every clip starts from a zero state, and may be shuffled and overlap."""
    overlap: int = 0
    """Frames that an independent clip shares with the one before it in its video."""
    random_start: bool = True
    """Training begins anywhere in each place's first video; false: at its first frame."""
    shuffle: Literal["buffer", "shards", "videos"] = "buffer"
    """buffer: see shuffle_buffer. shards: so, and the files are in another order in each epoch.
    videos: all videos are in another order in each epoch, whatever shuffle_buffer is."""
    shuffle_buffer: int = 32
    """Videos shuffled among each other in training; 0: in order, as evaluation always is."""
    clip_buffer: int = 0
    """Independent clips held in memory, encoded, of which a random one goes next; 0: none."""
    max_boxes: int = 30
    """Boxes kept in a frame; what is beyond is the problem too_many_boxes. 0: no limit."""
    problems: dict[str, str] = field(default_factory=dict)
    """What to do about bad data, such as {corrupt_image: skip}; docs/data.md has the table."""
    augmentation: tuple[AugmentationConfig, ...] = ()

    def __post_init__(self) -> None:
        _require(self.batch_size >= 1, "batch_size must be at least 1")
        _require(self.unroll_length >= 1, "unroll_length must be at least 1")
        _require(
            (self.height == 0) == (self.width == 0) and self.height >= 0 and self.width >= 0,
            "height and width must both be 0 or both be above 0",
        )
        _require(
            1 <= self.min_frame_stride <= self.max_frame_stride,
            "1 <= min_frame_stride <= max_frame_stride must hold",
        )
        _require(0 <= self.reset_probability <= 1, "reset_probability must be in [0, 1]")
        for name in ("overlap", "shuffle_buffer", "clip_buffer", "max_boxes"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative")
        _require(
            bool(self.max_boxes) or "too_many_boxes" not in self.problems,
            "problems: too_many_boxes means nothing with max_boxes 0, which is no limit",
        )
        _require(self.overlap < self.unroll_length, "overlap must be below unroll_length")
        independent = self.clips == "independent"
        for name in ("overlap", "clip_buffer"):
            _require(
                independent or not getattr(self, name),
                f"{name} needs clips: independent; a carried state sees every frame once, in order",
            )
        _require(
            not (independent and self.reset_probability),
            "reset_probability has no effect with clips: independent; leave it at 0",
        )
        for name in ("time_reversal", "frame_dropping"):
            times = sum(step.name == name for step in self.augmentation)
            _require(times <= 1, f"augmentation: {name} may stand once, it stands {times} times")


@dataclass(frozen=True)
class DataConfig:
    """Where the data is and how it becomes clips."""

    train: DatasetConfig = DatasetConfig()
    evaluation: DatasetConfig = DatasetConfig(batch_size=1, shuffle_buffer=0)
    label_map_path: str = ""


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate."""

    schedules: tuple[str, ...] = ("SKIP3",)
    use_moving_averages: bool = False
    min_score_threshold: float = 0.5
    """Below this a detection is not drawn; metrics see all of them."""

    def __post_init__(self) -> None:
        for name in self.schedules:
            schedule_names.check(name, where="schedules")


@dataclass(frozen=True)
class ExportConfig:
    """What lstd-export writes."""

    max_detections: int = 10
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False

    def __post_init__(self) -> None:
        for name in ("max_detections", "max_classes_per_detection", "detections_per_class"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")


@dataclass(frozen=True)
class Config:
    """All of it."""

    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    export: ExportConfig = field(default_factory=ExportConfig)

    def __post_init__(self) -> None:
        large, length = self.model.large_frames, self.data.train.unroll_length
        _require(
            large < length or not large,
            f"model.large_frames is {large}, but clips have {length} frames "
            "(data.train.unroll_length): at least one has to be left to the small network",
        )


def labels_of(model: ModelConfig) -> tuple[str, ...]:
    """Returns the class names, `"class 0"` and so on where the config has none."""
    return model.labels or tuple(f"class {index}" for index in range(model.num_classes))


def to_dict(config: object) -> dict[str, object]:
    """Returns the config as plain dicts, lists and scalars, ready for YAML or JSON."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return {
        key: plain(value)
        for key, value in dataclasses.asdict(config).items()  # type: ignore[call-overload]
    }
