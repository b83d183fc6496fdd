"""Video object detection with interleaved backbones and a convolutional LSTM.

    config = lstd.load_config("configs/interleaved_mobilenet_v2_imagenet_vid.yaml")
    model = lstd.build_model(config.model)
    output = model(clip)                          # frames [B, T, H, W, C]
    detections = model.detect(output.predictions)

`import lstd` is quick: a name brings its module, and with it TensorFlow, when it is first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from lstd import compatibility, cpu_allocator

if TYPE_CHECKING:  # the same names as in _MODULES, for editors and type checkers
    from lstd.checkpoints.keras_applications import load_backbone_weights
    from lstd.checkpoints.tf1 import load_tf1_checkpoint
    from lstd.config import Config, EvaluationConfig, ExportConfig
    from lstd.config_io import ConfigError, load_config, save_config
    from lstd.data.pipeline import make_dataset
    from lstd.data_config import DataConfig, DatasetConfig
    from lstd.evaluate_model import evaluate
    from lstd.export.saved_model import export_saved_model
    from lstd.export.tflite import export_tflite
    from lstd.losses import DetectionLoss
    from lstd.model_config import ModelConfig
    from lstd.models.build import build_model
    from lstd.models.count import count
    from lstd.models.lstm_ssd import LSTMSSD
    from lstd.shipped_configs import list_configs
    from lstd.train_config import TrainConfig
    from lstd.training.optimizers import build_optimizer
    from lstd.training.run_folder import load_model
    from lstd.types import (
        ClipBatch,
        Detections,
        Gates,
        GroundTruth,
        LSTMState,
        Output,
        Predictions,
        Targets,
    )
    from lstd.video_detector import VideoDetector

__version__ = "0.1.0.dev0"

__all__ = [
    "LSTMSSD",
    "ClipBatch",
    "Config",
    "ConfigError",
    "DataConfig",
    "DatasetConfig",
    "DetectionLoss",
    "Detections",
    "EvaluationConfig",
    "ExportConfig",
    "Gates",
    "GroundTruth",
    "LSTMState",
    "ModelConfig",
    "Output",
    "Predictions",
    "Targets",
    "TrainConfig",
    "VideoDetector",
    "__version__",
    "build_model",
    "build_optimizer",
    "count",
    "evaluate",
    "export_saved_model",
    "export_tflite",
    "list_configs",
    "load_backbone_weights",
    "load_config",
    "load_model",
    "load_tf1_checkpoint",
    "make_dataset",
    "save_config",
]

# Where each public name lives. No name may equal that of a module or package in lstd/: importing
# the module would replace it.
_MODULES = {
    "ClipBatch": "lstd.types",
    "Config": "lstd.config",
    "ConfigError": "lstd.config_io",
    "DataConfig": "lstd.data_config",
    "DatasetConfig": "lstd.data_config",
    "Detections": "lstd.types",
    "DetectionLoss": "lstd.losses",
    "EvaluationConfig": "lstd.config",
    "ExportConfig": "lstd.config",
    "Gates": "lstd.types",
    "GroundTruth": "lstd.types",
    "LSTMSSD": "lstd.models.lstm_ssd",
    "LSTMState": "lstd.types",
    "ModelConfig": "lstd.model_config",
    "Output": "lstd.types",
    "Predictions": "lstd.types",
    "Targets": "lstd.types",
    "TrainConfig": "lstd.train_config",
    "VideoDetector": "lstd.video_detector",
    "build_model": "lstd.models.build",
    "build_optimizer": "lstd.training.optimizers",
    "count": "lstd.models.count",
    "evaluate": "lstd.evaluate_model",
    "export_saved_model": "lstd.export.saved_model",
    "export_tflite": "lstd.export.tflite",
    "list_configs": "lstd.shipped_configs",
    "load_backbone_weights": "lstd.checkpoints.keras_applications",
    "load_config": "lstd.config_io",
    "load_model": "lstd.training.run_folder",
    "load_tf1_checkpoint": "lstd.checkpoints.tf1",
    "make_dataset": "lstd.data.pipeline",
    "save_config": "lstd.config_io",
}

try:
    compatibility.ensure()
except ImportError as error:
    compatibility.end_command(error, sys.argv)
    raise
cpu_allocator.prefer_pool(os.environ)


def __getattr__(name: str) -> Any:
    """Returns a public name, from the module that it lives in; asked once for each (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'lstd' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
