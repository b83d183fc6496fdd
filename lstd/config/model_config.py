"""Section `model` of a config: the network and what belongs to its outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from lstd.base import label_map
from lstd.config.fields import (
    BelowOne,
    Count,
    Natural,
    NotNegative,
    Positive,
    PositiveShare,
    Schedule,
    Section,
    Share,
    Threshold,
    require,
    require_order,
)

Side = Annotated[int, Field(ge=64, multiple_of=32)]
"""Pixels; the state has a cell for every 32 of them."""
Ratios = Annotated[tuple[Positive, ...], Field(min_length=1)]
BetweenZeroAndOne = Annotated[float, Field(gt=0, lt=1)]
Multipliers = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=2)]


@dataclass(frozen=True)
class ConvConfig(Section):
    """How the convolutions of a part of the model are initialised, normalised and regularised."""

    l2_weight: NotNegative = 4e-5
    """L2 regularisation: l2_weight * sum(w^2) / 2."""
    initializer_stddev: Positive = 0.03
    """Standard deviation of the truncated normal initialiser (the backbones always use 0.09)."""
    batch_norm_decay: BelowOne = 0.9997
    batch_norm_epsilon: Positive = 0.001


@dataclass(frozen=True)
class BoxPredictorConfig(Section):
    """The SSD heads."""

    use_depthwise: bool = True
    """True: depthwise k x k, batch norm, relu6, then 1x1. False: one dense k x k convolution."""
    kernel_size: Literal[1, 3, 5] = 3
    class_prior: BetweenZeroAndOne = 0.5
    """The score that every class has on every anchor at first; 0.5 is the original's. Nearly all
    anchors are background: from 0.01, focal loss learns the objects at once instead of that first
    (Lin et al., 2017, https://arxiv.org/abs/1708.02002, section 3.3)."""
    conv: ConvConfig = ConvConfig()


@dataclass(frozen=True)
class AnchorConfig(Section):
    """SSD anchors. All lengths are relative to the frame."""

    auto: bool = False
    """true, or `anchors: auto`: scales and aspect_ratios are found in the training data when a run
    starts, which writes them into its config."""
    num_layers: Count = 5
    min_scale: Positive = 0.2
    max_scale: Positive = 0.95
    scales: tuple[Positive, ...] = ()
    """One scale a layer; replaces min_scale and max_scale when given."""
    aspect_ratios: Ratios = (1.0, 2.0, 0.5, 3.0, 0.3333)
    interpolated_scale_aspect_ratio: NotNegative = 1.0
    """Aspect ratio of the extra anchor at sqrt(scale * next scale); 0 leaves it out."""
    reduce_boxes_in_lowest_layer: bool = True
    """The first layer has the three anchors (lowest_scale, 1), (s_0, 2), (s_0, 0.5) only."""
    lowest_scale: Positive = 0.1
    """Scale of the square anchor in a reduced first layer (fixed to 0.1 in the original)."""
    base_anchor_height: Positive = 1.0
    base_anchor_width: Positive = 1.0

    def __post_init__(self) -> None:
        require(
            len(self.scales) in (0, self.num_layers),
            f"scales needs one value for each of the {self.num_layers} layers",
        )


@dataclass(frozen=True)
class MatchingConfig(Section):
    """Which anchor answers for which object."""

    matched_threshold: Share = 0.5
    unmatched_threshold: Share = 0.5
    """Anchors with an IoU in [unmatched_threshold, matched_threshold) are ignored by the loss."""
    force_match: bool = True
    """Every object takes its best anchor, however small the overlap."""

    def __post_init__(self) -> None:
        require_order(self, "unmatched_threshold", "matched_threshold")


@dataclass(frozen=True)
class HardNegativeConfig(Section):
    """Hard-negative mining."""

    num_hard_examples: Count = 3000
    iou_threshold: PositiveShare = 0.99
    loss_type: Literal["classification", "localization", "both"] = "classification"
    max_negatives_per_positive: NotNegative = 3.0
    """0 means no limit."""
    min_negatives_per_image: Natural = 0


@dataclass(frozen=True)
class LossConfig(Section):
    """The detection loss."""

    classification: Literal["sigmoid", "focal"] = "sigmoid"
    focal_alpha: Share = 0.25
    focal_gamma: NotNegative = 2.0
    classification_weight: NotNegative = 1.0
    localization_weight: NotNegative = 4.0
    huber_delta: Positive = 1.0
    normalize_by_num_matches: bool = True
    hard_negatives: HardNegativeConfig | None = HardNegativeConfig()
    """null switches mining off: every anchor counts."""


@dataclass(frozen=True)
class PostprocessingConfig(Section):
    """From raw predictions to detections."""

    score_threshold: Threshold = -20.0
    iou_threshold: PositiveShare = 0.5
    max_detections_per_class: Count = 100
    max_total_detections: Count = 100


@dataclass(frozen=True)
class ModelConfig(Section):
    """The network and what belongs to its outputs: anchors, box coding, loss, post-processing."""

    backbone: Literal["mobilenet_v1", "mobilenet_v2"] = "mobilenet_v2"
    lstm_cell: Literal["grouped", "bottleneck"] = "grouped"
    """grouped: the second paper's. bottleneck: the first paper's, for a single backbone."""
    num_classes: Count = 30
    labels: tuple[str, ...] = ()
    """Class names in order, without background; empty: the classes are called by number."""
    input_height: Side = 320
    input_width: Side = 320
    input_channels: Literal[1, 3] = 3
    depth_multipliers: Multipliers = (1.4, 0.35)
    """One number: a single backbone. Two: the large one and the small one, which take turns."""
    min_depth: Natural = 16
    low_resolution: bool = True
    """The small network sees every second pixel, at half its usual total stride."""
    state_depth: Count = 320
    groups: Count = 4
    memory_initializer: Literal["truncated_normal", "variance_scaling"] = "truncated_normal"
    """truncated_normal: the original's, with feature_extractor.initializer_stddev; h is then some
    1e-5 at first, and the heads have to find it. variance_scaling: h is as loud as the features
    from the first step, which short trainings need."""
    clip_state: bool = True
    scale_state: bool = False
    quantized_cell: bool = False
    """The memory (lstm_cell grouped) computes in 8 bits: each step is rounded within a fixed or a
    learned range (the original's is_quantized). That range limits the state, whatever clip_state
    and scale_state say, and the backbones end in a relu6. For training and evaluation only: what
    can be exported is `int8`."""
    int8: bool = False
    """The whole network (lstm_cell grouped) computes as an int8 file does, which lstd-export writes
    of it without representative data: weights and all that goes from one operation to the next are
    rounded to 8 bits, but for the image and the first convolution's weights. It follows
    train.quantization, which says when rounding begins."""
    feature_map_depths: tuple[Count, ...] = (256, 256, 256, 256)
    feature_map_depth_multiplier: Positive = 1.0
    feature_map_use_depthwise: bool = False
    fine_map: Natural = 0
    """Channels of one more feature map before the others, for small objects, with a cell for every
    16 pixels: what the backbone sees there, joined with what the memory knows. It needs one more of
    `anchors.num_layers`. 0: none, as in the papers."""
    pool_residual: bool = True
    """Adds a pooled copy of the map before; in effect only with feature_map_use_depthwise."""
    train_schedule: Schedule = "RANDOM"
    eval_schedule: Schedule = "SKIP3"
    schedule_counts: Literal["video", "unroll"] = "video"
    """unroll: the schedule starts anew with every clip, as in the original."""
    large_probability: BetweenZeroAndOne = 0.5
    """The large network's share of the frames under RANDOM; 0.5 is the original's fair coin."""
    large_first: bool = False
    """In training, under RANDOM, a video's first frame sees the large network, as it does under
    SKIPk: no small frame learns from an empty memory. The original tosses a coin there too."""
    train_backbone_frames: Literal["scheduled", "all"] = "scheduled"
    """all: in training both backbones see every frame, as in the original, which matters for batch
    norm; far slower."""
    large_frames: Natural = 0
    """Above 0: in training so many frames of each clip, drawn anew each time, see the large
    network, and no coin is tossed. All shapes of a step are then static, as a TPU needs."""
    feature_extractor: ConvConfig = ConvConfig()
    box_predictor: BoxPredictorConfig = BoxPredictorConfig()
    anchors: AnchorConfig = AnchorConfig()
    box_scale_factors: tuple[Positive, Positive, Positive, Positive] = (10.0, 10.0, 5.0, 5.0)
    """(y, x, height, width)."""
    matching: MatchingConfig = MatchingConfig()
    loss: LossConfig = LossConfig()
    postprocessing: PostprocessingConfig = PostprocessingConfig()

    def __post_init__(self) -> None:
        num_labels, is_single = len(self.labels), len(self.depth_multipliers) == 1
        depth = max(self.min_depth, self.state_depth)
        maps = len(self.feature_map_depths) + (2 if self.fine_map else 1)
        fixed = f"large_frames {self.large_frames}"
        for is_wrong, problem in (
            (
                num_labels not in (0, self.num_classes),
                f"labels has {num_labels} names for num_classes {self.num_classes}; set both",
            ),
            (len(set(self.labels)) < num_labels, "labels holds a name twice"),
            (
                self.lstm_cell == "bottleneck" and not is_single,
                "lstm_cell 'bottleneck' serves a single backbone; use 'grouped' for two",
            ),
            (
                self.backbone == "mobilenet_v1" and not is_single,
                "backbone 'mobilenet_v1' has no low-resolution twin; give one depth multiplier",
            ),
            (
                self.lstm_cell == "grouped" and depth % self.groups,
                f"state_depth {depth} is not divisible by groups {self.groups}",
            ),
            (
                self.clip_state and self.scale_state,
                "clip_state and scale_state exclude each other; switch one off",
            ),
            (
                self.quantized_cell and self.lstm_cell != "grouped",
                f"quantized_cell needs lstm_cell 'grouped', got {self.lstm_cell!r}",
            ),
            (
                self.int8 and self.lstm_cell != "grouped",
                f"int8 (of train.quantization) needs lstm_cell 'grouped', got {self.lstm_cell!r}",
            ),
            (
                maps != self.anchors.num_layers,
                f"anchors.num_layers is {self.anchors.num_layers}, but the model has {maps} "
                f"feature maps; set model.anchors.num_layers={maps}",
            ),
            (
                self.large_frames and is_single,
                f"{fixed} needs two backbones; with one, it sees all frames",
            ),
            (
                self.large_frames and not self.train_schedule.startswith("RANDOM"),
                f"{fixed} needs train_schedule RANDOM, of which it fixes the number; "
                f"{self.train_schedule} chooses by the frame's number",
            ),
            (
                self.large_frames and self.large_probability != 0.5,
                f"{fixed} and large_probability {self.large_probability} exclude each other: a "
                "fixed number leaves nothing to chance; take one",
            ),
        ):
            require(not is_wrong, problem)
        label_map.checked(self.labels, where="labels")
