"""Video object detection with interleaved backbones and a convolutional LSTM.

    config = lstd.load_config("configs/interleaved_mobilenet_v2_imagenet_vid.yaml")
    model = lstd.build_model(config.model)
    output = model(clip)                          # frames [B, T, H, W, C]
    detections = model.detect(output.predictions)

`import lstd` is quick: a name brings its module, and with it TensorFlow, when it is first used.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from lstd.base import compatibility
from lstd.base.version import __version__

if TYPE_CHECKING:  # the same names as in _MODULES, for editors and type checkers
    from lstd.any_model.evaluate_model import evaluate
    from lstd.any_model.open_model import load_model
    from lstd.any_model.video_detector import VideoDetector
    from lstd.base.types import (
        ClipBatch,
        Detections,
        Gates,
        GroundTruth,
        LSTMState,
        Output,
        Predictions,
        Targets,
    )
    from lstd.checkpoints.keras_applications import load_backbone_weights
    from lstd.checkpoints.tf1 import load_tf1_checkpoint
    from lstd.config.config import Config, EvaluationConfig, ExportConfig
    from lstd.config.config_io import ConfigError, save_config
    from lstd.config.data_config import DataConfig, DatasetConfig
    from lstd.config.model_config import ModelConfig
    from lstd.config.train_config import TrainConfig
    from lstd.data.pipeline import make_dataset
    from lstd.export.saved_model import export_saved_model
    from lstd.export.tflite import export_tflite
    from lstd.losses import DetectionLoss
    from lstd.models.build import build_model
    from lstd.models.count import count
    from lstd.models.lstm_ssd import LSTMSSD
    from lstd.tf1.load_config import list_configs, load_config
    from lstd.training.optimizers import build_optimizer
    from lstd.training.weights_file import load_weights
    from lstd.weights import list_weights

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
    "list_weights",
    "load_backbone_weights",
    "load_config",
    "load_model",
    "load_tf1_checkpoint",
    "load_weights",
    "make_dataset",
    "save_config",
]

# No name may equal that of a module or package in lstd/: importing the module would replace it.
_NAMES_IN = {
    "any_model.evaluate_model": "evaluate",
    "any_model.open_model": "load_model",
    "any_model.video_detector": "VideoDetector",
    "base.types": "ClipBatch Detections Gates GroundTruth LSTMState Output Predictions Targets",
    "checkpoints.keras_applications": "load_backbone_weights",
    "checkpoints.tf1": "load_tf1_checkpoint",
    "config.config": "Config EvaluationConfig ExportConfig",
    "config.config_io": "ConfigError save_config",
    "config.data_config": "DataConfig DatasetConfig",
    "config.model_config": "ModelConfig",
    "config.train_config": "TrainConfig",
    "data.pipeline": "make_dataset",
    "export.saved_model": "export_saved_model",
    "export.tflite": "export_tflite",
    "losses": "DetectionLoss",
    "models.build": "build_model",
    "models.count": "count",
    "models.lstm_ssd": "LSTMSSD",
    "tf1.load_config": "list_configs load_config",
    "training.optimizers": "build_optimizer",
    "training.weights_file": "load_weights",
    "weights": "list_weights",
}
_MODULES = {name: f"lstd.{place}" for place, names in _NAMES_IN.items() for name in names.split()}
"""Where each public name lives."""

try:
    compatibility.ensure()
except ImportError as error:
    compatibility.end_command(error, sys.argv)
    raise


def __getattr__(name: str) -> Any:
    """Returns a public name, from the module that it lives in; asked once for each (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'lstd' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
