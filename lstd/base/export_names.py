"""The names in exported files: entry points, their inputs and their outputs.

An app asks for them by name, so they never change. No TensorFlow: the runtime does without.
"""

from __future__ import annotations

NETWORKS = ("large", "small")
"""The entry points of a model with two networks."""
SINGLE = "step"
"""The entry point of a model with one backbone, which counts as its large network."""
CLIP = "clip"
"""The entry point for clips of fixed length, and its signature; a detector does not run it."""
IMAGE = "image"
CLIP_INPUT = "input_video_tensor"
"""The frames of a clip, by the original's name."""
STATE_INPUTS = ("lstm_c", "lstm_h")
STATE_OUTPUTS = ("lstm_c_out", "lstm_h_out")
STATE_TYPES = ("float32", "int8")
"""Of the state of a model trained in 8 bits; of any other it is float32."""
POSTPROCESSING_OP = "TFLite_Detection_PostProcess"
DETECTION_OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
RAW_OUTPUTS = ("raw_outputs/box_encodings", "raw_outputs/class_predictions", "anchors")
"""Instead of detections, where post-processing was left out."""
