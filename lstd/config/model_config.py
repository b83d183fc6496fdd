"""Section `model` of a config, frozen dataclasses: the network and what belongs to its outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lstd.base import label_map, limits
from lstd.config import schedule_names
from lstd.config.config_check import require


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
        limits.check_section(self)
        require(0 <= self.batch_norm_decay < 1, "batch_norm_decay must be in [0, 1)")
        require(self.batch_norm_epsilon > 0, "batch_norm_epsilon must be above 0")
        require(self.l2_weight >= 0, "l2_weight must not be negative")
        require(self.initializer_stddev > 0, "initializer_stddev must be above 0")


@dataclass(frozen=True)
class BoxPredictorConfig:
    """The SSD heads."""

    use_depthwise: bool = True
    """True: depthwise k x k, batch norm, relu6, then 1x1. False: one dense k x k convolution."""
    kernel_size: int = 3
    conv: ConvConfig = ConvConfig()

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(self.kernel_size in (1, 3, 5), "kernel_size must be 1, 3 or 5")


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
        limits.check_section(self)
        require(self.num_layers >= 1, "num_layers must be at least 1")
        require(
            not self.scales or len(self.scales) == self.num_layers,
            f"scales needs one value for each of the {self.num_layers} layers",
        )
        require(0 < self.min_scale <= self.max_scale, "0 < min_scale <= max_scale must hold")
        require(all(s > 0 for s in (*self.scales, self.lowest_scale)), "scales must be above 0")
        require(
            bool(self.aspect_ratios) and all(ratio > 0 for ratio in self.aspect_ratios),
            "aspect_ratios needs values above 0",
        )
        require(
            self.interpolated_scale_aspect_ratio >= 0,
            "interpolated_scale_aspect_ratio must not be negative",
        )
        for name in ("base_anchor_height", "base_anchor_width"):
            require(getattr(self, name) > 0, f"{name} must be above 0")


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchor answers for which object."""

    matched_threshold: float = 0.5
    unmatched_threshold: float = 0.5
    """Anchors with an IoU in [unmatched_threshold, matched_threshold) are ignored by the loss."""
    force_match: bool = True
    """Every object takes its best anchor, however small the overlap."""

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(
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
        limits.check_section(self)
        require(self.num_hard_examples > 0, "num_hard_examples must be above 0")
        require(0 < self.iou_threshold <= 1, "iou_threshold must be in (0, 1]")
        for name in ("max_negatives_per_positive", "min_negatives_per_image"):
            require(getattr(self, name) >= 0, f"{name} must not be negative")


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

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(0 <= self.focal_alpha <= 1, "focal_alpha must be in [0, 1]")
        for name in ("focal_gamma", "classification_weight", "localization_weight"):
            require(0 <= getattr(self, name) < math.inf, f"{name} must be finite and not negative")
        require(0 < self.huber_delta < math.inf, "huber_delta must be finite and above 0")


@dataclass(frozen=True)
class PostprocessingConfig:
    """From raw predictions to detections."""

    score_threshold: float = -20.0
    iou_threshold: float = 0.5
    max_detections_per_class: int = 100
    max_total_detections: int = 100

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(0 < self.iou_threshold <= 1, "iou_threshold must be in (0, 1]")
        require(self.max_detections_per_class > 0, "max_detections_per_class must be above 0")
        require(self.max_total_detections > 0, "max_total_detections must be above 0")
        require(not math.isnan(self.score_threshold), "score_threshold must be a number, not nan")


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
        limits.check_section(self)
        require(self.num_classes >= 1, "num_classes must be at least 1")
        require(
            len(self.labels) in (0, self.num_classes),
            f"labels has {len(self.labels)} names for num_classes {self.num_classes}; set both",
        )
        require(len(set(self.labels)) == len(self.labels), "labels holds a name twice")
        label_map.checked(self.labels, where="labels")
        for name in ("input_height", "input_width"):
            value = getattr(self, name)
            require(
                value >= 64 and value % 32 == 0,
                f"{name} must be a multiple of 32, at least 64 (the state has {name} / 32 cells); "
                f"got {value}",
            )
        require(
            len(self.depth_multipliers) in (1, 2)
            and all(0 < multiplier < math.inf for multiplier in self.depth_multipliers),
            "depth_multipliers needs one or two numbers above 0",
        )
        require(
            self.lstm_cell == "grouped" or len(self.depth_multipliers) == 1,
            "lstm_cell 'bottleneck' serves a single backbone; use 'grouped' for two",
        )
        require(
            self.backbone == "mobilenet_v2" or len(self.depth_multipliers) == 1,
            "backbone 'mobilenet_v1' has no low-resolution twin; give one depth multiplier",
        )
        require(self.state_depth > 0, "state_depth must be above 0")
        require(self.groups >= 1, "groups must be at least 1")
        require(self.min_depth >= 0, "min_depth must not be negative")
        require(0 < self.large_probability < 1, "large_probability must be in (0, 1)")
        self._check_large_frames()
        require(
            self.lstm_cell != "grouped" or max(self.min_depth, self.state_depth) % self.groups == 0,
            f"state_depth {max(self.min_depth, self.state_depth)} is not divisible by groups "
            f"{self.groups}",
        )
        require(
            not (self.clip_state and self.scale_state),
            "clip_state and scale_state exclude each other; switch one off",
        )
        require(
            all(depth >= 1 for depth in self.feature_map_depths),
            "feature_map_depths must be at least 1",
        )
        require(
            0 < self.feature_map_depth_multiplier < math.inf,
            "feature_map_depth_multiplier must be finite and above 0",
        )
        require(
            len(self.feature_map_depths) + 1 == self.anchors.num_layers,
            f"anchors.num_layers is {self.anchors.num_layers}, but the model has "
            f"{len(self.feature_map_depths) + 1} feature maps",
        )
        require(
            all(factor > 0 for factor in self.box_scale_factors),
            "box_scale_factors must be above 0",
        )
        for name in ("train_schedule", "eval_schedule"):
            schedule_names.check(getattr(self, name), where=name)

    def _check_large_frames(self) -> None:
        """Raises unless a fixed number of large frames can be what it says."""
        if self.large_frames == 0:
            return
        require(self.large_frames > 0, f"large_frames must not be negative: {self.large_frames}")
        require(
            len(self.depth_multipliers) == 2,
            f"large_frames {self.large_frames} needs two backbones; with one, it sees all frames",
        )
        require(
            self.train_schedule.startswith("RANDOM"),
            f"large_frames {self.large_frames} needs train_schedule RANDOM, of which it fixes the "
            f"number; {self.train_schedule} chooses by the frame's number",
        )
        require(
            self.large_probability == 0.5,
            f"large_frames {self.large_frames} and large_probability {self.large_probability} "
            "exclude each other: a fixed number leaves nothing to chance; take one",
        )
