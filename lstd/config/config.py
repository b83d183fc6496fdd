"""A config: its sections, of a model, its training, data, evaluation and export, in one dataclass.

Loading, saving and overriding stand in `lstd.config.config_io`. Only builders read these classes;
everything else is given plain values.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from lstd.config.data_config import DataConfig
from lstd.config.fields import Count, Schedule, Section, Threshold, require
from lstd.config.model_config import ModelConfig
from lstd.config.train_config import TrainConfig


@dataclass(frozen=True)
class EvaluationConfig(Section):
    """How to evaluate."""

    schedules: Annotated[tuple[Schedule, ...], Field(min_length=1)] = ("SKIP3",)
    use_moving_averages: bool = False
    min_score_threshold: Threshold | None = None
    """Below this a detection is not shown; metrics see all of them. None: the score with the best
    F1 on the evaluation data, which the training finds."""


@dataclass(frozen=True)
class ExportConfig(Section):
    """What lstd-export writes."""

    max_detections: Count = 10
    max_classes_per_detection: Count = 1
    detections_per_class: Count = 100
    use_regular_nms: bool = False


@dataclass(frozen=True)
class Config(Section):
    """All of it."""

    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    export: ExportConfig = ExportConfig()

    def __post_init__(self) -> None:
        if self.train.quantization is not None and not self.model.int8:
            require(
                self.model.lstm_cell == "grouped",
                f"train.quantization needs model.lstm_cell 'grouped', got {self.model.lstm_cell!r}",
            )
            object.__setattr__(self, "model", dataclasses.replace(self.model, int8=True))
        large, length = self.model.large_frames, self.data.train.unroll_length
        require(
            large < length or not large,
            f"model.large_frames is {large}, but clips have {length} frames "
            "(data.train.unroll_length): at least one has to be left to the small network",
        )


def to_dict(config: Section) -> dict[str, Any]:
    """Returns the config as plain dicts, lists and scalars, ready for YAML or JSON.

    Of a `Config` without model.int8 where train.quantization tells it, so that it still does when
    that is changed.
    """
    found = json.loads(json.dumps(dataclasses.asdict(config)))
    if isinstance(config, Config) and config.model.int8 == (config.train.quantization is not None):
        del found["model"]["int8"]
    return found
