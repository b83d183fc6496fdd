"""Section `train` of a config: how to train."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic.dataclasses import dataclass

from lstd.config.fields import (
    BelowOne,
    Count,
    File,
    Natural,
    NotNegative,
    Positive,
    Section,
    Share,
    require,
)

Precision: TypeAlias = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Distribution: TypeAlias = Literal["none", "mirrored", "multi_worker"]


@dataclass(frozen=True)
class LearningRateConfig(Section):
    """The learning rate over the steps."""

    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    initial: Positive = 0.002
    decay_steps: Count = 200000
    """exponential: steps between two decays. cosine: ignored, the run's length counts."""
    decay_factor: Positive = 0.95
    staircase: bool = True
    warmup_steps: Natural = 0
    hold_fraction: BelowOne = 0.0
    """cosine: the share of the run before the rate begins to fall."""


@dataclass(frozen=True)
class OptimizerConfig(Section):
    """The optimizer."""

    name: Literal["rms_prop", "adam", "adamw"] = "rms_prop"
    momentum: BelowOne = 0.9
    decay: Share = 0.9
    """rms_prop: decay of the mean square, which starts at 1."""
    epsilon: Positive = 1.0
    """rms_prop: inside the root. adam: beside it; 1e-7 is usual there."""
    beta_1: BelowOne = 0.9
    beta_2: BelowOne = 0.999
    weight_decay: NotNegative = 0.0
    clip_norm: NotNegative = 10.0
    """Each variable's gradient is clipped to this L2 norm by itself; 0 means no clipping."""


@dataclass(frozen=True)
class FineTuneConfig(Section):
    """Weights to start from: of a run, of checkpoints over it, of backbones over these."""

    run: File = ""
    """A run folder, of which the best weights are taken, a weights file, or a name that
    `lstd.list_weights` gives. Where the classes are others than that run's, the class heads start
    anew; where the anchors are others in number, the heads do; see `lstd.load_weights`."""
    checkpoints: tuple[File, ...] = ()
    """TF1 checkpoint prefixes or .npz files; `kind` says which is asked for what, see
    `lstd.load_tf1_checkpoint`."""
    kind: Literal["classification", "detection", "lstm", "interleaved", "interleaved_pretrain"] = (
        "lstm"
    )
    moving_averages: bool = False
    large_backbone: File = ""
    """A keras.applications weights file for the large (or only) backbone."""
    small_backbone: File = ""


@dataclass(frozen=True)
class EarlyStoppingConfig(Section):
    """When a run ends before its last step."""

    patience: Count = 5
    """Epochs after the best one, of which none was better."""
    metric: str = ""
    """A column of history.csv, such as val_coco/ap; empty: what decides which weights are best,
    COCO's average precision if it is measured, else the loss."""
    min_delta: NotNegative = 0.0
    """An epoch is better when it is so by more than this."""


_ONLY_WEIGHTS = "of the weights each output channel has its scale, of anything else a whole tensor"


@dataclass(frozen=True)
class QuantizationConfig(Section):
    """Training in 8 bits, after which lstd-export writes int8 without representative data.

    It sets model.int8. Take a trained run in float32 to start from (fine_tune.run): the rounding
    then costs few steps.
    """

    delay: Natural = 0
    """Steps before rounding begins; until then training only looks at the ranges of all values.
    Evaluation always rounds."""
    weight_bits: int = 8
    activation_bits: int = 8
    per_channel: str = "weights"
    range_decay: BelowOne = 0.999
    """Share of a learned range that is kept in a step; the first batch sets it."""
    fold_batch_norm: Natural | None = None
    """The step after which batch norm keeps its statistics, folded into the weights as the file has
    it; null: the last fifth of the steps."""

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            bits = getattr(self, name)
            require(bits == 8, f"{name} must be 8, all that TFLite computes in, got {bits}")
        require(
            self.per_channel == "weights",
            f"per_channel must be 'weights', got {self.per_channel!r}: {_ONLY_WEIGHTS}",
        )

    def fold_after(self, steps: int) -> int:
        """Returns the step after which batch norm is folded in a run of so many."""
        return steps - steps // 5 if self.fold_batch_norm is None else self.fold_batch_norm


@dataclass(frozen=True)
class TrainConfig(Section):
    """How to train."""

    steps: Count = 400000
    optimizer: OptimizerConfig = OptimizerConfig()
    learning_rate: LearningRateConfig = LearningRateConfig()
    moving_average_decay: BelowOne = 0.0
    """Averages of all variables, min(decay, (1 + step) / (10 + step)); 0: none."""
    accumulate_steps: Count = 1
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
    quantization: QuantizationConfig | None = None
    """null: in float32, or what `precision` says."""
    seed: Natural = 0
    """Of initial weights, data order, augmentation and the random schedule; not negative."""
    deterministic: bool = False
    """Only operations that give the same bits each time: slower, for comparing runs bit by bit."""
    steps_per_epoch: Count = 1000
    """Between two checkpoints, and two evaluations if there are any."""
    evaluate: bool = True
    """COCO on the evaluation data after each epoch; the best checkpoint is kept beside the last."""
    keep_checkpoints: Count = 2
    early_stopping: EarlyStoppingConfig | None = None
    """null: all steps are done."""
    check_frames: Natural = 200
    """Frames of the training data that are looked at before the first step; 0: none."""
    min_anchor_share: Share = 0.1
    """The least share of the true boxes in these frames that must have an anchor of IoU
    matching.matched_threshold. The others only ever teach the one anchor that is forced on them."""

    def __post_init__(self) -> None:
        quantization = self.quantization
        require(
            quantization is None or self.precision == "float32",
            f"quantization needs precision float32, got {self.precision}",
        )
        for name in ("delay", "fold_batch_norm") if quantization else ():
            step = getattr(quantization, name) or 0
            require(
                step < self.steps,
                f"quantization.{name} is {step}, but the run has {self.steps} steps (train.steps); "
                f"set train.quantization.{name} below that",
            )
