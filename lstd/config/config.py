"""A config: its sections, of a model, its training, data, evaluation and export, in one dataclass.

Loading, saving and overriding stand in `lstd.config.config_io`. Only builders read these classes;
everything else is given plain values.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from lstd.base import limits
from lstd.config import schedule_names
from lstd.config.config_check import require
from lstd.config.data_config import DataConfig
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import TrainConfig


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate."""

    schedules: tuple[str, ...] = ("SKIP3",)
    use_moving_averages: bool = False
    min_score_threshold: float = 0.5
    """Below this a detection is not drawn; metrics see all of them."""

    def __post_init__(self) -> None:
        limits.check_section(self)
        require(bool(self.schedules), "schedules needs at least one")
        for name in self.schedules:
            schedule_names.check(name, where="schedules")
        require(
            not math.isnan(self.min_score_threshold),
            "min_score_threshold must be a number, not nan",
        )


@dataclass(frozen=True)
class ExportConfig:
    """What lstd-export writes."""

    max_detections: int = 10
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False

    def __post_init__(self) -> None:
        limits.check_section(self)
        for name in ("max_detections", "max_classes_per_detection", "detections_per_class"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1")


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
        require(
            large < length or not large,
            f"model.large_frames is {large}, but clips have {length} frames "
            "(data.train.unroll_length): at least one has to be left to the small network",
        )


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
